"""Ids in, every record out exactly once: a row, rejected, or gone with its reason."""
