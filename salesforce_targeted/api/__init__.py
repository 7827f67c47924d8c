"""Salesforce on the wire: sign in, send, read. Knows nothing of what the rows are for."""
