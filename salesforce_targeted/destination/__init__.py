"""Read back, compare and guard what the dataset holds before a load."""
