"""One query job, whatever ends it."""

import csv
import io
import itertools
import threading
import time
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from salesforce_targeted.api import bulk, errors, soql
from salesforce_targeted.api.wire import Job, Response

SELECT = soql.select(["Id", "Name", "Description"], "Account")
JOB = {
    "id": "750R0000000zlh9IAA",
    "object": "Account",
    "apiVersion": 64.0,
    "state": "UploadComplete",
}
DONE = {**JOB, "state": "JobComplete", "numberRecordsProcessed": 1}
CSV = {"Content-Type": "text/csv"}
ONE = b'"Id"\n"005R0000000UyrWIAS"\n'


def test_a_job_from_beginning_to_end(client, server, said, answer, pauses):
    """Created, asked for until complete, read page by page; each step is a call."""
    server.say(
        said("bulk_created"), answer(body=JOB), answer(body={**JOB, "state": "InProgress"}),
        said("bulk_complete"), said("bulk_results"), said("bulk_results_last"),
    )  # fmt: skip
    told = []
    pages = list(bulk.pages(client, SELECT, max_records=2, created=told.append))

    assert [2, 1] == [page.rows for page in pages]
    assert ["750R0000000zlh9IAA"] == told
    assert {"bulk_create": 1, "bulk_poll": 3, "bulk_results": 2} == dict(client.calls.by_kind)
    assert sorted(pauses) == pauses == [0.2, pytest.approx(0.3), pytest.approx(0.45)]
    assert ["maxRecords=2", "maxRecords=2&locator=MTAwMDA"] == [
        h.path.split("?")[1] for h in server.heard[-2:]
    ]


def test_a_job_without_rows(client, server, answer):
    """A header line only, or nothing at all, is no page."""
    empty = {**DONE, "numberRecordsProcessed": 0}
    for body in (b'"Id"\n', b""):
        server.say(answer(body=JOB), answer(body=empty), answer(body=body, headers=CSV))

        assert [] == list(bulk.pages(client, SELECT))


def test_a_job_complete_at_once(client, server, answer):
    """The answer to the creation doesn't say how many rows: the job is asked for once anyway."""
    server.say(
        answer(body={**JOB, "state": "JobComplete"}),
        answer(body=DONE),
        answer(body=ONE, headers=CSV),
    )

    assert [1] == [page.rows for page in bulk.pages(client, SELECT)]


@pytest.mark.parametrize(
    ("status", "says"),
    [
        (
            {"state": "Failed", "errorMessage": "Retried more than 15 times"},
            "is Failed: Retried more than 15 times",
        ),
        ({"state": "Failed"}, "is Failed, and Salesforce gives no reason"),
        ({"state": "Aborted"}, "is Aborted"),
        ({"state": "Enigmatic"}, "is Enigmatic"),
    ],
)
def test_a_job_that_ends_otherwise(status, says, client, server, answer):
    """Any state but JobComplete is an error at once, with the reason if there is one."""
    server.say(answer(body=JOB), answer(body={**JOB, **status}))

    with pytest.raises(errors.BulkJobError, match=says) as caught:
        list(bulk.pages(client, SELECT))

    assert "750R0000000zlh9IAA" in str(caught.value)


def test_a_job_that_fails_at_once(client, server, answer):
    """A state at creation that is an end is an end."""
    server.say(answer(body={**JOB, "state": "Failed"}))

    with pytest.raises(errors.BulkJobError, match="is Failed"):
        list(bulk.pages(client, SELECT))


def test_a_stuck_job_ends_at_the_deadline(client, server, answer, pauses):
    """InProgress for ever is left in time, and asked for ever less often."""
    server.otherwise = lambda _: answer(body={**JOB, "state": "InProgress"})

    with pytest.raises(errors.BulkJobError, match="still InProgress after 600 s"):
        list(bulk.pages(client, SELECT, deadline_seconds=600, clock=lambda: sum(pauses)))

    assert 450 < sum(pauses) <= 600
    assert 20.0 == max(pauses)
    assert client.calls.total < 50


def test_results_that_are_gone(client, server, answer, said):
    """404 on the results: the job is to be run again."""
    server.say(answer(body=JOB), answer(body=DONE), said("not_found"))

    with pytest.raises(errors.BulkJobError, match="are gone"):
        list(bulk.pages(client, SELECT))


