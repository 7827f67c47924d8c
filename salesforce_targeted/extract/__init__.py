"""Inside dlt's extract: the stages of one run, in order, and what they share."""
