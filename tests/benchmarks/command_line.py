"""The library as its users run it: the command line into PostgreSQL, twice."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.benchmarks.served_org import Counted, ServedOrg
from tests.benchmarks.timed import ROOT, Ran, run

SCRIPT = ROOT / "pipelines" / "targeted_contacts.py"


@dataclass(frozen=True)
class Synced:
    """A sync that ended well, as its process, the org and its own report saw it."""

    ran: Ran
    counted: Counted
    facts: dict[str, Any]

    @property
    def rows(self) -> int:
        """Rows that the sync brought from the org, of all objects."""
        read = [self.facts[name]["retrieved"] for name in ("contacts", "tasks", "users")]
        return int(sum(read) + self.facts["relations"]["read"])


def sync(org: ServedOrg, database: str, folder: Path, *argv: str, latency: str = "none") -> Synced:
    """Run the command line against an org, in a working folder that a second run finds again."""
    org.reset(latency)
    ran = run(
        [sys.executable, str(SCRIPT), "--json", "--destination", "postgres", *argv],
        cwd=folder,
        environ={
            "SALESFORCE_INSTANCE_URL": org.url,
            "SALESFORCE_ACCESS_TOKEN": org.token,
            "DESTINATION__POSTGRES__CREDENTIALS": database,
            "DLT_DATA_DIR": str(folder / "dlt"),
        },
    )
    facts: dict[str, Any] = json.loads(ran.out)
    if facts["status"] != "done":
        raise RuntimeError(f"the sync ended as {facts['status']}: {facts['error']}")
    return Synced(ran, org.counted(), facts)
