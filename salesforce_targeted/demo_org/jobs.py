"""Bulk API 2.0 query jobs."""
from __future__ import annotations

from .exchange import Reply, Request
from .refusals import not_found
from .state import OrgState


def route(org: OrgState, request: Request, version: str, parts: list[str]) -> Reply:
    """A resource below ``jobs/query``."""
    raise not_found()
