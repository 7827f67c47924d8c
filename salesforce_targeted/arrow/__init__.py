"""Salesforce's fields and values as Arrow: pure functions, no I/O."""
