"""Show a finished run to people: text, Markdown, a page.

A new line is a fact in ``run_facts.RunFacts`` first; ``text``, ``markdown`` and ``html`` show it.
"""
