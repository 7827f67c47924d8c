"""One record or field that makes a whole call fail: listed until it comes right; the rest loads."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from math import log2
from typing import Any

import pyarrow as pa
import pytest

from salesforce_targeted.api.client import SalesforceClient
from salesforce_targeted.api.credentials import SessionCredentials
from salesforce_targeted.api.errors import QueryError, UnavailableError
from salesforce_targeted.api.limits import DOCUMENTED
from salesforce_targeted.arrow.columns import Columns, columns
from salesforce_targeted.demo_org import DemoOrg, serve
from salesforce_targeted.demo_org.faults.faults import Fault
from salesforce_targeted.demo_org.http.server import DemoServer
from salesforce_targeted.retrieval.planner import cheapest
from salesforce_targeted.retrieval.results import Retrieved
from salesforce_targeted.retrieval.retrieve import retrieve
from salesforce_targeted.settings import Api, Scope
from tests.conftest import BOTH, Synced

BY_ID = [Api.COLLECTIONS, Api.COMPOSITE, Api.QUERY]
REFUSED = {"status": 400, "code": "INVALID_QUERY_FILTER_OPERATOR"}
LISTED = "SELECT object, record_id, field FROM sf_rejected_records ORDER BY 1, 2, 3"


def listed(synced: Synced) -> list[tuple[Any, ...]]:
    """Return what is in sf_rejected_records."""
    return [tuple(row) for row in synced.sql(LISTED)]


# --- a whole run


@BOTH
def test_a_record_that_cant_be_read_costs_itself_alone(org: DemoOrg, synced: Synced) -> None:
    """Its row is kept as it was, the life table and the list say why; cured, it is true again."""
    bad, *rest = org.active_ids()
    synced.begin()
    org.edit("Contact", bad, LastName="Newer")
    org.edit("Contact", rest[0], LastName="Fresh")
    org.poisons.add("Contact", bad)
    facts = synced.ok()
    rejected, names = listed(synced), synced.rows("sf_contacts")
    reasons = synced.sql(f"SELECT gone_reason FROM sf_active_contacts WHERE contact_id = '{bad}'")
    org.poisons.clear()
    synced.ok(Scope(retry_rejected=True))
    after = synced.rows("sf_contacts")
    synced.ok()

    assert (1, len(rest)) == (facts["contacts"]["rejected"], facts["contacts"]["retrieved"])
    assert [("Contact", bad, "*")] == rejected
    assert [text for text in facts["warnings"] if "sf_rejected_records lists them" in text]
    assert ("Fresh", "Newer") == (names[rest[0]]["last_name"], after[bad]["last_name"])
    assert "Newer" != names[bad]["last_name"]
    assert [("rejected",)] == [tuple(row) for row in reasons]
    assert [] == listed(synced)
    assert [(None,)] == [
        tuple(row)
        for row in synced.sql(
            f"SELECT gone_reason FROM sf_active_contacts WHERE contact_id = '{bad}'"
        )
    ]


@pytest.mark.deep
@pytest.mark.parametrize(
    ("object_name", "table"), [("Contact", "sf_contacts"), ("Task", "sf_activities")]
)
def test_a_field_that_cant_be_read_of_one_record_is_null_in_its_row(
    org: DemoOrg, synced: Synced, object_name: str, table: str
) -> None:
    """The row loads with all else; an ordinary run brings the field when it can be read."""
    bad = sorted(org.rows(object_name))[3]
    if object_name == "Contact":
        org.log_task([bad])
    org.edit(object_name, bad, Description="a text")
    org.poisons.add(object_name, bad, "Description")
    synced.ok()
    rejected, row = listed(synced), synced.rows(table)[bad]
    org.poisons.clear()
    synced.ok()

    assert [(object_name, bad, "Description")] == rejected
    assert (None, org.rows(object_name)[bad]["CreatedById"]) == (
        row["description"], row["created_by_id"],
    )  # fmt: skip
    assert "a text" == synced.rows(table)[bad]["description"]
    assert [] == listed(synced)


def test_a_task_that_cant_be_read_accounts_for_its_relations(org: DemoOrg, synced: Synced) -> None:
    """It is not held and it is listed: no relation is left without an explanation."""
    bad = min(org.rows("TaskWhoRelation").values(), key=lambda row: row["Id"])["TaskId"]
    org.poisons.add("Task", bad)
    facts = synced.ok()

    assert bad not in synced.rows("sf_activities")
    assert [("Task", bad, "*")] == listed(synced)
    assert (0, 1) == (facts["closure"]["relations_unexplained"], facts["tasks"]["rejected"])
    assert not [text for text in facts["warnings"] if "accounted for" in text]


def test_a_field_that_cant_be_read_of_any_record_is_rejected_once(
    org: DemoOrg, synced: Synced
) -> None:
    """All rows load without it; when it can be read again, all of them get it."""
    org.poisons.add("Contact", None, "Birthdate")
    facts = synced.ok()
    rejected, rows = listed(synced), synced.rows("sf_contacts")
    redo = synced.ok()
    org.poisons.clear()
    synced.ok(Scope(retry_rejected=True))
    shown = org.rows("Contact", ids=org.active_ids())

    assert [("Contact", "*", "Birthdate")] == rejected
    assert len(org.active_ids()) == facts["contacts"]["retrieved"] == redo["contacts"]["retrieved"]
    assert {None} == {row["birthdate"] for row in rows.values()}
    assert {id_: row["Birthdate"] for id_, row in shown.items()} == {
        id_: row["birthdate"] and str(row["birthdate"])
        for id_, row in synced.rows("sf_contacts").items()
    }
    assert [] == listed(synced)


@pytest.mark.deep
def test_fields_that_the_org_names_are_not_searched_for(org: DemoOrg, synced: Synced) -> None:
    """Described and refused, of two objects: a call for each, where a search takes nine."""
    synced.begin()
    org.reset_calls()
    synced.ok()
    quiet = org.billed
    org.poisons.add("Contact", None, "Birthdate", status=400, code="INVALID_FIELD")
    org.poisons.add("Contact", None, "NPI__c", status=400, code="INVALID_FIELD")
    org.poisons.add("Task", None, "Subject", status=400, code="INVALID_FIELD")
    org.edit("Contact", org.active_ids()[0], LastName="Fresh")
    org.reset_calls()
    facts = synced.ok()

    # What was asked for with others is asked for alone first.
    assert org.billed <= quiet + 3 + len({"Contact", "Task"}) + len({"archived tasks"})
    assert [
        ("Contact", "*", "Birthdate"),
        ("Contact", "*", "NPI__c"),
        ("Task", "*", "Subject"),
    ] == (listed(synced))
    assert 1 == facts["contacts"]["updated"]


@pytest.mark.deep
def test_a_field_that_goes_away_in_mid_run_keeps_what_is_held(org: DemoOrg, synced: Synced) -> None:
    """Described, then gone: its values stay, in this run and when describe no longer shows it."""
    synced.begin()
    before = {id_: row["npi__c"] for id_, row in synced.rows("sf_contacts").items()}
    org.poisons.add("Contact", None, "NPI__c", status=400, code="INVALID_FIELD")
    edited = org.active_ids()[0]
    org.edit("Contact", edited, LastName="Fresh")
    during = synced.ok()
    meanwhile = synced.rows("sf_contacts")
    org.poisons.clear()
    org.drop_field("Contact", "NPI__c")
    after = synced.ok()

    assert (1, 0) == (during["contacts"]["updated"], after["contacts"]["updated"])
    assert "Fresh" == meanwhile[edited]["last_name"]
    assert before == {id_: row["npi__c"] for id_, row in meanwhile.items()}
    assert before == {id_: row["npi__c"] for id_, row in synced.rows("sf_contacts").items()}
    assert any(before.values())


@pytest.mark.deep
@pytest.mark.parametrize("field", ["*", "LastName"])
def test_where_only_changes_are_read_what_was_rejected_is_tried_in_every_run(
    org: DemoOrg, synced: Synced, field: str
) -> None:
    """Nothing moves its stamp when it comes right."""
    bad, other, *_ = org.active_ids()
    synced.ok(refresh_call_budget=0)
    org.edit("Contact", bad, LastName="Newer")
    org.poisons.add("Contact", bad, field)
    synced.ok(refresh_call_budget=0)
    rejected = listed(synced)
    org.advance(86_400)
    org.edit("Contact", other, LastName="Newest")  # the cursor goes past the first edit
    synced.ok(refresh_call_budget=0)
    org.poisons.clear()
    synced.ok(refresh_call_budget=0)

    assert [("Contact", bad, field)] == rejected
    assert "Newer" == synced.rows("sf_contacts")[bad]["last_name"]
    assert [] == listed(synced)


def test_a_deleted_record_that_cant_be_read_is_not_called_hidden(
    org: DemoOrg, synced: Synced
) -> None:
    """QueryAll fails for it: rejected, while another deleted one is explained."""
    bad, other, *_ = org.active_ids()
    synced.begin()
    org.relations_outlive_contacts = True
    org.delete_contact(bad)
    org.delete_contact(other)
    org.poisons.add("Contact", bad)
    synced.ok()
    reasons = dict(
        tuple(row) for row in synced.sql("SELECT contact_id, gone_reason FROM sf_active_contacts")
    )

    assert [("Contact", bad, "*")] == listed(synced)
    assert ("rejected", "deleted") == (reasons[bad], reasons[other])


@pytest.mark.brief(1)
@pytest.mark.parametrize("poison", [{}, REFUSED], ids=["500", "400"])
def test_an_org_that_answers_nothing_is_an_error_and_nothing_is_rejected(
    org: DemoOrg, synced: Synced, poison: dict[str, Any]
) -> None:
    """No record is to blame: the run fails after few calls, and what is held stays."""
    synced.begin()
    before = synced.rows("sf_contacts")
    org.poisons.add("Contact", **poison)
    org.reset_calls()
    stopped = synced.run()

    assert "failed" == stopped.facts["status"]
    assert "ErrorId" in stopped.facts["error"]
    assert 20 > org.billed
    assert before == synced.rows("sf_contacts")
    assert [] == synced.sql(LISTED)


def test_a_failed_bulk_job_is_made_good_by_another_api(org: DemoOrg, synced: Synced) -> None:
    """Salesforce fails the job for one record: all but that one come through REST."""
    bad = org.active_ids()[0]
    org.poisons.add("Contact", bad)
    stopped = synced.run(api="bulk")
    org.faults.add(Fault("bulk_poll", "bulk_silent", times=99))

    assert "failed" == stopped.facts["status"]
    assert "is Failed: UNKNOWN_EXCEPTION" in stopped.facts["error"]


# --- retrieval alone


@pytest.mark.parametrize("fault", ["no_access_403", "invalid_type_400", "bulk_restricted_400"])
def test_whatever_bulk_refuses_rest_is_asked_for(many: Many, fault: str) -> None:
    """A user without the right to Bulk jobs may well read by REST."""
    many.org.faults.add(Fault("bulk_create", fault, times=9))
    asked: list[int] = []

    def replan(_api: Api, left: int, _error: Any) -> Any:
        asked.append(left)
        return cheapest("Contact", many.of.fields, left, force=Api.COLLECTIONS)

    parts, _ = many.retrieved(Api.BULK, replan)
    many.org.faults.clear()

    assert [len(many.ids)] == asked
    assert len(many.ids) == sum(len(part.batch) for part in parts)


class Many:
    """An org with two thousand active contacts, and what reads them."""

    def __init__(self, org: DemoOrg, server: DemoServer) -> None:
        self.org = org
        credentials = SessionCredentials(instance_url=server.url, access_token=server.token)
        self.client = SalesforceClient(credentials, sleep=lambda _seconds: None)
        self.of: Columns = columns(
            self.client.describe("Contact"), normalize=str.lower, id_column="id", stored={}
        )
        self.ids = sorted(org.active_ids())

    def retrieved(self, api: Api, replan: Any = None) -> tuple[list[Retrieved], int]:
        """Retrieve all of them; the batches, and the calls beyond those planned."""
        count, limits = len(self.ids), self.client.limits
        plan = cheapest("Contact", self.of.fields, count, count, limits=limits, force=api)
        self.org.reset_calls()
        ids = pa.array(self.ids, pa.string())
        parts = list(retrieve(self.client, plan, ids, self.of, replan))
        return parts, self.org.billed - plan.calls


@pytest.fixture(scope="module")
def two_thousand() -> Iterator[Many]:
    org = DemoOrg(contacts=2_500, active=2_000, relations=4_000, seed=7)
    with serve(org) as server:
        reader = Many(org, server)
        yield reader
        reader.client.close()


@pytest.fixture
def many(two_thousand: Many) -> Iterator[Many]:
    """Nothing in it is poisoned yet."""
    yield two_thousand
    two_thousand.org.poisons.clear()
    two_thousand.client.limits = DOCUMENTED
    two_thousand.client.composes = True


@pytest.mark.each_value
@pytest.mark.brief(4)
@pytest.mark.parametrize("api", BY_ID)
@pytest.mark.parametrize("field", ["*", "Birthdate"])
@pytest.mark.parametrize("poison", [{}, REFUSED], ids=["500", "400"])
@pytest.mark.parametrize("places", [[1_999], [5, 700, 701, 1_500]], ids=str)
def test_the_others_come_for_a_handful_of_calls(
    many: Many, api: Api, field: str, poison: dict[str, Any], places: list[int]
) -> None:
    """K bad records cost at most k times the calls of a search by halves."""
    bad = [many.ids[place] for place in places]
    for id_ in bad:
        many.org.poisons.add("Contact", id_, field, **poison)
    parts, extra = many.retrieved(api)
    came = [id_ for part in parts for id_ in part.batch.table.column(many.of.key.name).to_pylist()]
    rejected = [(r.record_id, r.field or "*") for part in parts for r in part.batch.rejected]

    assert sorted((id_, field) for id_ in bad) == sorted(rejected)
    assert sorted(set(many.ids) - set(bad if field == "*" else [])) == sorted(came)
    assert extra <= len(bad) * (log2(2_000) + 1)


@pytest.mark.deep
@pytest.mark.parametrize("api", BY_ID)
def test_a_field_that_no_record_can_be_read_with_is_looked_for_once(many: Many, api: Api) -> None:
    """What one call learned, the others need not: at most one more each, where searching takes 7."""
    many.org.poisons.add("Contact", None, "Birthdate", status=400, code="INVALID_FIELD")
    many.client.limits = replace(many.client.limits, ids_per_collection=100)
    parts, extra = many.retrieved(api)

    assert 2_000 == sum(len(part.batch) for part in parts)
    assert {("*", "Birthdate")} == {
        (r.record_id, r.field) for part in parts for r in part.batch.rejected
    }
    assert extra <= 2_000 / 100 + many.client.max_in_flight + log2(len(many.of.fields)) + 1


def test_a_field_of_one_record_is_not_taken_from_all_where_others_are_bad_too(many: Many) -> None:
    """All parts of the first call fail, each for a record of its own."""
    places = [400, 800, 1_200, 1_500]
    many.org.poisons.add("Contact", many.ids[0], "Birthdate")
    for place in places:
        many.org.poisons.add("Contact", many.ids[place])
    parts, _ = many.retrieved(Api.COLLECTIONS)
    rejected = {(r.record_id, r.field) for part in parts for r in part.batch.rejected}

    assert {(many.ids[0], "Birthdate"), *((many.ids[place], "") for place in places)} == rejected
    assert 2_000 - len(places) == sum(len(part.batch) for part in parts)


def test_where_composite_is_refused_the_parts_are_asked_one_by_one(many: Many) -> None:
    """More calls, the same rows."""
    bad = many.ids[77]
    many.org.poisons.add("Contact", bad)
    many.org.faults.add(Fault("composite", "not_found_404", times=99))
    parts, _ = many.retrieved(Api.COLLECTIONS)
    many.org.faults.clear()

    assert 1_999 == sum(len(part.batch) for part in parts)
    assert [(bad, "")] == [(r.record_id, r.field) for part in parts for r in part.batch.rejected]


@pytest.mark.parametrize("api", BY_ID)
def test_what_no_record_can_be_blamed_for_is_raised(many: Many, api: Api) -> None:
    """After few calls, as the error that it is."""
    many.org.poisons.add("Contact", **REFUSED)
    with pytest.raises(QueryError, match="ErrorId"):
        many.retrieved(api)
    many.org.poisons.clear()
    many.org.poisons.add("Contact")
    with pytest.raises(UnavailableError, match="ErrorId"):
        many.retrieved(api)


def test_what_a_failed_job_left_is_read_by_the_plan_for_that(many: Many) -> None:
    """All but the record that failed it."""
    bad, errors = many.ids[3], list[str]()
    many.org.poisons.add("Contact", bad)

    def replan(_api: Api, left: int, error: Exception) -> Any:
        errors.append(f"{left}: {error}")
        return cheapest("Contact", many.of.fields, left, exclude=[Api.BULK])

    parts, _ = many.retrieved(Api.BULK, replan)

    assert 1_999 == sum(len(part.batch) for part in parts)
    assert [(bad, "")] == [(r.record_id, r.field) for part in parts for r in part.batch.rejected]
    assert errors[0].startswith("2000: Bulk job 750")
