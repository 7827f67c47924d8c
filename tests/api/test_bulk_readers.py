"""What Bulk answers: a job, where its results are, a page that is whole or refused."""

import csv
import io
import itertools

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from salesforce_targeted.api import bulk_readers, errors, models
from salesforce_targeted.api.models import Response
from salesforce_targeted.arrow.from_csv import csv_texts
from tests.support.fields import columns_of
from tests.support.responses import answered

CSV = {"Content-Type": "text/csv"}


def test_a_bulk_job(sample):
    """Rows are known when it is complete."""
    created, complete = (
        bulk_readers.job(sample("bulk_created")),
        bulk_readers.job(sample("bulk_complete")),
    )

    assert ("UploadComplete", None) == (created.state, created.rows)
    assert ("JobComplete", 3) == (complete.state, complete.rows)


def test_result_pages_by_either_name(sample):
    """The documentation calls the member resultUrl and resultLink."""
    listing = bulk_readers.result_pages(sample("bulk_result_pages"))

    assert ["locator=MTAwMDA&maxRecords=2", "locator=MjAwMDA&maxRecords=2"] == [
        r.path.split("?")[1] for r in listing.pages
    ]


def test_where_the_addresses_of_more_pages_are():
    """An answer that is not done names the call for the rest; one that is done needs none."""
    base = "/services/data/v64.0/jobs/query/750R0000000zlh9IAA"
    page = {"resultUrl": f"{base}/results?locator=MQ&maxRecords=2"}
    rest = f"{base}/resultPages?locator=Ng&maxRecords=2"
    listing = bulk_readers.result_pages(
        answered({"resultPages": [page], "done": False, "nextRecordsUrl": rest})
    )

    assert [("GET", page["resultUrl"], "bulk_results")] == [
        (r.method, r.path, r.kind) for r in listing.pages
    ]
    assert models.Request("GET", rest, kind="bulk_pages") == listing.next
    assert bulk_readers.result_pages(answered({"resultPages": [page], "done": True})).next is None
    assert [] == bulk_readers.result_pages(answered({"resultPages": [], "done": True})).pages


@pytest.mark.parametrize("done", [False, None, "true", 1])
@pytest.mark.parametrize(
    "rest", [None, 5, "", "https://evil.example/x", "/services/data/v64.0/../x"]
)
def test_the_rest_of_the_pages_elsewhere(done, rest):
    """Pages that are not all, and without an address for the rest, are never taken for all."""
    page = {"resultUrl": "/services/data/v64.0/jobs/query/750R0000000zlh9IAA/results?locator=MQ"}

    assert (
        bulk_readers.result_pages(
            answered({"resultPages": [page], "done": done, "nextRecordsUrl": rest})
        )
        is None
    )


@pytest.mark.parametrize("word", ["resultPages", "resultpages", "ResultPages"])
def test_the_rest_of_the_pages_in_any_spelling(word):
    """The guide itself writes the word in two ways."""
    rest = f"/services/data/v64.0/jobs/query/750R0000000zlh9IAA/{word}?locator=MQ"
    listing = bulk_readers.result_pages(
        answered({"resultPages": [], "done": False, "nextRecordsUrl": rest})
    )

    assert rest == listing.next.path


@pytest.mark.parametrize("pages", [None, [{"resultUrl": "https://evil.example/x"}], [1], [{}]])
def test_result_pages_elsewhere(pages):
    """An address that is no result page of this org is none."""
    assert bulk_readers.result_pages(answered({"resultPages": pages, "done": True})) is None


ROWS = st.lists(
    st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=2, max_size=2), max_size=6
)


def written(rows) -> bytes:
    """Write rows as Salesforce does."""
    out = io.StringIO(newline="")
    csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows([["Id", "Name"], *rows])
    return out.getvalue().encode()


OF = columns_of(Name="string")


def read(body: bytes) -> tuple[int, pa.Table]:
    """Read a page as the library does."""
    texts = csv_texts(body, OF)
    return len(texts), texts


@given(ROWS)
def test_rows_are_counted_as_csv_counts_them(rows):
    """Quotes, line breaks and exotic separators in values don't mislead the count."""
    for body in (written(rows), written(rows)[:-1]):
        page = bulk_readers.csv_page(Response(200, CSV, body), read)

        assert (len(rows), None) == (page.rows, page.next)
        assert bool(rows) == (page.records is not None)


@given(ROWS.filter(bool))
def test_a_cut_page_never_counts_whole(rows):
    """Wherever a page is cut, its announced number of records gives it away."""
    body = written(rows)
    for size in itertools.chain(range(0, len(body) - 2, 3)):
        response = Response(200, {**CSV, "Sforce-NumberOfRecords": str(len(rows))}, body[:size])
        try:
            page = bulk_readers.csv_page(response, read)
        except (errors.TruncatedResponseError, pa.ArrowException):
            continue
        # Only a cut inside the last value, between two quotes, counts whole; what guards against that
        # is the framing: Content-Length, chunks and the end of the gzip stream.
        assert len(rows) == page.rows
        assert body[size - 1 : size] in (b'"', b",")
        assert '"' in rows[-1][-1] or body[:size].rstrip(b'"').endswith(b",")
