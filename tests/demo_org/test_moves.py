"""An org that moves: between calls, between pages, at random, and remembers what it was."""

from __future__ import annotations

from datetime import timedelta
from email.utils import parsedate_to_datetime

import pytest

from salesforce_targeted.demo_org import DemoOrg
from salesforce_targeted.demo_org.changes.random_changes import ADMINISTRATION, CHANGES, EVERYDAY

ALL = "SELECT Id FROM Contact"
UNDOES = {
    "undelete_task": "delete_task", "undelete_contact": "delete_contact",
    "show_contact": "hide_contact", "show_task": "hide_task", "show_field": "hide_field",
    "regain_permission": "lose_permission",
}  # fmt: skip


def all_pages(rest, soql):
    """Return the ids of each page and the size that the first page named."""
    page = rest.query(soql).json()
    total, pages = page["totalSize"], [[record["Id"] for record in page["records"]]]
    while not page["done"]:
        page = rest.get(page["nextRecordsUrl"]).json()
        pages.append([record["Id"] for record in page["records"]])
    return pages, total


def test_every_response_is_dated_by_the_orgs_clock(org, rest):
    """Also a refusal, also the sign-in's; the clock stands still until something moves it."""
    dates = [parsedate_to_datetime(rest.get(path).headers["Date"])
             for path in ("limits", "nowhere", "/services/data")]  # fmt: skip
    org.advance(3600)
    later = parsedate_to_datetime(rest.get("limits").headers["Date"])

    assert [org.now - timedelta(hours=1)] * 3 == dates
    assert org.now == later


def test_a_change_comes_right_before_the_call_of_its_kind(org, rest):
    """The second query sees it, the first and the limits do not; it happens once."""
    org.moves.before_call("query", lambda: org.add_contact(LastName="Between"), nth=2)
    counts = []
    for _ in range(3):
        rest.get("limits")
        counts.append(len(rest.ids(ALL)))

    assert [40, 41, 41] == counts


def test_a_change_comes_right_before_a_call_by_its_number(org, rest):
    """Only billed calls count: the versions need no session and are none."""
    rest.get("limits")
    org.moves.before_call(2, lambda: org.add_contact(LastName="Between"))
    rest.get("/services/data")
    counts = [len(rest.ids(ALL)), len(rest.ids(ALL))]

    assert [40, 41] == counts


def test_a_change_between_two_pages(org, rest):
    """A row that goes drops out of the page to come; the total is the first page's."""
    org.page_rows = 25
    last = max(org.rows("Contact"))
    org.moves.before_call("query_more", lambda: org.hide_contact(last))
    pages, total = all_pages(rest, ALL)

    assert (40, [25, 14]) == (total, [len(page) for page in pages])


def test_a_change_between_the_parts_of_a_composite(org, rest):
    """They run one after the other, and each sees the org as it then is."""
    org.moves.before_call("part", lambda: org.add_contact(LastName="Between"), nth=2)
    part = {"method": "GET", "url": "/services/data/v64.0/query?q=SELECT+COUNT()+FROM+Contact"}
    parts = [{**part, "referenceId": name} for name in "ab"]
    responses = rest.post("composite", {"compositeRequest": parts}).json()["compositeResponse"]

    assert [40, 41] == [part["body"]["totalSize"] for part in responses]


def test_overlapping_pages_still_add_up(org, rest):
    """Each begins with the last rows of the one before; as many are missing, and no sum tells."""
    org.page_rows = 15
    org.moves.shift_pages("Contact", 3)
    pages, total = all_pages(rest, ALL)
    repeat, _ = all_pages(rest, ALL)
    seen = [id_ for page in pages for id_ in page]

    assert [15, 15, 10] == [len(page) for page in pages]
    assert [pages[0][-3:], pages[1][-3:]] == [pages[1][:3], pages[2][:3]]
    assert (total, 34) == (len(seen), len(set(seen)))
    assert sorted(org.rows("Contact")) == sorted(id_ for page in repeat for id_ in page)


def test_pages_with_gaps_are_short_at_the_end(org, rest):
    """Rows between two pages are missing; another object's query is left alone."""
    org.page_rows = 15
    org.moves.shift_pages("Contact", -3)
    tasks, _ = all_pages(rest, "SELECT Id FROM TaskWhoRelation")
    pages, total = all_pages(rest, ALL)
    every = sorted(org.rows("Contact"))

    assert sorted(org.rows("TaskWhoRelation")) == [id_ for page in tasks for id_ in page]
    assert [every[:15], every[18:33], every[36:]] == pages
    assert (40, 34) == (total, sum(map(len, pages)))


