"""The result pages of a job, several at once: in their order, counted, and no more than may be held."""

import time
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import pytest

from salesforce_targeted.api import bulk_job, errors
from salesforce_targeted.api.models import Job
from tests.support.bulk_pages import rows_of
from tests.support.threads import Most, until

CSV = {"Content-Type": "text/csv"}
BASE = "/services/data/v64.0/jobs/query/750R0000000zlh9IAA"


class Pages:
    """A complete job's results: so many pages of two rows, named five at a time."""

    def __init__(self, answer, pages, *, per_call=5):
        self.answer, self.pages, self.per_call = answer, pages, per_call
        self.inside = Most()
        self.slow = ()

    def __call__(self, heard):
        path, params = urlsplit(heard.path).path, parse_qs(urlsplit(heard.path).query)
        at = int(params.get("locator", ["p0"])[0][1:])
        if path.endswith("/resultPages"):
            numbers = range(at, min(at + self.per_call, self.pages))
            rest = at + self.per_call
            return self.answer(body={
                "resultPages": [{"resultUrl": f"{BASE}/results?locator=p{n}&maxRecords=2"} for n in numbers],
                "done": rest >= self.pages,
                "nextRecordsUrl": f"{BASE}/resultPages?locator=p{rest}&maxRecords=2" if rest < self.pages else None,
            })  # fmt: skip
        with self.inside:
            time.sleep(0.05 if at in self.slow else 0.005)
            if self.slow:  # until another has come, whichever the busy machine let through first
                until(lambda: self.inside.most > 1)
        return self.page(at)

    def page(self, at):
        """Two rows; the page after it is named, for a reader of one after the other."""
        following = f"p{at + 1}" if at + 1 < self.pages else "null"
        body = b'"Id"\n"%d-1"\n"%d-2"\n' % (at, at)
        return self.answer(body=body, headers={**CSV, "Sforce-Locator": following})


@pytest.fixture(autouse=True)
def pages_of_two(client):
    """Make a page two rows long."""
    client.limits = replace(client.limits, bulk_rows_per_page=2)


def complete(rows):
    """Return what Salesforce says of a job that is complete."""
    return Job("750R0000000zlh9IAA", "JobComplete", rows, "", "Account")


def first_id(body):
    """Return how many records a page holds, and which page it is."""
    count, rows = rows_of(body)
    return count, rows[0][0] if rows else None


@pytest.mark.parametrize("at_once", [2, 3, 4])
@pytest.mark.parametrize(("pages", "named"), [(2, 1), (5, 1), (6, 2), (11, 3)])
def test_pages_are_read_side_by_side(pages, named, at_once, client, server, answer):
    """By the addresses that Salesforce names, each as it arrives."""
    server.fallback = org = Pages(answer, pages)
    org.slow = (0, 3)
    results = bulk_job.results_as(client, complete(2 * pages), first_id, at_once=at_once)

    assert {f"{n}-1" for n in range(pages)} == {*(came := list(results))}
    assert pages == len(came)
    assert {"bulk_pages": named, "bulk_results": pages} == dict(client.meter.calls)
    assert 2 <= org.inside.most <= at_once
    assert 2 * pages == client.meter.timings()["bulk_results"][2]


def test_pages_are_drawn_as_they_are_used(client, server, answer):
    """No more of them in memory than may be at once, however slow the reader is."""
    server.fallback = Pages(answer, 20)
    results = bulk_job.results_as(client, complete(40), first_id, at_once=3)
    for used in range(1, 6):
        next(results)
        time.sleep(0.03)

        assert client.meter.calls["bulk_results"] <= used - 1 + 3
    results.close()


