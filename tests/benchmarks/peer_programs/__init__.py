"""Starters of peers, each run by its own environment's Python; nothing here is imported by us.

A peer's sign-in is replaced, for its login host is Salesforce's; everything else is the peer's own.
"""
