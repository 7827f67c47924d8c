"""Sync the Salesforce contacts with logged activities into a database; ``--help`` says how.

Installed without this folder, the same is called ``targeted-contacts``.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from salesforce_targeted import command_line


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; the exit codes are those of ``salesforce_targeted.command_line``."""
    return command_line.main(argv, prog="targeted_contacts.py")


if __name__ == "__main__":
    sys.exit(main())
