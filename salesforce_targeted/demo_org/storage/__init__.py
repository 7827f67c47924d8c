"""Keep the records of the org and what happens to them."""
