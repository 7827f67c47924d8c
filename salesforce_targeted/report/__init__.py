"""A finished run for people: text, Markdown, a page."""
