"""Show a finished run to people: text, Markdown, a page.

A new line is a fact in ``ledger.RunFacts`` first; ``text``, ``markdown`` and ``html`` show it.
"""