@pytest.mark.parametrize(
    ("rows", "at_once"),
    [
        (4, 1),  # one at a time was asked for
        (2, 3),  # a single page
        (None, 3),  # not known how many
    ],
)
def test_pages_one_after_the_other(rows, at_once, client, server, answer):
    """Where there is but one, or several were not asked for: each names the next one."""
    server.fallback = Pages(answer, (rows or 4) // 2)
    results = bulk_job.results_as(client, complete(rows), first_id, at_once=at_once)

    assert [f"{n}-1" for n in range((rows or 4) // 2)] == list(results)
    assert {"bulk_results": (rows or 4) // 2} == dict(client.meter.calls)


@pytest.mark.parametrize("refusal", [404, 400, 405])
def test_an_org_without_addresses_is_read_one_page_after_the_other(refusal, client, server, answer):
    """That the resource is not there costs a call, and no row."""
    org = Pages(answer, 3)
    no = answer(refusal, [{"errorCode": "NOT_FOUND", "message": "no such resource"}])
    server.fallback = lambda heard: no if "/resultPages" in heard.path else org(heard)
    results = bulk_job.results_as(client, complete(6), first_id, at_once=3)

    assert ["0-1", "1-1", "2-1"] == list(results)
    assert {"bulk_pages": 1, "bulk_results": 3} == dict(client.meter.calls)


@pytest.mark.parametrize("after", [0, 1])
def test_addresses_that_cannot_be_understood(after, client, server, answer):
    """From there on one page is read after the other, and each of them once."""
    org, odd = Pages(answer, 7), answer(body={"resultPages": "elsewhere", "done": False})
    asked = []

    def addresses(heard):
        if "/resultPages" not in heard.path:
            return org(heard)
        asked.append(heard.path)
        return odd if len(asked) > after else org(heard)

    server.fallback = addresses
    results = list(bulk_job.results_as(client, complete(14), first_id, at_once=3))

    # Those of the first addresses come as they arrive.
    assert [f"{n}-1" for n in range(7)] == sorted(results)
    assert {"bulk_pages": after + 1, "bulk_results": 7} == dict(client.meter.calls)


@pytest.mark.parametrize(
    ("change", "one_by_one"),
    [
        (lambda pages: [*pages, pages[0]], 0),  # a page twice
        (lambda pages: [*pages, pages[-1] + "0"], 0),  # more pages than there are rows
        (lambda pages: pages[:2], 5),  # done, though pages are left
        (lambda pages: [p.replace("v64.0", "v59.0") for p in pages], 7),  # refused with 409
        (lambda pages: [p.replace("=p1", "=p0") for p in pages], 7),  # one that overlaps another
    ],
)
def test_addresses_that_are_not_the_pages(change, one_by_one, client, server, answer):
    """What is named twice, or wrongly, or too early as the last costs calls, and no row."""
    org = Pages(answer, 7, per_call=9)

    def say(heard):
        if "/v59.0/" in heard.path:
            return answer(409, [{"errorCode": "VERSION_MISMATCH", "message": "64.0"}])
        if "locator=p60" in heard.path:
            return answer(body=b'"Id"\n', headers=CSV)
        if "/resultPages" not in heard.path:
            return org(heard)
        named = [f"{BASE}/results?locator=p{n}&maxRecords=2" for n in range(7)]
        changed = [{"resultUrl": url} for url in change([u.split("&")[0] for u in named])]
        return answer(body={"resultPages": changed, "done": True})

    server.fallback = say
    results = list(bulk_job.results_as(client, complete(14), first_id, at_once=3))

    assert {f"{n}-1" for n in range(7)} == {*results}
    assert one_by_one == sum("?maxRecords" in heard.path for heard in server.heard[-7:])


@pytest.mark.parametrize("status", [200, 409, 500, 503])
def test_addresses_that_stay_out(status, client, server, answer):
    """They are nice to know: where they can't be had, each page names the next one."""
    org, odd = Pages(answer, 3), answer(status, "<html>", {"Content-Type": "text/html"})
    server.fallback = lambda heard: odd if "/resultPages" in heard.path else org(heard)

    assert ["0-1", "1-1", "2-1"] == [*bulk_job.results_as(client, complete(6), first_id, at_once=3)]


@pytest.mark.parametrize("at_once", [1, 3])
@pytest.mark.parametrize("rows", [5, 7, 60])
def test_pages_together_are_counted(rows, at_once, client, server, answer):
    """Each page is whole, and together they are not what the job has processed: never a success."""
    server.fallback = Pages(answer, 3)
    job = complete(rows)

    with pytest.raises(errors.TruncatedResponseError, match=f"processed {rows} records"):
        list(bulk_job.results_as(client, job, first_id, at_once=at_once))


def test_addresses_that_go_round(client, server, answer):
    """The rest of the addresses is where it was before: the pages name each other."""
    org = Pages(answer, 3)
    page = {"resultUrl": f"{BASE}/results?locator=p0&maxRecords=2"}
    round_ = answer(body={"resultPages": [page], "done": False,
                          "nextRecordsUrl": f"{BASE}/resultPages?locator=p5&maxRecords=2"})  # fmt: skip
    server.fallback = lambda heard: round_ if "/resultPages" in heard.path else org(heard)
    results = list(bulk_job.results_as(client, complete(6), first_id, at_once=3))

    assert ["0-1", "1-1", "2-1"] == results


def test_a_page_of_several_that_is_gone(client, server, answer, reply):
    """The job was deleted meanwhile: it is to be run again."""
    org = Pages(answer, 4)
    server.fallback = lambda h: reply("not_found") if "locator=p2" in h.path else org(h)

    with pytest.raises(errors.BulkJobError, match="HTTP 404"):
        list(bulk_job.results_as(client, complete(8), first_id, at_once=2))


@pytest.mark.parametrize("at_once", [1, 2])
def test_a_page_that_its_reader_cannot_read_is_asked_for_again(at_once, client, server, answer):
    """A CSV that is cut inside its last value counts whole: only the reader sees it."""
    server.fallback = Pages(answer, 3)
    seen = []

    def read(body):
        seen.append(first_id(body)[1])
        if seen.count("1-1") == 1 and seen[-1] == "1-1":
            raise errors.TruncatedResponseError("no CSV of these fields")
        return first_id(body)

    results = list(bulk_job.results_as(client, complete(6), read, at_once=at_once))

    assert ["0-1", "1-1", "2-1"] == sorted(results)
    assert 4 == client.meter.calls["bulk_results"]


def test_a_page_of_several_that_lacks_records_is_asked_for_again(client, server, answer):
    """Announced two, came one: as with pages that follow each other."""
    org, short = Pages(answer, 3), [1]

    def first_short(heard):
        if "results?locator=p1" in heard.path and short:
            short.pop()
            return answer(body=b'"Id"\n"1-1"\n', headers={**CSV, "Sforce-NumberOfRecords": "2"})
        return org(heard)

    server.fallback = first_short
    results = bulk_job.results_as(client, complete(6), rows_of, at_once=2)

    assert [2, 2, 2] == [len(rows) for rows in results]


def test_pages_without_rows_are_left_out(client, server, answer):
    """A page may be empty: it ends nothing, and no row is missed."""
    org = Pages(answer, 4)
    nothing = answer(body=b'"Id"\n', headers=CSV)
    server.fallback = lambda h: nothing if "results?locator=p2" in h.path else org(h)
    results = bulk_job.results_as(client, complete(6), first_id, at_once=3)

    assert ["0-1", "1-1", "3-1"] == sorted(results)


def test_pages_are_as_large_as_the_limits_say(client, server, answer):
    """So many rows are held in memory."""
    client.limits = replace(client.limits, bulk_rows_per_page=7)
    server.fallback = Pages(answer, 4)
    list(bulk_job.results_as(client, complete(8), first_id, at_once=2))

    assert f"{BASE}/resultPages?maxRecords=7" == server.heard[0].path
