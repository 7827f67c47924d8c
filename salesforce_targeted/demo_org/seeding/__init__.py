"""Make the records that the org begins with."""
