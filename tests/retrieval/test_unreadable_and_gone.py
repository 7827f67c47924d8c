"""What can't be read and what is gone, in one batch: each keeps its own reason, the others come."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest

from salesforce_targeted.api.credentials import SessionCredentials
from salesforce_targeted.api.errors import QuotaExceededError
from salesforce_targeted.api.limits import DOCUMENTED, Limits
from salesforce_targeted.arrow.batch import EVERY_RECORD
from salesforce_targeted.demo_org import DemoOrg
from salesforce_targeted.retrieval import retrieve as retrieval
from salesforce_targeted.retrieval.planner import cheapest
from salesforce_targeted.retrieval.results import DELETED, HIDDEN, MERGED, Retrieved
from salesforce_targeted.settings import Api
from tests.conftest import BOTH, Synced
from tests.support.retrieval import (
    BOTH_LIMITS,
    EVERY_WAY,
    client_of,
    columns_in,
    gone_of,
    ids_of,
    retrieve,
    rows_of,
)

Change = Callable[[DemoOrg, str, str], object]
WAYS_TO_GO: dict[str, Change] = {
    DELETED: lambda org, id_, _winner: org.delete_contact(id_),
    MERGED: lambda org, id_, winner: org.merge(winner, [id_]),
    HIDDEN: lambda org, id_, _winner: org.hide_contact(id_),
}


def at_the_ends(ids: Sequence[str]) -> list[str]:
    return [ids[0], ids[-1]]


def everywhere(ids: Sequence[str]) -> list[str]:
    return list(ids)


def all_but_one(ids: Sequence[str]) -> list[str]:
    return [*ids[:4], *ids[5:]]


PLACES = pytest.mark.parametrize("places", [at_the_ends, everywhere, all_but_one])


def unread(answers: Sequence[Any]) -> set[tuple[str, str]]:
    """Return the record and the field of all that was rejected, last rows included."""
    batches = [a.batch for a in answers] + [a.last_rows for a in answers if a.last_rows]
    return {(r.record_id, r.field) for batch in batches for r in batch.rejected}


@pytest.mark.brief(8)
@EVERY_WAY
@PLACES
@pytest.mark.parametrize("reason", WAYS_TO_GO)
@pytest.mark.parametrize("fields", [["Birthdate"], ["Birthdate", "Title"]], ids="-".join)
def test_a_field_of_every_record_and_records_that_are_gone(
    org: DemoOrg,
    credentials: SessionCredentials,
    way: Api | str,
    places: Callable[[Sequence[str]], list[str]],
    reason: str,
    fields: list[str],
) -> None:
    """All others load without the field, and what is gone says why."""
    *ids, winner = org.active_ids()
    gone, of = places(ids), columns_in(org)
    for id_ in gone:
        WAYS_TO_GO[reason](org, id_, winner)
    shown = org.rows("Contact", all_rows=True, ids=ids)
    for field in fields:
        org.poisons.add("Contact", None, field)
    answers = retrieve(credentials, DOCUMENTED, way, ids, of, fallback=True)
    rows = rows_of(answers)

    assert sorted(set(ids) - set(gone)) == sorted(ids_of(answers))
    assert dict.fromkeys(gone, reason) == {id_: g.reason for id_, g in gone_of(answers).items()}
    assert {r.field for part in answers for r in part.batch.rejected} <= set(fields)
    for row in rows.to_pylist() if rows else []:
        assert (None, None) == (row["Birthdate"], row["Title"] if "Title" in fields else None)
        assert shown[row["id"]]["CreatedById"] == row["CreatedById"]


@pytest.mark.brief(5)
@EVERY_WAY
@BOTH_LIMITS
@pytest.mark.parametrize("field", ["*", "Birthdate"])
def test_one_record_that_cant_be_read_among_those_that_are_gone(
    org: DemoOrg, credentials: SessionCredentials, way: Api | str, limits: Limits, field: str
) -> None:
    """Only what can't be read is rejected; its neighbours are gone, each for its own reason."""
    deleted, bad, hidden, archived, *rest = org.active_ids()
    org.delete_contact(deleted)
    org.hide_contact(hidden)
    org.merge(rest[0], [archived])
    org.poisons.add("Contact", bad, field)
    ids = [deleted, bad, hidden, archived, *rest]
    answers = retrieve(credentials, limits, way, ids, columns_in(org), fallback=True)
    come = set(rest) | ({bad} if field != "*" else set())

    assert sorted(come) == sorted(ids_of(answers))
    assert {(bad, field.strip("*"))} == unread(answers)
    assert {deleted: DELETED, hidden: HIDDEN, archived: MERGED} == {
        id_: record.reason for id_, record in gone_of(answers).items()
    }


