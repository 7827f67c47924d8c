"""One query job, whatever ends it."""

import csv
import io
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from salesforce_targeted.api import bulk, errors, soql
from salesforce_targeted.api.wire import Response

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
