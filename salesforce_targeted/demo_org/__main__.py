"""``python -m salesforce_targeted.demo_org``: serve a demo org for any client."""

from __future__ import annotations

import argparse
import signal
import threading
from typing import TYPE_CHECKING

from . import DemoOrg, Latency, serve

if TYPE_CHECKING:
    from collections.abc import Sequence

    from . import DemoServer


_SIZES = (
    ("contacts", 600_000, "in the org (600,000)"),
    ("active", 817, "of them, with tasks (817)"),
    ("relations", None, "of tasks to people (2,392 for 817)"),
    ("opportunities", 300, "of accounts (300)"),
    ("events", 200, "with people (200)"),
    ("visits", 50, "a custom object's records (50)"),
)


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until interrupted; print the address, a token and the environment to sign in with."""
    parser = argparse.ArgumentParser(prog="python -m salesforce_targeted.demo_org",
                                     description=__doc__)  # fmt: skip
    parser.add_argument("--port", type=int, default=8181, help="0: any free one (default 8181)")
    for name, default, about in _SIZES:
        parser.add_argument(f"--{name}", type=int, default=default, help=about, metavar="N")
    parser.add_argument("--seed", type=int, default=7, metavar="N",
                        help="everything in the org follows from it, its id too")  # fmt: skip
    parser.add_argument("--latency", choices=("none", "realistic"), default="none",
                        help="how long responses take; realistic: as Salesforce's do")  # fmt: skip
    parser.add_argument("--page-rows", type=int, default=2000, metavar="N",
                        help="most rows of a query page")  # fmt: skip
    chosen = parser.parse_args(argv)
    org = DemoOrg(
        chosen.contacts, chosen.active, chosen.relations, chosen.seed, events=chosen.events,
        opportunities=chosen.opportunities, visits=chosen.visits,
    )  # fmt: skip
    org.page_rows = chosen.page_rows
    org.latency = Latency.realistic() if chosen.latency == "realistic" else None
    try:
        serving = serve(org, chosen.port)
    except OSError as error:
        parser.error(f"port {chosen.port} can't be served: {error.strerror}")
    # A shell's & leaves Ctrl-C ignored, and stopping the server sends it. A program that read the
    # address may send it while the rest is printed: all of that is within the block.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with serving as server:
            print(_welcome(server, org, chosen.contacts, chosen.active), flush=True)
            threading.Event().wait()
    except KeyboardInterrupt:
        print("closed")
    return 0


def _welcome(server: DemoServer, org: DemoOrg, contacts: int, active: int) -> str:
    """Return what a person needs: the address, a token, and what to export to sign in."""
    user, password = next(iter(org.users_by_name.items()))
    return "\n".join([
        f"demo org at {server.url}, {contacts:,} contacts, {active:,} active",
        f"token {server.token}",
        "",
        f"export SALESFORCE_LOGIN_URL={server.url}",
        f"export SALESFORCE_CLIENT_ID={org.client_id}",
        f"export SALESFORCE_CLIENT_SECRET={org.client_secret}",
        f"# or: SALESFORCE_USERNAME={user} SALESFORCE_PASSWORD={password}",
        f"#     SALESFORCE_SECURITY_TOKEN={org.security_token}",
        f"# or: SALESFORCE_INSTANCE_URL={server.url} SALESFORCE_ACCESS_TOKEN='{server.token}'",
    ])  # fmt: skip


if __name__ == "__main__":
    raise SystemExit(main())
