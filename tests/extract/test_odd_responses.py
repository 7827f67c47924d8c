"""Answers that no well-behaved org gives: short parts, rows twice, strangers, another order."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa
import pytest

from salesforce_targeted.api.client import SalesforceClient
from salesforce_targeted.api.errors import TruncatedResponseError
from salesforce_targeted.api.ids import to_18
from salesforce_targeted.api.limits import TINY
from salesforce_targeted.demo_org import DemoOrg
from salesforce_targeted.report.markdown import document
from salesforce_targeted.report.text import text
from salesforce_targeted.retrieval import retrieve
from salesforce_targeted.retrieval.planner import cheapest
from salesforce_targeted.retrieval.results import HIDDEN, Retrieved
from salesforce_targeted.settings import Api
from tests.conftest import Synced
from tests.support.fields import columns_of
from tests.support.retrieval import gone_of, ids_of
from tests.support.scripted_server import Bytes, Heard, Scripted, Tokens, answer, scripted_server

IDS = [to_18(f"003D00000{n:06}") for n in range(6)]
OF = columns_of(LastName="string", Born="date")
BY_ID = pytest.mark.parametrize("way", [Api.COLLECTIONS, Api.COMPOSITE], ids=lambda way: way.value)
Entries = list[dict[str, Any] | None]


def entry(id_: str, **values: Any) -> dict[str, Any]:
    return {"attributes": {"type": "Contact"}, "Id": id_, "LastName": f"N {id_[-7:]}", **values}


class Org:
    """Answers Collections, alone and in composite, and lets a test spoil the first of them."""

    def __init__(self, spoil: Callable[[Entries], Any], times: int = 1) -> None:
        self.spoil, self.left = spoil, times

    def __call__(self, heard: Heard) -> Bytes:
        if heard.path.endswith("/composite"):
            parts = json.loads(heard.body)["compositeRequest"]
            bodies = [(part["referenceId"], *self._status(part["body"]["ids"])) for part in parts]
            return answer(
                body={
                    "compositeResponse": [
                        {"referenceId": reference, "httpStatusCode": status, "body": body}
                        for reference, status, body in bodies
                    ]
                }
            )
        if "/composite/sobjects/" in heard.path:
            return answer(*self._status(json.loads(heard.body)["ids"]))
        return answer(body={"totalSize": 0, "done": True, "records": []})

    def _status(self, ids: list[str]) -> tuple[int, Any]:
        entries: Any = [entry(id_) for id_ in ids]
        if self.left:
            self.left -= 1
            entries = self.spoil(entries)
        return (200, entries) if isinstance(entries, list) else entries


@pytest.fixture
def scripted() -> Iterator[Scripted]:
    """Provide a server on loopback that sends what a test tells it to."""
    with scripted_server() as server:
        yield server


@pytest.fixture
def asking(scripted: Scripted) -> Iterator[SalesforceClient]:
    """Provide a client of a scripted server."""
    client = SalesforceClient(Tokens(scripted.url), limits=TINY, sleep=lambda _seconds: None)
    yield client
    client.close()


def retrieved(client: SalesforceClient, way: Api, ids: list[str]) -> list[Retrieved]:
    plan = cheapest("Contact", OF.fields, len(ids), limits=TINY, force=way)
    return list(retrieve.retrieve(client, plan, pa.array(ids, pa.string()), OF))


TRIED_AGAIN: dict[str, Callable[[Entries], Any]] = {
    "short": lambda rows: rows[:-1],
    "long": lambda rows: [*rows, None],
    "a row twice": lambda rows: [rows[0], rows[0], *rows[2:]],
    "a stranger": lambda rows: [entry(to_18("003D00000999999")), *rows[1:]],
    "no Id": lambda rows: [{"attributes": {}, "LastName": "x"}, *rows[1:]],
    "no value at all": lambda rows: [{"attributes": {}}, *rows[1:]],
    "busy": lambda _: (500, [{"errorCode": "UNKNOWN_EXCEPTION", "message": "unexpected"}]),
    "down": lambda _: (503, [{"errorCode": "SERVER_UNAVAILABLE", "message": "later"}]),
}


@BY_ID
@pytest.mark.parametrize("spoil", TRIED_AGAIN)
def test_what_may_pass_is_asked_for_again(
    scripted: Scripted, asking: SalesforceClient, way: Api, spoil: str
) -> None:
    """Of an answer that contradicts itself or its question nothing is taken; the next one is whole."""
    scripted.fallback = Org(TRIED_AGAIN[spoil])
    answers = retrieved(asking, way, IDS)

    assert IDS == sorted(ids_of(answers))
    assert {} == gone_of(answers)
    assert 1 < len(scripted.heard)


@BY_ID
@pytest.mark.parametrize(
    "spoil", ["short", "long", "a row twice", "a stranger", "no Id", "no value at all"]
)
def test_what_stays_wrong_is_an_error(
    scripted: Scripted, asking: SalesforceClient, way: Api, spoil: str
) -> None:
    """Never rows of the wrong records, never ids called gone because an answer was short."""
    scripted.fallback = Org(TRIED_AGAIN[spoil], times=1_000)

    with pytest.raises(TruncatedResponseError):
        retrieved(asking, way, IDS)


@BY_ID
def test_another_order_loses_nothing(
    scripted: Scripted, asking: SalesforceClient, way: Api
) -> None:
    """Salesforce keeps the order of the ids; that is implied, not promised."""
    scripted.fallback = Org(lambda rows: [*rows[:-1][::-1], None], times=1_000)
    answers = retrieved(asking, way, IDS)

    assert {IDS[n] for n in (0, 1, 3, 4)} == set(ids_of(answers))
    assert 4 == len(ids_of(answers))
    assert {IDS[2]: HIDDEN, IDS[5]: HIDDEN} == {k: g.reason for k, g in gone_of(answers).items()}


@BY_ID
@pytest.mark.parametrize("indent", [None, 1])
@pytest.mark.parametrize("absent", [None, 0, 1, 2])
def test_an_answer_written_another_way(
    scripted: Scripted, asking: SalesforceClient, way: Api, indent: int | None, absent: int | None
) -> None:
    """With spaces and line breaks between the entries, and a null wherever: JSON is JSON."""
    org = Org(lambda rows: [None if n == absent else row for n, row in enumerate(rows)], 1_000)

    def spaced(heard: Heard) -> Bytes:
        body = org(heard).data.partition(b"\r\n\r\n")[2]
        return answer(body=json.dumps(json.loads(body), indent=indent))

    scripted.fallback = spaced
    answers = retrieved(asking, way, IDS)

    assert [id_ for n, id_ in enumerate(IDS) if n % 3 != absent] == sorted(ids_of(answers))
    assert {id_ for n, id_ in enumerate(IDS) if n % 3 == absent} == set(gone_of(answers))


# --- Bulk

JOB = {"id": "750R0000000zlh9IAA", "object": "Contact", "apiVersion": 64.0, "state": "JobComplete"}
CSV = {"Content-Type": "text/csv"}
HEAD = '"Id","LastName","Born"\n'


def line(id_: str, born: str = "") -> str:
    return f'"{id_}","N","{born}"\n'


def bulk_org(*pages: list[str]) -> Callable[[Heard], Bytes]:
    """Answers a job whose result pages hold these lines, by the addresses that it names."""
    job = {**JOB, "numberRecordsProcessed": sum(map(len, pages))}
    base = "/services/data/v64.0/jobs/query/750R0000000zlh9IAA"

    def say(heard: Heard) -> Bytes:
        path, _, rest = heard.path.partition("?")
        if path.endswith("/resultPages"):
            urls = [f"{base}/results?locator=p{n}&maxRecords=4" for n in range(len(pages))]
            return answer(body={"resultPages": [{"resultUrl": u} for u in urls], "done": True})
        if path.endswith("/results"):
            number = int(rest.partition("locator=p")[2][:1] or 0)
            return answer(body=HEAD + "".join(pages[number]), headers=CSV)
        if "/jobs/query" in path:
            return answer(body=job)
        return answer(body={"totalSize": 0, "done": True, "records": []})

    return say


@pytest.mark.parametrize(
    "pages",
    [
        [[IDS[0], IDS[0], IDS[1]]],
        [[IDS[0], IDS[1], IDS[1], IDS[1]], [IDS[1], IDS[0]]],
        [[IDS[1]] * 4, [IDS[0]] * 4, [IDS[1], IDS[0], IDS[1]]],
    ],
)
def test_a_row_that_a_job_answers_twice_comes_once(
    scripted: Scripted, asking: SalesforceClient, pages: list[list[str]]
) -> None:
    """A job that Salesforce retried may hold rows twice, in a page and in two; who is absent is told."""
    scripted.fallback = bulk_org(*[[line(id_) for id_ in page] for page in pages])
    answers = retrieved(asking, Api.BULK, IDS[:3])

    assert IDS[:2] == sorted(ids_of(answers))
    assert {IDS[2]: HIDDEN} == {id_: gone.reason for id_, gone in gone_of(answers).items()}


@pytest.mark.parametrize("pages", [[["x", "x"]], [["x", "", "", ""], ["x"]]])
def test_a_value_of_a_row_that_a_job_answers_twice_is_rejected_once(
    scripted: Scripted, asking: SalesforceClient, pages: list[list[str]]
) -> None:
    """One value is one rejection, as by the other ways."""
    ids = iter([*IDS[1:4], *IDS])
    scripted.fallback = bulk_org(
        *[[line(IDS[0] if bad else next(ids), bad) for bad in page] for page in pages]
    )
    answers = retrieved(asking, Api.BULK, IDS[:4])

    assert [(IDS[0], "Born", '"x"')] == [
        (r.record_id, r.field, r.payload) for part in answers for r in part.batch.rejected
    ]


def test_values_that_lost_a_character_are_told_of(org: DemoOrg, synced: Synced) -> None:
    """PostgreSQL holds no NUL; the row is not quite the org's, and the report says so."""
    first, *_, last = org.active_ids()
    org.edit("Contact", first, Title="a\0b")
    org.edit("Contact", last, Department="\0")
    facts = synced.ok()

    assert "ab" == synced.rows("sf_contacts")[first]["title"]
    assert 2 <= facts["nuls_removed"]
    warning = f"of {facts['nuls_removed']} values: PostgreSQL can't hold them"
    assert warning in text(facts)
    assert warning in document(facts)
