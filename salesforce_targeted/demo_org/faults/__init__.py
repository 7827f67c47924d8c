"""Let things go wrong on the way: faults and latency."""
