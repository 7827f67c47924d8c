"""Objects with hundreds of fields: read in portions where the org insists, in calls for records."""

from __future__ import annotations

from math import ceil

import pyarrow as pa
import pytest

from salesforce_targeted.api.client import SalesforceClient
from salesforce_targeted.api.credentials import SessionCredentials
from salesforce_targeted.api.limits import DOCUMENTED
from salesforce_targeted.arrow.columns import Columns
from salesforce_targeted.demo_org import DemoOrg, serve
from salesforce_targeted.demo_org.faults.faults import Fault
from salesforce_targeted.retrieval import retrieve as retrieval
from salesforce_targeted.retrieval.parts import Lessons
from salesforce_targeted.retrieval.planner import cheapest
from salesforce_targeted.retrieval.results import DELETED, Retrieved
from salesforce_targeted.settings import Api
from tests.conftest import BOTH, Synced
from tests.support.retrieval import (
    EVERY_WAY,
    client_of,
    columns_in,
    gone_of,
    ids_of,
    retrieve,
    rows_of,
)

MOST = pytest.mark.parametrize("most", [20, 60, 300])


@pytest.mark.brief(6)
@EVERY_WAY
@MOST
def test_fields_that_are_refused_together_are_joined_by_id(
    org: DemoOrg, credentials: SessionCredentials, way: Api | str, most: int
) -> None:
    """The rows are those that an org without the limit gives; deleted and archived ones, too."""
    org.widen("Contact", 350 if most == 300 else 150)
    ids, of = org.active_ids(), columns_in(org)
    org.delete_contact(ids[0])
    org.delete_contact(ids[-1])
    expected = retrieve(credentials, DOCUMENTED, way, ids, of)
    org.traits.most_fields = most
    answers = retrieve(credentials, DOCUMENTED, way, ids, of, fallback=True)
    rows, plain = rows_of(answers), rows_of(expected)
    (last,) = [part.last_rows.table for part in answers if part.last_rows]
    (last_plain,) = [part.last_rows.table for part in expected if part.last_rows]

    assert plain == rows
    assert last_plain.sort_by("id") == last.sort_by("id")
    assert {ids[0]: DELETED, ids[-1]: DELETED} == {
        id_: g.reason for id_, g in gone_of(answers).items()
    }
    assert [] == [rejected for part in answers for rejected in part.batch.rejected]


def test_an_archived_task_of_many_fields(org: DemoOrg, credentials: SessionCredentials) -> None:
    """It comes in portions through ``queryAll``."""
    org.widen("Task", 150)
    ids = [org.log_task([org.hostile_id]) for _ in range(4)]
    org.archive_task(ids[0])
    org.traits.most_fields = 60
    of = columns_in(org, "Task")
    answers = retrieve(credentials, DOCUMENTED, Api.COLLECTIONS, ids, of)

    assert sorted(ids) == sorted(ids_of(answers))
    assert [ids[0]] == [id_ for part in answers for id_ in part.archived]


def test_a_bad_field_and_too_many_fields(org: DemoOrg, credentials: SessionCredentials) -> None:
    """Each has its own remedy: one is left out, the others are joined."""
    org.widen("Contact", 150)
    ids, of = org.active_ids(), columns_in(org)
    org.traits.most_fields = 60
    org.poisons.add("Contact", None, "Birthdate")
    org.poisons.add("Contact", ids[3], "Title")
    answers = retrieve(credentials, DOCUMENTED, Api.COLLECTIONS, ids, of)

    assert sorted(ids) == sorted(ids_of(answers))
    assert {("*", "Birthdate"), (ids[3], "Title")} == {
        (r.record_id, r.field) for part in answers for r in part.batch.rejected
    }


def test_one_record_alone_of_too_many_fields(org: DemoOrg, client: SalesforceClient) -> None:
    """What it teaches holds for the next."""
    org.widen("Contact", 150)
    of, lessons = columns_in(org), Lessons()
    org.traits.most_fields = 60
    first, second, *_ = org.active_ids()
    assert [first] == ids_of(read(client, [first], of, lessons))
    org.reset_calls()

    assert [second] == ids_of(read(client, [second], of, lessons))
    assert 1 == org.billed


def read(
    client: SalesforceClient, ids: list[str], of: Columns, lessons: Lessons
) -> list[Retrieved]:
    plan = cheapest(of.object_name, of.fields, len(ids), force=Api.COLLECTIONS)
    asked = pa.array(ids, pa.string())
    return list(retrieval.retrieve(client, plan, asked, of, lessons=lessons))


