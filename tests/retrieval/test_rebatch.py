"""What is put together to be loaded was read with the same fields: what is held stands in for none."""

from __future__ import annotations

from salesforce_targeted.api.client import SalesforceClient
from salesforce_targeted.api.errors import SalesforceError
from salesforce_targeted.arrow.batch import EVERY_RECORD, Batch
from salesforce_targeted.arrow.columns import columns
from salesforce_targeted.arrow.from_json import from_records
from salesforce_targeted.demo_org import DemoOrg
from salesforce_targeted.retrieval import rebatch
from salesforce_targeted.retrieval.parts import Lessons, note_unreadable
from salesforce_targeted.retrieval.results import Retrieved
from salesforce_targeted.retrieval.sobject_collections import RecordReader
from tests.support.fields import normalize

TASKS = columns(
    {
        "name": "Task",
        "fields": [{"name": "Id", "type": "id"}, {"name": "Subject", "type": "string"}],
    },
    normalize=normalize,
)


def page(id_: str, *unread: str) -> Batch:
    """Return a batch of one row that was read without some fields."""
    batch = from_records([{"Id": id_, "Subject": "Call"}], TASKS)
    return note_unreadable(batch, dict.fromkeys(unread, SalesforceError("no")), TASKS)


def ids(batches: list[Batch]) -> list[list[str]]:
    return [batch.table.column("id").to_pylist() for batch in batches]


def test_pages_that_lack_a_field_are_apart() -> None:
    """Joined, those that have it would keep what is held of it, or nothing."""
    pages = [page("1"), page("2"), page("3", "Subject"), page("4", "Subject"), page("5")]
    records = rebatch.retrieved(Retrieved(batch) for batch in pages)

    assert [["1", "2"], ["3", "4"], ["5"]] == ids(list(rebatch.pages(iter(pages))))
    assert [["1", "2"], ["3", "4"], ["5"]] == ids([part.batch for part in records])


def test_what_is_read_in_several_calls_is_apart_too(org: DemoOrg, client: SalesforceClient) -> None:
    """Of records that were asked for together, and are too many for one call, some lack a field."""
    ids = sorted(org.active_ids())[:4]
    described = {"name": "Contact", "fields": org.fields("Contact")}
    contacts = columns(described, normalize=normalize).only(["LastName", "SystemModstamp"])
    for id_ in ids[2:]:
        org.poisons.add("Contact", id_, "LastName")
    parts = RecordReader(client, contacts, Lessons(ids_at_once=2)).read(ids)
    came = [(len(batch), {r.record_id for r in batch.rejected}) for batch in parts]

    assert [(2, set()), (2, {EVERY_RECORD})] == came
