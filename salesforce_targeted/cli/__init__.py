"""Keep a file per command, and the screen that they write to."""
