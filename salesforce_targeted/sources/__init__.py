"""Stand where dlt looks for the sources of a plugin: ``<package>.sources.<name>.<name>``.

The entry point of group ``dlt`` in pyproject.toml names this package. Other projects then name the
source by a reference of one word: ``SourceReference.from_reference("salesforce_targeted")``.

Rule: every command of dlt imports this when it starts, so it imports nothing.
"""
