"""What may befall a run and what became of it, as tables: ``python -m tests.matrices``."""