def test_results_of_another_version(client, server, answer):
    """409 is told as it is."""
    server.say(
        answer(body=JOB),
        answer(body=DONE),
        answer(409, [{"errorCode": "VERSION", "message": "API version"}]),
    )

    with pytest.raises(errors.BulkJobError, match="409"):
        list(bulk.pages(client, SELECT))


def test_the_version_of_the_job_is_used(client, server, answer):
    """A job that another version created is read with that version."""
    server.say(
        answer(body={**DONE, "apiVersion": 61.0}),
        answer(body={**DONE, "apiVersion": 61.0}),
        answer(body=ONE, headers=CSV),
    )
    list(bulk.pages(client, SELECT, resume="750R0000000zlh9IAA"))

    assert ["v64.0", "v61.0", "v61.0"] == [h.path.split("/")[3] for h in server.heard]


def test_a_page_that_lacks_records_is_asked_for_again(client, server, answer):
    """Announced two, came one: asked for again; nothing is taken of the short one."""
    short = answer(body=ONE, headers={**CSV, "Sforce-NumberOfRecords": "2"})
    whole = answer(
        body=ONE + b'"005R0000000UyrXIAS"\n', headers={**CSV, "Sforce-NumberOfRecords": "2"}
    )
    server.say(answer(body=JOB), answer(body={**DONE, "numberRecordsProcessed": 2}), short, whole)

    assert [2] == [page.rows for page in bulk.pages(client, SELECT)]


@pytest.mark.parametrize(
    "page",
    [
        (b'"Id"\n"005R', CSV),
        (ONE, {**CSV, "Sforce-NumberOfRecords": "2"}),
        (b"<html><title>Maintenance</title></html>", {"Content-Type": "text/html"}),
    ],
)
def test_a_page_that_stays_short(page, client, server, answer):
    """Cut, short or a web page, five times: an error, never a success."""
    server.say(answer(body=JOB), answer(body=DONE))
    server.otherwise = lambda _: answer(200, *page)

    with pytest.raises(errors.TruncatedAnswerError):
        list(bulk.pages(client, SELECT))

    assert 5 == client.calls.by_kind["bulk_results"]


def test_pages_that_lack_records_together(client, server, answer):
    """Each page is whole, but the job processed more: asked for again, then an error."""
    server.say(answer(body=JOB), answer(body={**DONE, "numberRecordsProcessed": 7}))
    server.otherwise = lambda _: answer(body=ONE, headers=CSV)

    with pytest.raises(
        errors.TruncatedAnswerError, match="processed 7 records and its results hold 1"
    ):
        list(bulk.pages(client, SELECT))


def test_the_same_locator_twice(client, server, answer):
    """Pages that go round would never end."""
    server.say(answer(body=JOB), answer(body=DONE))
    server.otherwise = lambda _: answer(body=ONE, headers={**CSV, "Sforce-Locator": "MTAw"})

    with pytest.raises(errors.BulkJobError, match="twice"):
        list(bulk.pages(client, SELECT))


def test_an_empty_answer_is_not_the_end(client, server, answer):
    """200 with nothing in it, where rows are still due, is asked for again."""
    server.say(
        answer(body=JOB),
        answer(body=DONE),
        answer(body=b"", headers=CSV),
        answer(body=ONE, headers=CSV),
    )

    assert [1] == [page.rows for page in bulk.pages(client, SELECT)]


@pytest.mark.parametrize("state", ["JobComplete", "InProgress"])
def test_a_job_is_resumed(state, client, server, answer):
    """A job that an earlier process left behind is read, not created anew."""
    server.say(
        answer(body={**DONE, "state": state}), answer(body=DONE), answer(body=ONE, headers=CSV)
    )
    told = []

    assert [1] == [
        p.rows for p in bulk.pages(client, SELECT, resume="750R0000000zlh9IAA", created=told.append)
    ]
    assert [] == told
    assert 0 == client.calls.by_kind["bulk_create"]


@pytest.mark.parametrize("earlier", ["not_found", "Failed"])
def test_a_job_that_cannot_be_resumed(earlier, client, server, answer, said):
    """If it is gone or failed a new one is created."""
    server.say(said(earlier) if earlier == "not_found" else answer(body={**JOB, "state": earlier}))
    server.say(answer(body=JOB), answer(body=DONE), answer(body=ONE, headers=CSV))

    assert [1] == [page.rows for page in bulk.pages(client, SELECT, resume="750R0000000zlh8IAA")]
    assert 1 == client.calls.by_kind["bulk_create"]


