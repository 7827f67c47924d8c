"""What the dataset holds before this load: read back, compared, guarded."""
