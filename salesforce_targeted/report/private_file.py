"""Write files for the user alone: ids of people are in every report."""

from __future__ import annotations

import os
from pathlib import Path


def write_private(path: Path, content: str) -> None:
    """Write a text file that no other user can read (mode 0600), also over an older one."""
    opened = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    path.chmod(0o600)
    with os.fdopen(opened, "w", encoding="utf-8") as stream:
        stream.write(content)
