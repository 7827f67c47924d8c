"""The records that the org begins with."""
