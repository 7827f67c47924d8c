"""The kinds of call that a sync makes, and how a sync of the tiny org comes to make each."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from salesforce_targeted.api.limits import DOCUMENTED
from salesforce_targeted.demo_org import DemoOrg
from salesforce_targeted.demo_org.faults.faults import ACTIONS, Fault
from salesforce_targeted.settings import Scope

# Signing in needs no session and is not billed; its answer is too short to be compressed.
_LEFT_ALONE_BY = {"token": ("cut_gzip", "daily_403", "concurrent_403", "invalid_auth_header")}


@dataclass(frozen=True)
class Kind:
    """A kind of call, as a column of the matrix.

    Attributes:
        title: What the column is called.
        call: The demo org's word for it; see ``faults.KINDS``.
        nth: Which call of that kind in a run is struck, from 1.
        settings: Parameters of the source.
        limits: Limits that differ from the documented ones, so that the tiny org crosses them.
        page_rows: How many rows the org answers at once; None for as many as it likes.
        refuses: A kind of call that the org refuses throughout.
        runs: Whether a first run makes such calls (False) and a later one (True).
    """

    title: str
    call: str
    nth: int = 1
    settings: dict[str, Any] = field(default_factory=dict)
    limits: dict[str, Any] = field(default_factory=dict)
    page_rows: int | None = None
    refuses: str | None = None
    runs: tuple[bool, ...] = (False, True)

    @property
    def scope(self) -> Scope:
        """Return what the runs look at: everything, within these limits."""
        return Scope(limits=replace(DOCUMENTED, **self.limits))

    @property
    def actions(self) -> list[str]:
        """List the misfortunes that can befall such a call."""
        return [
            name for name, action in ACTIONS.items()
            if {"*", self.call} & set(action.kinds) and name not in _LEFT_ALONE_BY.get(self.call, ())
        ]  # fmt: skip

    def prepare(self, org: DemoOrg) -> None:
        """Make the org one in which a run makes such calls."""
        if self.page_rows is not None:
            org.page_rows = self.page_rows
        if self.refuses is not None:
            org.faults.add(Fault(self.refuses, "not_enabled_403", times=10_000))


KINDS = [
    Kind("sign-in", "token"),
    Kind("first call", "composite"),
    Kind("describe", "describe", nth=2, refuses="composite"),
    Kind("query", "query", refuses="composite"),
    # A later run knows how many rows a page holds, and asks for no more at a time.
    Kind("next page", "query_more", nth=2, page_rows=7, runs=(False,)),
    Kind("queryAll", "query_all"),
    Kind("Collections", "collections", refuses="composite"),
    Kind("composite", "composite", nth=2, settings={"api": "composite"}),
    Kind("query by ids", "query", nth=2, settings={"api": "query"}),
    Kind("record count", "limits", limits={"ids_per_collection": 1}),
    Kind("Bulk create", "bulk_create", settings={"api": "bulk"}),
    Kind("Bulk poll", "bulk_poll", settings={"api": "bulk"}),
    Kind("Bulk results", "bulk_results", settings={"api": "bulk"}),
    Kind(
        "Bulk result pages", "bulk_pages", settings={"api": "bulk"},
        limits={"bulk_rows_per_page": 9},
    ),
    Kind(
        "Bulk a page", "bulk_results", nth=2, settings={"api": "bulk"},
        limits={"bulk_rows_per_page": 9},
    ),
]  # fmt: skip
