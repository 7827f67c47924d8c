"""``python -m salesforce_targeted.demo_org``: serve a demo org for any client."""

from __future__ import annotations

import argparse
import signal
import threading
from typing import TYPE_CHECKING

from . import DemoOrg, Latency, serve

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until interrupted; print the address, a token and the environment to sign in with."""
    parser = argparse.ArgumentParser(prog="python -m salesforce_targeted.demo_org",
                                     description=__doc__)  # fmt: skip
    parser.add_argument("--port", type=int, default=8181, help="0: any free one (default 8181)")
    parser.add_argument("--contacts", type=int, default=600_000)
    parser.add_argument("--active", type=int, default=817)
    parser.add_argument("--relations", type=int, default=None, help="default: 2,392 for 817")
    for name in ("opportunities", "events", "visits"):
        parser.add_argument(f"--{name}", type=int, default=0)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--latency", choices=("none", "realistic"), default="none")
    parser.add_argument("--page-rows", type=int, default=2000, help="most rows of a query page")
    chosen = parser.parse_args(argv)
    org = DemoOrg(
        chosen.contacts, chosen.active, chosen.relations, chosen.seed, events=chosen.events,
        opportunities=chosen.opportunities, visits=chosen.visits,
    )  # fmt: skip
    org.page_rows = chosen.page_rows
    org.latency = Latency.realistic() if chosen.latency == "realistic" else None
    with serve(org, chosen.port) as server:
        user, password = next(iter(org.users_by_name.items()))
        print(f"demo org at {server.url}, {chosen.contacts:,} contacts, {chosen.active:,} active")
        print(f"token {server.token}\n")
        print("\n".join([
            f"export SALESFORCE_LOGIN_URL={server.url}",
            f"export SALESFORCE_CLIENT_ID={org.client_id}",
            f"export SALESFORCE_CLIENT_SECRET={org.client_secret}",
            f"# or: SALESFORCE_USERNAME={user} SALESFORCE_PASSWORD={password}",
            f"#     SALESFORCE_SECURITY_TOKEN={org.security_token}",
            f"# or: SALESFORCE_INSTANCE_URL={server.url} SALESFORCE_ACCESS_TOKEN='{server.token}'",
        ]), flush=True)  # fmt: skip
        # A shell's & leaves it ignored, and whoever stops the server sends it.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            print("closed")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
