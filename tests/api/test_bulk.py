"""One query job, whatever ends it."""

import itertools
from dataclasses import replace

import pytest

from salesforce_targeted.api import bulk_job, errors, soql
from tests.support.bulk_pages import bulk_pages

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


def test_a_job_from_beginning_to_end(client, server, reply, answer, pauses):
    """Created, asked for until complete, read page by page; each step is a call."""
    server.say(
        reply("bulk_created"), answer(body=JOB), answer(body={**JOB, "state": "InProgress"}),
        reply("bulk_complete"), reply("bulk_results"), reply("bulk_results_last"),
    )  # fmt: skip
    client.limits = replace(client.limits, bulk_rows_per_page=2)
    pages = list(bulk_pages(client, SELECT))

    assert [2, 1] == [len(page) for page in pages]
    assert {"bulk_create": 1, "bulk_poll": 3, "bulk_results": 2} == dict(client.meter.calls)
    assert sorted(pauses) == pauses == [0.2, pytest.approx(0.3), pytest.approx(0.45)]
    assert ["maxRecords=2", "maxRecords=2&locator=MTAwMDA"] == [
        h.path.split("?")[1] for h in server.heard[-2:]
    ]


def test_a_job_without_rows(client, server, answer):
    """A header line only, or nothing at all, is no page."""
    empty = {**DONE, "numberRecordsProcessed": 0}
    for body in (b'"Id"\n', b""):
        server.say(answer(body=JOB), answer(body=empty), answer(body=body, headers=CSV))

        assert [] == list(bulk_pages(client, SELECT))


def test_a_job_complete_at_once(client, server, answer):
    """The answer to the creation doesn't say how many rows: the job is asked for once anyway."""
    server.say(
        answer(body={**JOB, "state": "JobComplete"}),
        answer(body=DONE),
        answer(body=ONE, headers=CSV),
    )

    assert [1] == [len(page) for page in bulk_pages(client, SELECT)]


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
        list(bulk_pages(client, SELECT))

    assert "750R0000000zlh9IAA" in str(caught.value)


def test_a_job_that_fails_at_once(client, server, answer):
    """A state at creation that is an end is an end."""
    server.say(answer(body={**JOB, "state": "Failed"}))

    with pytest.raises(errors.BulkJobError, match="is Failed"):
        list(bulk_pages(client, SELECT))


def test_a_stuck_job_ends_at_the_deadline(client, server, answer, pauses):
    """InProgress for ever is left in time, and asked for ever less often."""
    server.fallback = lambda _: answer(body={**JOB, "state": "InProgress"})

    with pytest.raises(errors.BulkJobError, match="still InProgress after 300 s"):
        list(bulk_pages(client, SELECT))

    assert 250 < sum(pauses) <= 300
    assert 20.0 == max(pauses)
    assert client.meter.calls.total() < 50


@pytest.mark.parametrize(("expected", "deadline"), [(0, 300), (4, 300), (60, 600)])
def test_a_job_gets_the_time_that_its_size_explains(
    expected, deadline, client, server, answer, pauses
):
    """Ten times as long as expected, and at least some minutes; the caller sees it go on."""
    server.fallback = lambda _: answer(body={**JOB, "state": "InProgress"})
    seen = []

    def tell(news):
        seen.append(round(sum(pauses)))
        assert f"is InProgress after {sum(pauses):.0f} s" in news

    with pytest.raises(errors.BulkJobError, match=f"still InProgress after {deadline} s"):
        list(bulk_pages(client, SELECT, expected_seconds=expected, tell=tell))

    assert len(seen) > 5
    assert all(later - earlier >= 20 for earlier, later in itertools.pairwise([0, *seen]))


@pytest.mark.parametrize("at", ["poll", "results"])
def test_a_job_that_is_gone(at, client, server, answer, reply):
    """404 on the job or its results, which somebody deleted: no admin can help, another job can."""
    server.say(answer(body=JOB), *[answer(body=DONE)] * (at == "results"), reply("not_found"))

    with pytest.raises(errors.BulkJobError, match=r"HTTP 404.*Run it again"):
        list(bulk_pages(client, SELECT))


def test_results_of_another_version(client, server, answer):
    """409 is told as it is."""
    server.say(
        answer(body=JOB),
        answer(body=DONE),
        answer(409, [{"errorCode": "VERSION", "message": "API version"}]),
    )

    with pytest.raises(errors.BulkJobError, match="409"):
        list(bulk_pages(client, SELECT))


def test_a_page_that_lacks_records_is_asked_for_again(client, server, answer):
    """Announced two, came one: asked for again; nothing is taken of the short one."""
    short = answer(body=ONE, headers={**CSV, "Sforce-NumberOfRecords": "2"})
    whole = answer(
        body=ONE + b'"005R0000000UyrXIAS"\n', headers={**CSV, "Sforce-NumberOfRecords": "2"}
    )
    server.say(answer(body=JOB), answer(body={**DONE, "numberRecordsProcessed": 2}), short, whole)

    assert [2] == [len(page) for page in bulk_pages(client, SELECT)]


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
    server.fallback = lambda _: answer(200, *page)

    with pytest.raises(errors.TruncatedResponseError):
        list(bulk_pages(client, SELECT))

    assert 5 == client.meter.calls["bulk_results"]


def test_pages_that_lack_records_together(client, server, answer):
    """Each page is whole, but the job processed more: asked for again, then an error."""
    server.say(answer(body=JOB), answer(body={**DONE, "numberRecordsProcessed": 7}))
    server.fallback = lambda _: answer(body=ONE, headers=CSV)

    with pytest.raises(
        errors.TruncatedResponseError, match="processed 7 records and its results hold 1"
    ):
        list(bulk_pages(client, SELECT))


def test_the_same_locator_twice(client, server, answer):
    """Pages that go round would never end."""
    server.say(answer(body=JOB), answer(body=DONE))
    server.fallback = lambda _: answer(body=ONE, headers={**CSV, "Sforce-Locator": "MTAw"})

    with pytest.raises(errors.BulkJobError, match="twice"):
        list(bulk_pages(client, SELECT))


def test_an_empty_answer_is_not_the_end(client, server, answer):
    """200 with nothing in it, where rows are still due, is asked for again."""
    server.say(
        answer(body=JOB),
        answer(body=DONE),
        answer(body=b"", headers=CSV),
        answer(body=ONE, headers=CSV),
    )

    assert [1] == [len(page) for page in bulk_pages(client, SELECT)]


def test_an_object_that_bulk_lacks(client, server, reply):
    """TaskWhoRelation is refused at creation, by a class of its own."""
    server.say(reply("bulk_unsupported"))

    with pytest.raises(errors.UnsupportedObjectError, match="another API"):
        list(bulk_pages(client, SELECT))


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
    job = bulk_job.job_of(client, SELECT, expected_seconds=expected)

    assert ("JobComplete", 1) == (job.state, job.rows)
    assert pytest.approx(pauses_made) == pauses
    assert questions == client.meter.calls["bulk_poll"]


def test_a_job_that_was_complete_is_not_waited_for(client, server, answer, pauses):
    """However long it was expected to take."""
    server.say(answer(body={**JOB, "state": "JobComplete"}), answer(body=DONE))
    bulk_job.job_of(client, SELECT, expected_seconds=600)

    assert [] == pauses
