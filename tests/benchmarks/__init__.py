"""How fast and how frugal: ``python -m tests.benchmarks [names…] [--quick] [--report DIR]``.

Rules:
- A number from one machine says little, so contenders take turns within one invocation and what a
  table is read for is its ratio column; seconds are medians.
- Calls are counted by the demo org, which runs in a process of its own, never by the client.
- A sync is timed as a user would: the command line, from the start of its process to its end.
- What is measured shares this machine's cores with the org and the database; tables say how many
  seconds of processor the org took, for that time is not the library's.
"""