def test_random_moves_follow_from_their_seed(rest, org):
    """The same calls and the same seed make the same org; another seed another one."""
    histories = []
    for seed in (1, 1, 2):
        other = DemoOrg.tiny()
        other.moves.at_random(seed, share=1.0)
        for number in range(20):
            other.begin_call("query" if number % 2 else "collections")
        histories.append((other.rows("Contact"), other.rows("TaskWhoRelation"), other.moves.log))

    assert histories[0] == histories[1] != histories[2]
    assert histories[0][2]


def test_the_clock_moves_with_calls_and_stops(org, rest):
    """By the seconds given, with billed calls only; stopped, nothing moves."""
    org.moves.at_random(3, share=0.0, seconds_per_call=7)
    begun = org.now
    rest.get("limits")
    rest.get("/services/data")
    rest.get("limits")
    moved = org.now - begun
    org.moves.stop()
    rest.get("limits")

    assert (14, 14) == (moved.total_seconds(), (org.now - begun).total_seconds())
    assert [] == org.moves.log


@pytest.mark.parametrize("name", sorted(CHANGES))
def test_every_random_change_changes_something(name):
    """And says what, or says nothing where there is nothing to change."""
    org = DemoOrg.tiny()
    org.keep_history()
    if name in UNDOES:
        org.moves.at_random(5, 1.0, [UNDOES[name]], most=1)
        org.begin_call("query")
    before = {table: org.rows(table, all_rows=True) for table in org.tables}
    org.moves.log.clear()
    org.moves.at_random(5, 1.0, [name], most=1)
    for _ in range(5):
        org.begin_call("query")

    assert org.moves.log
    assert before != {table: org.rows(table, all_rows=True) for table in org.tables}


def test_an_unknown_change_is_refused(org):
    """Also what is of neither list; together the two lists are all."""
    with pytest.raises(ValueError, match="no change is called"):
        org.moves.at_random(1, changes=["revolution"])

    assert set(CHANGES) == {*EVERYDAY, *ADMINISTRATION}


def test_the_org_knows_every_version_that_a_call_could_see(org, rest):
    """Edited, deleted, hidden, shown: values, times, and which API showed the row."""
    id_ = org.active_ids()[0]
    org.keep_history()
    begun = org.now
    steps = [
        lambda: org.edit("Contact", id_, Title="one"), lambda: org.delete_contact(id_),
        lambda: org.hide_contact(id_), lambda: org.show_contact(id_),
    ]  # fmt: skip
    for number, step in enumerate(steps, start=1):
        org.moves.before_call(number, lambda step=step: (org.advance(60), step()))
    for _ in steps:
        rest.get("limits")
    versions = org.versions("Contact")[id_]

    assert ["query", "query", "queryAll", "nothing", "queryAll"] == [v.shown_by for v in versions]
    assert ["one", "one", None, "one"] == [v.row and v.row["Title"] for v in versions[1:]]
    assert begun == versions[0].since
    assert [v.since for v in versions[1:]] == [v.until for v in versions[:-1]]
    assert (org.now, None) == (versions[-1].since, versions[-1].until)
    assert [1] * 39 == [len(v) for other, v in org.versions("Contact").items() if other != id_]


def test_versions_follow_permissions_and_fields(org, rest):
    """A field hidden is a version without it, an object lost one that nothing shows."""
    id_ = org.active_ids()[0]
    org.moves.before_call(1, lambda: org.hide_field("Contact", "Title"))
    org.moves.before_call(2, lambda: org.hidden_objects.add("Contact"))
    org.moves.before_call(3, org.hidden_objects.clear)
    for _ in range(3):
        rest.get("limits")
    versions = org.versions("Contact", [id_])[id_]

    assert [True, False, None, False] == [v.row and "Title" in v.row for v in versions]
    assert ["query", "query", "nothing", "query"] == [v.shown_by for v in versions]


def test_a_state_that_no_call_saw_is_no_version(org, rest):
    """Two edits between two calls are one version; a row made later has no version before."""
    org.keep_history()
    id_ = org.add_contact(LastName="First")
    org.edit("Contact", id_, LastName="Second")
    rest.get("limits")

    assert ["Second"] == [v.row["LastName"] for v in org.versions("Contact")[id_]]


def test_an_org_that_keeps_no_history_says_so(org):
    """Keeping it takes room, so that it is off by default."""
    with pytest.raises(ValueError, match="keep_history"):
        org.versions("Contact")
