"""What goes wrong on the way: faults and latency."""