@pytest.mark.brief(5)
@EVERY_WAY
@pytest.mark.parametrize("field", ["*", "Birthdate"])
def test_a_deleted_record_that_cant_be_read(
    org: DemoOrg, credentials: SessionCredentials, way: Api | str, field: str
) -> None:
    """Where its key can be read it is deleted, and its last row has all but the field."""
    bad, other, third, *rest = org.active_ids()
    for id_ in (bad, other, third):
        org.delete_contact(id_)
    org.poisons.add("Contact", bad, field)
    ids = [bad, other, third, *rest]
    answers = retrieve(credentials, DOCUMENTED, way, ids, columns_in(org), fallback=True)
    (last,) = [part.last_rows for part in answers if part.last_rows is not None]
    deleted = {other, third} | ({bad} if field != "*" else set())

    assert dict.fromkeys(deleted, DELETED) == {
        id_: record.reason for id_, record in gone_of(answers).items()
    }
    assert {(bad, field.strip("*"))} == unread(answers)
    assert deleted == set(last.table.column("id").to_pylist())
    assert sorted(rest) == sorted(ids_of(answers))


@pytest.mark.brief(5)
@EVERY_WAY
@BOTH_LIMITS
def test_archived_tasks_and_a_field_of_every_task(
    org: DemoOrg, credentials: SessionCredentials, way: Api | str, limits: Limits
) -> None:
    """They come from where they are, without the field, and are neither gone nor rejected."""
    ids = [org.log_task([org.hostile_id], Description=f"task {n}") for n in range(6)]
    org.archive_task(ids[0])
    org.archive_task(ids[-1])
    org.delete_task(ids[2])
    org.poisons.add("Task", None, "Description")
    answers = retrieve(credentials, limits, way, ids, columns_in(org, "Task"), fallback=True)
    rows = rows_of(answers)
    assert rows is not None

    assert sorted(set(ids) - {ids[2]}) == sorted(ids_of(answers))
    assert {None} == {row["Description"] for row in rows.to_pylist()}
    assert {ids[0], ids[-1]} == {id_ for part in answers for id_ in part.archived}
    assert {ids[2]: DELETED} == {id_: g.reason for id_, g in gone_of(answers).items()}
    assert {"Description"} == {field for _, field in unread(answers)}


@BOTH
def test_a_run_loads_the_others_and_heals_by_itself(org: DemoOrg, synced: Synced) -> None:
    """One field that no contact can be read with, and the first and the last contact deleted."""
    org.relations_outlive_contacts = True
    synced.ok()
    before = synced.rows("sf_contacts")
    first, *rest, last = org.active_ids()
    for id_ in (first, last):
        org.delete_contact(id_)
    org.edit("Contact", rest[0], LastName="Fresh")
    org.poisons.add("Contact", None, "Birthdate")
    facts = synced.ok()
    during = synced.rows("sf_contacts")
    reasons = dict(
        tuple(row) for row in synced.sql("SELECT contact_id, gone_reason FROM sf_active_contacts")
    )
    listed = synced.sql("SELECT record_id, field FROM sf_rejected_records")
    org.poisons.clear()
    synced.ok()

    assert (DELETED, DELETED) == (reasons[first], reasons[last])
    assert {None} == {reasons[id_] for id_ in rest}
    assert [(EVERY_RECORD, "Birthdate")] == [tuple(row) for row in listed]
    assert (len(rest), 2) == (facts["contacts"]["retrieved"], facts["contacts"]["gone"])
    assert "Fresh" == during[rest[0]]["last_name"]
    assert {id_: row["birthdate"] for id_, row in before.items()} == {
        id_: row["birthdate"] for id_, row in during.items()
    }
    assert [] == synced.sql("SELECT record_id FROM sf_rejected_records")


