"""Bulk API 2.0 query jobs over HTTP."""

from __future__ import annotations

import csv
import io

import pytest


def job(rest, query, **more):
    """Create a job; the answer."""
    return rest.post("jobs/query", {"operation": "query", "query": query, **more})


def lines(response):
    """Return the page as lists of texts, its header first."""
    return list(csv.reader(io.StringIO(response.content.decode(), newline="")))


def test_a_job_goes_from_creation_to_results(org, rest):
    """The fields of each answer, and the hostile contact as CSV has it."""
    names = [e["name"] for e in org.fields("Contact") if e["type"] not in ("address", "location")]
    created = job(rest, f"SELECT {','.join(names)} FROM Contact").json()
    polled = rest.get(f"jobs/query/{created['id']}").json()
    results = rest.get(f"jobs/query/{created['id']}/results")
    header, *rows = lines(results)
    hostile = next(row for row in rows if row[0] == org.hostile_id)

    assert "UploadComplete" == created["state"]
    assert created["id"].startswith("750")
    assert 64.0 == created["apiVersion"]
    assert ("JobComplete", 40, "V2Query") == (
        polled["state"], polled["numberRecordsProcessed"], polled["jobType"])  # fmt: skip
    assert "text/csv" == results.headers["Content-Type"]
    assert "40" == results.headers["Sforce-NumberOfRecords"]
    assert "null" == results.headers["Sforce-Locator"]
    assert names == header
    expected = org.rows("Contact", ids=[org.hostile_id])[org.hostile_id]
    for name, text in zip(names, hostile, strict=True):
        value = expected[name]
        if isinstance(value, bool):
            assert str(value).lower() == text
        elif isinstance(value, int | float):
            assert value == float(text)
        else:
            assert (value or "").replace("+0000", "Z") == text


def test_every_value_is_quoted_and_null_is_empty(org, rest):
    """So that null and empty text cannot be told apart."""
    query = f"SELECT Id, FirstName, DoNotCall FROM Contact WHERE Id = '{org.empty_id}'"
    created = job(rest, query).json()
    text = rest.get(f"jobs/query/{created['id']}/results").content

    flag = str(org.rows("Contact", ids=[org.empty_id])[org.empty_id]["DoNotCall"]).lower()
    assert f'"Id","FirstName","DoNotCall"\n"{org.empty_id}","","{flag}"\n' == text.decode()


def test_results_are_paged_by_locator(org, rest):
    """A header on every page; the literal text null ends it."""
    created = job(rest, "SELECT Id FROM Contact").json()
    ids, locator, pages = [], "", 0
    while locator != "null":
        path = f"jobs/query/{created['id']}/results"
        page = rest.get(path, maxRecords="15", locator=locator)
        header, *rows = lines(page)
        ids += [row[0] for row in rows]
        locator, pages = page.headers["Sforce-Locator"], pages + 1
        assert ["Id"] == header

    assert list(org.rows("Contact")) == ids
    assert 3 == pages
    assert {"bulk_create": 1, "bulk_results": 3} == dict(org.calls)


def test_result_pages_name_five_at_a_time(rest):
    """From v58.0 on; their addresses lead to the rows."""
    created = job(rest, "SELECT Id FROM Contact").json()
    first = rest.get(f"jobs/query/{created['id']}/resultPages", maxRecords="7").json()
    second = rest.get(first["nextRecordsUrl"]).json()
    urls = [page["resultUrl"] for page in first["resultPages"] + second["resultPages"]]

    assert (5, False) == (len(first["resultPages"]), first["done"])
    assert (1, True) == (len(second["resultPages"]), second["done"])
    assert 40 == sum(len(lines(rest.get(url))) - 1 for url in urls)


