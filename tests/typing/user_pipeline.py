"""A pipeline as a user's own project has it: never run, only read by type checkers.

``.ci/run types`` has mypy (strict) and pyright read it, against the package as users install it. Each
``assert_type`` is a promise of ours; what must be refused carries a rule's name, and is reported
where the checker stops refusing it.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import assert_type

import dlt
from dlt.common.pipeline import LoadInfo
from dlt.sources import DltResource, DltSource

from salesforce_targeted import Ledger, Scope, salesforce_targeted
from salesforce_targeted.api.credentials import ClientCredentials, SessionCredentials
from salesforce_targeted.demo_org import DemoOrg, serve
from salesforce_targeted.sync.runner import Outcome, sync


def from_configuration() -> None:
    """Everything is configured elsewhere."""
    source = salesforce_targeted()
    assert_type(source, DltSource)
    assert_type(source.with_resources("contact", "user"), DltSource)
    assert_type(source.resources["contact"], DltResource)
    pipeline = dlt.pipeline("crm", destination="duckdb", dataset_name="salesforce")
    assert_type(pipeline.run(source), LoadInfo)


def from_code() -> None:
    """Everything is said in code; a run's facts are looked at."""
    credentials = SessionCredentials(instance_url="https://acme.my.salesforce.com", access_token="")
    ledger = Ledger()
    source = salesforce_targeted(
        credentials,
        since="2024-01-01",
        fields=["FirstName", "LastName"],
        refresh_call_budget=50,
        daily_call_reserve=0.2,
        api="collections",
        scope=Scope(since=datetime(2024, 1, 1, tzinfo=UTC)),
        ledger=ledger,
    )
    outcome = sync(dlt.pipeline("crm", destination="duckdb"), source, ledger)
    assert_type(outcome, Outcome)
    assert_type(outcome.error, Exception | None)


def on_the_demo_org() -> None:
    """Run a user's own tests against the demo org."""
    with serve(DemoOrg.tiny()) as server:
        assert_type(server.url, str)
        salesforce_targeted(SessionCredentials(instance_url=server.url, access_token=server.token))


def refused() -> None:
    """Slips of the pen that a checker finds before Salesforce does."""
    salesforce_targeted(ClientCredentials(), sinc="2024-01-01")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    salesforce_targeted(fields="LastName")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    Scope(limit="10")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
