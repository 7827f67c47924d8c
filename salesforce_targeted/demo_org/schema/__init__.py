"""List the objects and fields of the org, as describe shows them."""
