"""Discovery over HTTP: every active contact is found once, with its number of relations."""

from __future__ import annotations

from collections import Counter
from math import ceil

import pyarrow as pa
import pytest

from salesforce_targeted.api.client import SalesforceClient
from salesforce_targeted.api.credentials import SessionCredentials
from salesforce_targeted.demo_org import DemoOrg, serve
from salesforce_targeted.relations import queries
from salesforce_targeted.relations.active_ids import active_ids, is_last
from salesforce_targeted.target import SHARED_ACTIVITIES, Junction
from tests.support.relation_rows import JUNCTIONS, counts_in, groups_of, moment, shown, stamps


@JUNCTIONS
@pytest.mark.parametrize("per_call", [1, 2, 3, 4, 11, 12, 13, 2000])
def test_every_active_contact_is_discovered(
    org: DemoOrg, client: SalesforceClient, junction: Junction, per_call: int
) -> None:
    """With its number of relations, once, in the order of ids, whatever a batch holds."""
    org.shared_activities = junction is SHARED_ACTIVITIES
    batches = list[pa.Table]()
    found = active_ids(groups_of(client, per_call), junction, "003", each=batches.append)
    expected = Counter(row["RelationId"] for row in shown(org, junction).values())

    assert [(who, expected[who]) for who in org.active_ids()] == counts_in(found)
    assert all(batch.num_rows <= per_call for batch in batches)
    assert len(org.active_ids()) == sum(batch.num_rows for batch in batches)


def test_ten_thousand_active_contacts_are_discovered() -> None:
    """Five times what one GROUP BY may answer: none is missing, none comes twice."""
    org = DemoOrg(contacts=12_000, active=10_000, relations=12_000)
    with serve(org) as server:
        client = SalesforceClient(
            SessionCredentials(instance_url=server.url, access_token=server.token)
        )
        whos = [who for who, _ in counts_in(active_ids(client, SHARED_ACTIVITIES, "003"))]
        client.close()

    assert 10_000 == len(whos)
    assert org.active_ids() == whos
    assert 6 == org.billed  # 5 full batches, and the rest with the leads in it
    assert [] == org.unexpected


def test_discovery_stops_at_the_leads(org: DemoOrg, client: SalesforceClient) -> None:
    """Ids are answered in their order: what lies beyond the contacts is not read."""
    task = org.log_task()
    for _ in range(20):
        org.relate(task, org.tables["Lead"].numbering.id_of(1))
    org.reset_calls()
    contacts = len(org.active_ids())
    active_ids(groups_of(client, 1), SHARED_ACTIVITIES, "003")

    assert contacts + 1 == org.billed


def test_leads_are_discovered_as_well(org: DemoOrg, client: SalesforceClient) -> None:
    """The wanted object is named by its prefix; others on the way are passed over."""
    leads = {
        row["RelationId"] for row in shown(org, SHARED_ACTIVITIES).values() if row["Type"] == "Lead"
    }
    counts = counts_in(active_ids(groups_of(client, 4), SHARED_ACTIVITIES, "00Q"))

    assert leads == {who for who, _ in counts}
    assert leads


def test_an_org_without_relations(org: DemoOrg, client: SalesforceClient) -> None:
    """Nothing is discovered, in one call."""
    for id_ in shown(org, SHARED_ACTIVITIES):
        org.remove_relation(id_)
    org.reset_calls()

    assert [] == counts_in(active_ids(client, SHARED_ACTIVITIES, "003"))
    assert 1 == org.billed