def test_no_job_id(client, server):
    """What is no id isn't put into a path."""
    with pytest.raises(errors.ConfigurationError):
        list(bulk.pages(client, SELECT, resume="../x"))

    assert [] == server.heard


def test_an_object_that_bulk_lacks(client, server, said):
    """TaskWhoRelation is refused at creation, by a class of its own."""
    server.say(said("bulk_unsupported"))

    with pytest.raises(errors.UnsupportedObjectError, match="another API"):
        list(bulk.pages(client, SELECT))


# --- how long a job is left alone


@pytest.mark.parametrize(
    ("expected", "questions", "pauses_made"),
    [
        (0.0, 3, [0.2, 0.3, 0.45]),
        (0.1, 2, [0.2, 0.2]),
        (10.0, 1, [10.0]),
        (10.0, 3, [10.0, 1.0, 1.5]),  # what is late is late by a share of what it takes
        (900.0, 3, [900.0, 20.0, 20.0]),  # and asked about every twenty seconds at least
    ],
)
def test_a_job_is_not_asked_about_before_it_can_be_complete(
    expected, questions, pauses_made, client, server, answer, pauses
):
    """Each question is a call: the first one comes when the job should be complete."""
    server.say(
        answer(body=JOB),
        *[answer(body={**JOB, "state": "InProgress"})] * (questions - 1),
        answer(body=DONE),
    )
    job = bulk.job_of(client, SELECT, expected_seconds=expected)

    assert ("JobComplete", 1) == (job.state, job.rows)
    assert pytest.approx(pauses_made) == pauses
    assert questions == client.calls.by_kind["bulk_poll"]


def test_a_job_that_is_expected_to_last_is_asked_about_before_the_deadline(
    client, server, answer, pauses
):
    """Whatever was expected: it may be complete, and its work is not thrown away unasked."""
    server.say(answer(body=JOB), answer(body=DONE))
    bulk.job_of(
        client, SELECT, expected_seconds=5_000, deadline_seconds=60, clock=lambda: sum(pauses)
    )

    assert [60] == pauses


def test_a_job_that_was_complete_is_not_waited_for(client, server, answer, pauses):
    """However long it was expected to take."""
    server.say(answer(body={**JOB, "state": "JobComplete"}), answer(body=DONE))
    bulk.job_of(client, SELECT, expected_seconds=600)

    assert [] == pauses


# --- result pages side by side

BASE = "/services/data/v64.0/jobs/query/750R0000000zlh9IAA"


class Pages:
    """A complete job's results: so many pages of two rows, named five at a time."""

    def __init__(self, answer, pages, *, per_call=5):
        self.answer, self.pages, self.per_call = answer, pages, per_call
        self.now = self.most = 0
        self.lock = threading.Lock()
        self.slow = ()

    def __call__(self, heard):
        path, params = urlsplit(heard.path).path, parse_qs(urlsplit(heard.path).query)
        at = int(params.get("locator", ["p0"])[0][1:])
        if path.endswith("/resultPages"):
            some = range(at, min(at + self.per_call, self.pages))
            rest = at + self.per_call
            return self.answer(body={
                "resultPages": [{"resultUrl": f"{BASE}/results?locator=p{n}&maxRecords=2"} for n in some],
                "done": rest >= self.pages,
                "nextRecordsUrl": f"{BASE}/resultPages?locator=p{rest}&maxRecords=2" if rest < self.pages else None,
            })  # fmt: skip
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)
        time.sleep(0.05 if at in self.slow else 0.005)
        with self.lock:
            self.now -= 1
        return self.page(at)

    def page(self, at):
        """Two rows; the page after it is named, for whoever reads one after the other."""
        following = f"p{at + 1}" if at + 1 < self.pages else "null"
        body = b'"Id"\n"%d-1"\n"%d-2"\n' % (at, at)
        return self.answer(body=body, headers={**CSV, "Sforce-Locator": following})


def complete(rows, version="64.0"):
    """What Salesforce says of a job that is complete."""
    return Job("750R0000000zlh9IAA", "JobComplete", rows, "", "Account", version)


def first_id(page):
    """Which page it is."""
    return page.body.split(b'"')[3].decode()


