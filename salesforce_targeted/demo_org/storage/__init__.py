"""The records of the org and what happens to them."""
