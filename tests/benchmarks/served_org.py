"""A demo org in a process of its own, told over its standard input what to do.

Started as ``python -m tests.benchmarks.served_org CONTACTS ACTIVE``. It prints one line of JSON with
``url`` and ``token``, then answers each line ``reset [latency]`` or ``calls`` with one more, and ends
when its input does.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import Any, Self

from tests.benchmarks.timed import ROOT, environment

MODULE = "tests.benchmarks.served_org"


@dataclass(frozen=True)
class Counted:
    """Hold what the org saw since the last reset.

    Attributes:
        calls: Billed calls; sign-in is none.
        by_kind: The same by kind.
        waits: The longest chain of them that do not overlap: how many waited for one another.
        cpu_seconds: Processor time that the org spent.
    """

    calls: int
    by_kind: dict[str, int]
    waits: int
    cpu_seconds: float


class ServedOrg:
    """Hold the parent's end: an org that listens until the block ends."""

    def __init__(self, contacts: int, active: int) -> None:
        self.contacts, self.active = contacts, active
        self._process = subprocess.Popen(
            [sys.executable, "-m", MODULE, str(contacts), str(active)],
            cwd=ROOT,
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        ready = self._heard()
        self.url: str = ready["url"]
        self.token: str = ready["token"]

    def reset(self, latency: str = "none") -> None:
        """Count from zero, and answer with this latency from now on."""
        self._told(f"reset {latency}")

    def counted(self) -> Counted:
        """Return what it saw since the last reset."""
        return Counted(**self._told("calls"))

    def ids(self) -> list[str]:
        """Return the active contacts."""
        ids: list[str] = self._told("ids")["ids"]
        return ids

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    def _told(self, line: str) -> dict[str, Any]:
        assert self._process.stdin is not None
        print(line, file=self._process.stdin, flush=True)
        return self._heard()

    def _heard(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("the demo org's process has ended")
        reply: dict[str, Any] = json.loads(line)
        return reply


def main(contacts: int, active: int) -> None:
    """Serve until the input ends."""
    from salesforce_targeted.demo_org import DemoOrg, Latency, serve

    org = DemoOrg(contacts, active)
    org.daily_limit = 10_000_000
    begun = 0.0
    with serve(org) as server:
        print(json.dumps({"url": server.url, "token": server.token}), flush=True)
        for line in sys.stdin:
            order, _, latency = line.strip().partition(" ")
            answer: dict[str, Any] = {}
            if order == "reset":
                org.reset_calls()
                org.jobs.clear()
                # Made again, so that every contender meets the same slow calls.
                org.latency = Latency.realistic() if latency == "realistic" else None
                begun = time.process_time()
            elif order == "calls":
                answer = {
                    "calls": org.billed,
                    "by_kind": dict(org.calls),
                    "waits": org.waits,
                    "cpu_seconds": time.process_time() - begun,
                }
            elif order == "ids":
                answer = {"ids": org.active_ids()}
            print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