@pytest.mark.deep
def test_what_one_batch_learns_the_next_ones_need_not_search_for() -> None:
    """Once it is learnt, 2,000 records of 842 fields are one call for five portions."""
    org = DemoOrg(contacts=5_000, active=4_000, relations=4_500, seed=7)
    org.widen("Contact", 842)
    org.traits.most_fields = 300
    warnings: list[str] = []
    lessons = Lessons(warn=warnings.append)
    with serve(org) as server:
        signed_in = SessionCredentials(instance_url=server.url, access_token=server.token)
        with client_of(signed_in, DOCUMENTED) as client:
            of = columns_in(org)
            read(client, org.active_ids()[:2_000], of, lessons)
            first = org.billed
            org.reset_calls()
            answers = read(client, org.active_ids()[2_000:], of, lessons)

    assert 3 == first
    assert 2_000 == len(ids_of(answers))
    assert ceil((842 / 200) / 5) == org.billed
    assert ["QUERY_TOO_COMPLICATED"] == [
        "QUERY_TOO_COMPLICATED" for text in warnings if "QUERY_TOO_COMPLICATED" in text
    ]
    assert "name the ones to read in fields" in warnings[0]


def test_no_record_is_searched_for_where_there_are_too_many_fields(
    org: DemoOrg, client: SalesforceClient
) -> None:
    """Half as many fields are tried at once: a run of five calls learns it, and reads the rows."""
    org.widen("Contact", 150)
    org.traits.most_fields = 130
    org.reset_calls()
    answers = read(client, org.active_ids(), columns_in(org), Lessons())

    assert set(org.active_ids()) == set(ids_of(answers))
    assert 2 == org.billed


@pytest.mark.parametrize("change", ["edit", "delete"])
def test_a_record_that_changes_between_two_portions_is_read_again(
    org: DemoOrg, client: SalesforceClient, change: str
) -> None:
    """No row is half of one version and half of another, and none is half null."""
    org.widen("Contact", 150)
    of, lessons = columns_in(org), Lessons()
    org.traits.most_fields = 60
    ids = org.active_ids()
    read(client, ids, of, lessons)
    moved = ids[3]
    if change == "delete":
        org.moves.before_call("part", lambda: org.delete_contact(moved), nth=2)
    else:
        names = {"FirstName": "Fresh", "LastName": "Newer"}
        org.moves.before_call("part", lambda: org.edit("Contact", moved, **names), nth=2)
    answers = read(client, ids, of, lessons)
    org.moves.stop()
    rows = {row["id"]: row for part in answers for row in part.batch.table.to_pylist()}

    if change == "delete":
        assert {moved: DELETED} == {id_: g.reason for id_, g in gone_of(answers).items()}
        assert set(ids) - {moved} == set(rows)
    else:
        assert ("Fresh", "Newer") == (rows[moved]["FirstName"], rows[moved]["LastName"])
        assert set(ids) == set(rows)
    assert all(row["CreatedById"] for row in rows.values())


def test_sixty_gone_records_of_many_fields_are_one_more_call(
    org: DemoOrg, credentials: SessionCredentials
) -> None:
    """A statement that travels in a body is bounded by SOQL, not by the address."""
    org.widen("Contact", 842)
    gone = [org.add_contact(LastName=f"Gone {n}") for n in range(60)]
    for id_ in gone:
        org.delete_contact(id_)
    org.reset_calls()
    answers = retrieve(credentials, DOCUMENTED, Api.COLLECTIONS, gone, columns_in(org))

    assert 2 == org.billed
    assert dict.fromkeys(gone, DELETED) == {i: g.reason for i, g in gone_of(answers).items()}


def test_sixty_gone_records_where_composite_is_refused(
    org: DemoOrg, credentials: SessionCredentials
) -> None:
    """The address holds no 842 fields: they are read in portions, by ids that it has room for."""
    org.widen("Contact", 842)
    gone = [org.add_contact(LastName=f"Gone {n}") for n in range(60)]
    for id_ in gone:
        org.delete_contact(id_)
    org.faults.add(Fault("composite", "not_enabled_403", times=10_000))
    answers = retrieve(credentials, DOCUMENTED, Api.COLLECTIONS, gone, columns_in(org))

    assert dict.fromkeys(gone, DELETED) == {i: g.reason for i, g in gone_of(answers).items()}


@BOTH
def test_a_run_says_once_that_fields_are_read_in_portions(org: DemoOrg, synced: Synced) -> None:
    """First and repeat, with a deleted contact; the report names the way and the remedy."""
    org.relations_outlive_contacts = True
    org.widen("Contact", 150)
    org.traits.most_fields = 60
    gone, *rest = org.active_ids()
    first = synced.ok()
    org.delete_contact(gone)
    org.edit("Contact", rest[0], LastName="Fresh")
    repeat = synced.ok()
    rows = synced.rows("sf_contacts")

    assert [1, 1] == [
        sum("read at a time and joined by id" in text for text in facts["warnings"])
        for facts in (first, repeat)
    ]
    assert (len(rest) + 1, len(rest)) == (
        first["contacts"]["retrieved"], repeat["contacts"]["retrieved"],
    )  # fmt: skip
    assert "Fresh" == rows[rest[0]]["last_name"]
    assert {(1, 0), (0, 0)} >= {(facts["contacts"]["gone"], facts["contacts"]["rejected"])
                                for facts in (first, repeat)}  # fmt: skip