@pytest.mark.parametrize("at_once", [2, 3, 4])
@pytest.mark.parametrize(("pages", "named"), [(2, 1), (5, 1), (6, 2), (11, 3)])
def test_pages_are_read_side_by_side(pages, named, at_once, client, server, answer):
    """By the addresses that Salesforce names; in their order, whichever arrives first."""
    server.otherwise = org = Pages(answer, pages)
    org.slow = (0, 3)
    found = bulk.results_as(client, complete(2 * pages), first_id, max_records=2, at_once=at_once)

    assert [f"{n}-1" for n in range(pages)] == list(found)
    assert {"bulk_pages": named, "bulk_results": pages} == dict(client.calls.by_kind)
    assert 2 <= org.most <= at_once
    assert 2 * pages == client.request_timings["bulk_results"][2]


def test_pages_are_drawn_as_they_are_used(client, server, answer):
    """No more of them in memory than may be at once, however slow the reader is."""
    server.otherwise = Pages(answer, 20)
    found = bulk.results_as(client, complete(40), first_id, max_records=2, at_once=3)
    for used in range(1, 6):
        next(found)
        time.sleep(0.03)

        assert client.calls.by_kind["bulk_results"] <= used - 1 + 3
    found.close()


@pytest.mark.parametrize(
    ("rows", "at_once", "version"),
    [
        (4, 1, "64.0"),  # one at a time was asked for
        (2, 3, "64.0"),  # a single page
        (None, 3, "64.0"),  # nobody knows how many
        (4, 3, "57.0"),  # older than those addresses
    ],
)
def test_pages_one_after_the_other(rows, at_once, version, client, server, answer):
    """Where there is but one, or no addresses of several: each names the next one."""
    server.otherwise = Pages(answer, (rows or 4) // 2)
    found = bulk.results_as(
        client, complete(rows, version), first_id, max_records=2, at_once=at_once
    )

    assert [f"{n}-1" for n in range((rows or 4) // 2)] == list(found)
    assert {"bulk_results": (rows or 4) // 2} == dict(client.calls.by_kind)


def test_the_version_of_the_client_counts_where_the_job_says_none(client, server, answer):
    """An answer without apiVersion is one of the version that was asked."""
    server.otherwise = Pages(answer, 2)
    job = complete(4, None)
    pages = list(bulk.results_as(client, job, first_id, max_records=2, at_once=2))

    assert ["0-1", "1-1"] == pages
    assert 1 == client.calls.by_kind["bulk_pages"]


@pytest.mark.parametrize("refusal", [404, 400, 405])
def test_an_org_without_addresses_is_read_one_page_after_the_other(refusal, client, server, answer):
    """That the resource is not there costs a call, and no row."""
    org = Pages(answer, 3)
    no = answer(refusal, [{"errorCode": "NOT_FOUND", "message": "no such resource"}])
    server.otherwise = lambda heard: no if "/resultPages" in heard.path else org(heard)
    found = bulk.results_as(client, complete(6), first_id, max_records=2, at_once=3)

    assert ["0-1", "1-1", "2-1"] == list(found)
    assert {"bulk_pages": 1, "bulk_results": 3} == dict(client.calls.by_kind)


def test_the_next_page_is_on_its_way_while_one_is_used(client, server, answer):
    """Where pages follow each other, one is read ahead."""
    server.otherwise = Pages(answer, 4)
    found = bulk.results_as(client, complete(8, "57.0"), first_id, max_records=2, at_once=3)

    assert "0-1" == next(found)
    for _ in range(200):
        if client.calls.by_kind["bulk_results"] > 1:
            break
        time.sleep(0.01)
    assert 2 <= client.calls.by_kind["bulk_results"]
    assert ["1-1", "2-1", "3-1"] == list(found)


@pytest.mark.parametrize("version", ["64.0", "57.0"])
@pytest.mark.parametrize("rows", [5, 7, 60])
def test_pages_together_are_counted(rows, version, client, server, answer):
    """Each page is whole, and together they are not what the job has processed: never a success."""
    server.otherwise = Pages(answer, 3)
    job = complete(rows, version)

    with pytest.raises(errors.TruncatedAnswerError, match=f"processed {rows} records"):
        list(bulk.results_as(client, job, first_id, max_records=2, at_once=3))


def test_addresses_that_go_round(client, server, answer):
    """The rest of the addresses is where it was before: this would never end."""
    org = Pages(answer, 3)
    page = {"resultUrl": f"{BASE}/results?locator=p0&maxRecords=2"}
    round_ = answer(body={"resultPages": [page], "done": False,
                          "nextRecordsUrl": f"{BASE}/resultPages?locator=p5&maxRecords=2"})  # fmt: skip
    server.otherwise = lambda heard: round_ if "/resultPages" in heard.path else org(heard)

    with pytest.raises(errors.BulkJobError, match="twice"):
        list(bulk.results_as(client, complete(6), first_id, max_records=2, at_once=3))


def test_a_page_of_several_that_is_gone(client, server, answer, said):
    """The job was deleted meanwhile: it is to be run again."""
    org = Pages(answer, 4)
    server.otherwise = lambda h: said("not_found") if "results?locator=p2" in h.path else org(h)

    with pytest.raises(errors.BulkJobError, match="are gone"):
        list(bulk.results_as(client, complete(8), first_id, max_records=2, at_once=2))


@pytest.mark.parametrize("version", ["64.0", "57.0"])
def test_a_page_that_its_reader_cannot_read_is_asked_for_again(version, client, server, answer):
    """A CSV that is cut inside its last value counts whole: only the reader sees it."""
    server.otherwise = Pages(answer, 3)
    seen = []

    def read(page):
        seen.append(first_id(page))
        if seen.count("1-1") == 1 and seen[-1] == "1-1":
            raise errors.TruncatedAnswerError("no CSV of these fields")
        return first_id(page)

    job = complete(6, version)
    found = list(bulk.results_as(client, job, read, max_records=2, at_once=2))

    assert ["0-1", "1-1", "2-1"] == found
    assert 4 == client.calls.by_kind["bulk_results"]


def test_a_page_of_several_that_lacks_records_is_asked_for_again(client, server, answer):
    """Announced two, came one: as with pages that follow each other."""
    org, short = Pages(answer, 3), [1]

    def first_short(heard):
        if "results?locator=p1" in heard.path and short:
            short.pop()
            return answer(body=b'"Id"\n"1-1"\n', headers={**CSV, "Sforce-NumberOfRecords": "2"})
        return org(heard)

    server.otherwise = first_short
    found = bulk.results_as(client, complete(6), lambda p: p.rows, max_records=2, at_once=2)

    assert [2, 2, 2] == list(found)


def test_pages_without_rows_are_left_out(client, server, answer):
    """A page may be empty: it is nobody's last one, and no row is missed."""
    org = Pages(answer, 4)
    nothing = answer(body=b'"Id"\n', headers=CSV)
    server.otherwise = lambda h: nothing if "results?locator=p2" in h.path else org(h)
    found = bulk.results_as(client, complete(6), first_id, max_records=2, at_once=3)

    assert ["0-1", "1-1", "3-1"] == list(found)


def test_pages_are_as_large_as_the_limits_say(client, server, answer):
    """Unless somebody asks for another size: so many rows are held in memory."""
    client.limits = replace(client.limits, bulk_rows_per_page=7)
    server.otherwise = Pages(answer, 4)
    list(bulk.results_as(client, complete(8), first_id, at_once=2))

    assert f"{BASE}/resultPages?maxRecords=7" == server.heard[0].path


ROWS = st.lists(
    st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=2, max_size=2), max_size=6
)


def written(rows) -> bytes:
    """Write rows as Salesforce does."""
    out = io.StringIO(newline="")
    csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows([["Id", "Name"], *rows])
    return out.getvalue().encode()


@given(ROWS)
def test_rows_are_counted_as_csv_counts_them(rows):
    """Quotes, line breaks and exotic separators in values don't mislead the count."""
    body = written(rows)

    assert len(rows) == bulk.count_rows(body)
    assert len(rows) == bulk.count_rows(body[:-1])


@given(ROWS.filter(bool))
def test_a_cut_page_never_counts_whole(rows):
    """Wherever a page is cut, its announced number of records gives it away."""
    body = written(rows)
    for size in itertools.chain(range(0, len(body) - 2, 3)):
        response = Response(200, {**CSV, "Sforce-NumberOfRecords": str(len(rows))}, body[:size])
        try:
            page, _ = bulk._page(response)
        except errors.TruncatedAnswerError:
            continue
        # Only a cut inside the last value, between two quotes, counts whole; what guards against that
        # is the framing: Content-Length, chunks and the end of the gzip stream.
        assert len(rows) == page.rows
        assert body[size - 1 : size] in (b'"', b",")
        assert '"' in rows[-1][-1] or body[:size].rstrip(b'"').endswith(b",")