def test_discovery_of_what_was_modified_since(org: DemoOrg, client: SalesforceClient) -> None:
    """Only the contacts of relations that were stamped at the second or later."""
    rows = shown(org, SHARED_ACTIVITIES)
    since = stamps(rows)[len(rows) // 2]
    expected = Counter(
        row["RelationId"] for row in rows.values()
        if str(row["SystemModstamp"]) >= since and (row["RelationId"] or "").startswith("003")
    )  # fmt: skip
    counts = active_ids(groups_of(client, 3), SHARED_ACTIVITIES, "003", since=moment(since))

    assert sorted(expected.items()) == counts_in(counts)
    assert 0 < len(expected) < 12


@pytest.mark.parametrize("per_call", [1, 4, 13, 2000])
def test_discovery_goes_on_from_a_batch_that_is_known(
    org: DemoOrg, client: SalesforceClient, per_call: int
) -> None:
    """The first batch, asked for elsewhere, is neither asked for again nor lost."""
    first = client.records(queries.groups_statement(SHARED_ACTIVITIES, per_call))
    org.reset_calls()
    batches = active_ids(groups_of(client, per_call), SHARED_ACTIVITIES, "003", first=first)

    assert org.active_ids() == [who for who, _ in counts_in(batches)]
    assert ceil((len(org.active_ids()) + 1) / per_call) - 1 == org.billed


def test_calls_of_discovery(org: DemoOrg, client: SalesforceClient) -> None:
    """Batches that are full need one more call to see the end; a short one is the end."""
    groups = len({row["RelationId"] for row in shown(org, SHARED_ACTIVITIES).values()} - {None})
    contacts = len(org.active_ids())
    for per_call in range(2, groups + 2):
        org.reset_calls()
        active_ids(groups_of(client, per_call), SHARED_ACTIVITIES, "003")

        # The first batch that reaches past the contacts, or is short, is the last.
        assert ceil((contacts + 1) / per_call) == org.billed


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([], True),
        (["003000000000001"], True),  # not full
        (["003000000000001", "003000000000002"], False),
        (["003000000000001", "00Q000000000001"], True),  # past the contacts
        (["001000000000001", "001000000000002"], False),  # not there yet
    ],
)
def test_the_last_batch(rows: list[str], expected: bool) -> None:
    """A short batch is the end, and so is one that reaches beyond the wanted object."""
    groups = [{"RelationId": id_, "relations": 1} for id_ in rows]

    assert expected is is_last(groups, SHARED_ACTIVITIES, "003", 2)


# --- in ranges, side by side


@JUNCTIONS
@pytest.mark.parametrize("per_call", [1, 2, 5, 2_000])
@pytest.mark.parametrize("at", [[], [0], [3], [5, 6], [2, 5, 8, 11], [11], list(range(12))])
def test_discovery_in_ranges_finds_the_same(
    org: DemoOrg, client: SalesforceClient, junction: Junction, per_call: int, at: list[int]
) -> None:
    """Wherever the ids are parted: each with its number, once."""
    org.shared_activities = junction is SHARED_ACTIVITIES
    expected = Counter(row["RelationId"] for row in shown(org, junction).values())
    cuts = org.active_ids()
    cuts = [cuts[n] for n in at if n < len(cuts)]
    counts = active_ids(groups_of(client, per_call), junction, "003", cuts=cuts)

    assert sorted((who, expected[who]) for who in org.active_ids()) == sorted(counts_in(counts))


@pytest.mark.parametrize("at", [[2], [4, 6], [5, 11]])
def test_discovery_in_ranges_beyond_a_batch_that_is_known(
    org: DemoOrg, client: SalesforceClient, at: list[int]
) -> None:
    """The cuts part what the first batch leaves."""
    active = org.active_ids()
    first = client.records(queries.groups_statement(SHARED_ACTIVITIES, 2))
    counts = active_ids(
        groups_of(client, 2), SHARED_ACTIVITIES, "003", first=first, cuts=[active[n] for n in at]
    )

    assert active == sorted(who for who, _ in counts_in(counts))


def test_a_cut_that_is_nobodys_id_any_more(org: DemoOrg, client: SalesforceClient) -> None:
    """Cuts are of an earlier run: whichever they were, the ids around them are found."""
    active = org.active_ids()
    cuts = [org.contacts.numbering.id_of(n) for n in (5_000, 9_000)]
    counts = active_ids(groups_of(client, 3), SHARED_ACTIVITIES, "003", cuts=cuts)

    assert active == sorted(who for who, _ in counts_in(counts))


def test_calls_of_discovery_in_ranges(org: DemoOrg, client: SalesforceClient) -> None:
    """Each range ends with a batch that is not full, or at the leads."""
    active = org.active_ids()
    org.reset_calls()
    cuts = [active[3], active[7]]  # four, four and four of twelve
    active_ids(groups_of(client, 3), SHARED_ACTIVITIES, "003", cuts=cuts)

    assert 3 * (4 // 3 + 1) == org.billed
