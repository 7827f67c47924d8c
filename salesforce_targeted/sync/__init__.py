"""Around dlt's run: configure, lock, finish what is pending, load, check; verify and repair."""