@pytest.mark.parametrize(
    ("query", "code", "text"),
    [
        ("SELECT Id FROM TaskWhoRelation", "INVALIDENTITY",
         "Entity 'TaskWhoRelation' is not supported by the Bulk API."),
        ("SELECT MailingAddress FROM Contact", "API_ERROR",
         "Selecting compound data not supported in Bulk Query"),
        ("SELECT FIELDS(STANDARD) FROM Contact", "API_ERROR",
         "Selecting compound data not supported in Bulk Query"),
        ("SELECT COUNT() FROM Contact", "API_ERROR",
         "Aggregate Relationships not supported in Bulk Query"),
        ("SELECT Name FROM Contact GROUP BY Name", "API_ERROR",
         "Aggregate Relationships not supported in Bulk Query"),
        ("SELECT Id FROM Contact OFFSET 5", "API_ERROR", "OFFSET"),
        ("SELECT Foo FROM Contact", "INVALID_FIELD", "No such column 'Foo'"),
        ("SELECT Id FROM Foo", "INVALID_TYPE", "sObject type 'Foo' is not supported"),
        ("SELECT", "MALFORMED_QUERY", "unexpected token"),
    ],
)  # fmt: skip
def test_what_bulk_does_not_take_is_refused_at_creation(rest, query, code, text):
    """400, in the recorded words."""
    response = job(rest, query)

    assert 400 == response.status_code
    assert code == response.json()[0]["errorCode"]
    assert text in response.json()[0]["message"]


def test_results_are_of_the_version_that_made_the_job(rest):
    """Any other is 409."""
    created = job(rest, "SELECT Id FROM Contact").json()
    path = f"/services/data/v60.0/jobs/query/{created['id']}/results"

    assert 409 == rest.get(path).status_code


def test_a_job_takes_its_time(org, rest):
    """UploadComplete, then InProgress; results are refused until JobComplete."""
    org.bulk_seconds = 3600.0
    created = job(rest, "SELECT Id FROM Contact").json()

    assert "UploadComplete" == rest.get(f"jobs/query/{created['id']}").json()["state"]
    early = rest.get(f"jobs/query/{created['id']}/results")
    assert 400 == early.status_code
    assert 400 == rest.send("DELETE", f"jobs/query/{created['id']}").status_code


def test_a_job_is_aborted_and_deleted(org, rest):
    """Aborted by PATCH, gone by DELETE with an empty 204."""
    org.bulk_seconds = 3600.0
    created = job(rest, "SELECT Id FROM Contact").json()
    path = f"jobs/query/{created['id']}"

    assert "Aborted" == rest.send("PATCH", path, {"state": "Aborted"}).json()["state"]
    deleted = rest.send("DELETE", path)
    assert (204, b"") == (deleted.status_code, deleted.content)
    assert 404 == rest.get(path).status_code
    assert [] == org.writes_attempted


def test_results_show_the_org_of_the_jobs_creation(org, rest):
    """Whatever is edited, purged or hidden afterwards."""
    first, second, third = org.active_ids()[:3]
    before = {id_: row["Name"] for id_, row in org.rows("Contact").items()}
    created = job(rest, "SELECT Id, Name FROM Contact").json()
    org.edit("Contact", first, LastName="Changed")
    org.purge_contact(second)
    org.hide_contact(third)
    _, *rows = lines(rest.get(f"jobs/query/{created['id']}/results"))

    assert before == dict(rows)


def test_query_all_and_other_shapes(org, rest):
    """Deleted rows, another delimiter, CRLF; no rows is a header alone."""
    deleted = org.active_ids()[0]
    org.delete_contact(deleted)
    query = "SELECT Id, IsDeleted FROM Contact WHERE IsDeleted = true"
    body = {"columnDelimiter": "PIPE", "lineEnding": "CRLF"}
    every = rest.post("jobs/query", {"operation": "queryAll", "query": query, **body}).json()
    none = job(rest, query).json()

    text = rest.get(f"jobs/query/{every['id']}/results").content.decode()
    assert f'"Id"|"IsDeleted"\r\n"{deleted}"|"true"\r\n' == text
    empty = rest.get(f"jobs/query/{none['id']}/results")
    assert '"Id","IsDeleted"\n' == empty.content.decode()
    assert "0" == empty.headers["Sforce-NumberOfRecords"]