@pytest.mark.parametrize("way", [Api.QUERY, Api.COMPOSITE])
def test_what_came_before_the_calls_end_is_kept_of_several_batches_in_one_call(
    org: DemoOrg, credentials: SessionCredentials, way: Api
) -> None:
    """The batches that travelled with bad records are read one by one: the first ones come."""
    of, ids = columns_in(org), pa.array(sorted(org.rows("Contact"))[:15], pa.string())
    for bad in (ids[-4], ids[-1]):
        org.poisons.add("Contact", bad.as_py())
    came: list[Retrieved] = []
    limits = replace(DOCUMENTED, ids_per_collection=3)
    with client_of(credentials, limits) as client, suppress(QuotaExceededError):
        client.meter.calls_allowed = 4
        plan = cheapest("Contact", of.fields, len(ids), limits=limits, force=way)
        came.extend(retrieval.retrieve(client, plan, ids, of))

    assert ids.to_pylist()[:9] == ids_of(came)[:9]


def test_what_query_all_showed_before_the_calls_end_is_kept(
    org: DemoOrg, credentials: SessionCredentials
) -> None:
    """One of those that are gone can't be read: what became of the others is known all the same."""
    of, ids = columns_in(org), pa.array(sorted(org.rows("Contact"))[:10], pa.string())
    for id_ in ids.to_pylist():
        org.delete_contact(id_)
    org.poisons.add("Contact", ids[-1].as_py())
    came: list[Retrieved] = []
    with client_of(credentials, DOCUMENTED) as client, suppress(QuotaExceededError):
        client.meter.calls_allowed = 4
        plan = cheapest("Contact", of.fields, 0, limits=DOCUMENTED)
        came.extend(retrieval.retrieve(client, plan, ids[:0], of, left_out=ids))

    assert ids.to_pylist()[:-1] == sorted(gone_of(came))


def test_what_came_with_a_batch_that_the_calls_end_over_is_kept(
    org: DemoOrg, credentials: SessionCredentials
) -> None:
    """Two batches in one call: a record of the first is searched for, the second has come."""
    of, ids = columns_in(org), pa.array(sorted(org.rows("Contact"))[:12], pa.string())
    org.poisons.add("Contact", ids[4].as_py())
    came: list[Retrieved] = []
    limits = replace(DOCUMENTED, ids_per_collection=6)
    with client_of(credentials, limits) as client, pytest.raises(QuotaExceededError):
        client.meter.calls_allowed = 3
        plan = cheapest("Contact", of.fields, len(ids), limits=limits, force=Api.COMPOSITE)
        came.extend(retrieval.retrieve(client, plan, ids, of))

    assert [*ids.to_pylist()[:4], *ids.to_pylist()[6:]] == ids_of(came)


def test_few_calls_are_for_the_search_of_the_first_batch(
    org: DemoOrg, credentials: SessionCredentials
) -> None:
    """The batches behind a bad record do not take the calls in which it is found."""
    of, ids = columns_in(org), pa.array(sorted(org.rows("Contact"))[:25], pa.string())
    org.poisons.add("Contact", ids[0].as_py())
    came: list[Retrieved] = []
    limits = replace(DOCUMENTED, ids_per_collection=5)
    with client_of(credentials, limits) as client, suppress(QuotaExceededError):
        client.meter.calls_allowed = 5
        plan = cheapest("Contact", of.fields, len(ids), limits=limits, force=Api.COLLECTIONS)
        came.extend(retrieval.retrieve(client, plan, ids, of))

    assert ids.to_pylist()[1:5] == ids_of(came)[:4]
