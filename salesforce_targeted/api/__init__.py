"""Salesforce on the wire: sign in, ask, read. Knows nothing of what the rows are for."""
