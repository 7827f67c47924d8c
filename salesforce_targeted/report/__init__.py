"""Show a finished run to people: text, Markdown, a page."""
