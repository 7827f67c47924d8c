"""What the tests of planning have in common: fields, a latency to count with, the limits of tests."""

from __future__ import annotations

from salesforce_targeted.api.limits import TINY
from salesforce_targeted.retrieval.planner import Latency, Plan, cheapest
from salesforce_targeted.settings import Api

FIELDS = ["Id", "LastName"]
WIDE = [f"A_Field_With_A_Long_Name_{n}__c" for n in range(105)]
# A call takes ten seconds, a Bulk job twenty and two calls' time, and rows next to nothing: seconds
# count calls, and no two ways are equally quick unless they take as many.
PLAIN = Latency(per_call=10, per_wide_row=0, bulk_job=20, per_bulk_row=0, calls_in_flight=1)
BULK_IDS = 89  # of FIELDS, in a statement of TINY's 2,000 characters
HERE = 0.02  # seconds that the rows of these tests cost on this side of the wire, at most
JSON_BYTES, CSV_BYTES = 2 + 8 + 2 * 12, 2 * 9  # of a record with FIELDS


def tiny(ids: int, in_org: int = 0, latency: Latency = PLAIN, **how: int | Api | None) -> Plan:
    """Return a plan for so many ids with the limits of tests."""
    return cheapest("Contact", FIELDS, ids, in_org, limits=TINY, latency=latency, **how)  # type: ignore[arg-type]
