"""Rows come into columns of their own types, whatever a user's own steps make of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import polars as pl
import pyarrow as pa
import pytest
from dlt.pipeline.exceptions import PipelineStepFailed

from salesforce_targeted import salesforce_targeted
from salesforce_targeted.demo_org import DemoOrg
from tests.conftest import Synced
from tests.support.plain_pipeline import of_contacts, refused, run

ON_POSTGRES = pytest.mark.parametrize(
    "synced", [pytest.param("postgres", marks=pytest.mark.postgres)], indirect=True
)


def mapped(resource: str, column: str, values: Callable[[pa.Table], Any]) -> Callable[[Any], Any]:
    """Make a change that gives a column of a resource other values."""

    def step(rows: pa.Table) -> pa.Table:
        names = [name for name in rows.column_names if name != column]
        return rows.select(names).append_column(column, values(rows))

    return lambda source: source.resources[resource].add_map(step)


def in_pandas(rows: pa.Table) -> Any:
    """Make of whole numbers what pandas makes of them where one is missing."""
    return rows.to_pandas().assign(Rank__c=1.5)


def in_polars(rows: pa.Table) -> Any:
    """Give a whole number a fraction, in a frame of a library that dlt takes, too."""
    return pl.DataFrame(rows).with_columns(Rank__c=1.5)


@pytest.mark.brief(2)
@ON_POSTGRES
@pytest.mark.parametrize(
    ("change", "beginning"),
    [
        (
            mapped("contact", "Score__c", lambda rows: pa.array([4] * len(rows), pa.int64())),
            "sf_contacts: column score__c is double in the database, and its values come as int64",
        ),
        (
            mapped("contact", "LastName", lambda rows: pa.array([True] * len(rows))),
            "sf_contacts: column last_name is text as it was loaded, and its values come as bool",
        ),
        (
            mapped("contact_life", "relation_count", lambda rows: pa.array([0.5] * len(rows))),
            "sf_active_contacts: column relation_count is bigint in the database",
        ),
        (
            lambda source: source.contact.add_map(in_pandas),
            "sf_contacts: column rank__c is bigint in the database, and its values come as double",
        ),
        (
            lambda source: source.contact.add_map(in_polars),
            "sf_contacts: column rank__c is bigint in the database, and its values come as double",
        ),
    ],
    ids=["number", "text", "life", "pandas", "polars"],
)
def test_a_type_that_add_map_changes_is_refused(
    org: DemoOrg, synced: Synced, change: Callable[[Any], Any], beginning: str
) -> None:
    """4 was held as 2e-323 and True as a control character, and the run was done."""
    synced.begin()
    for contact in org.active_ids():
        org.edit("Contact", contact, LastName="Edited")
        org.log_task([contact])
    message = refused(synced, change)
    synced.ok()

    assert message.startswith(beginning)
    assert "Let add_map return the column's own type" in message
    assert {"Edited"} == {row["last_name"] for row in synced.rows("sf_contacts").values()}


@ON_POSTGRES
def test_a_type_that_changes_within_a_first_run_is_refused(synced: Synced) -> None:
    """No column is there yet, and what came first makes it."""

    def halves(rows: pa.Table) -> Iterator[pa.Table]:
        yield rows[:6].append_column("mine", pa.array([1] * 6))
        yield rows[6:].append_column("mine", pa.array([1.5] * 6))

    source = salesforce_targeted(synced.credentials)
    source.contact.add_yield_map(halves)
    with pytest.raises(PipelineStepFailed) as caught:
        synced.pipeline.run(source)

    assert "sf_contacts: column mine is bigint as it was loaded" in str(caught.value)


@ON_POSTGRES
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (of_contacts(columns={"rank__c": {"precision": 32}}), "column rank__c comes as int64"),
        (
            mapped("contact", "mine", lambda rows: pa.array([0.5] * len(rows), pa.float32())),
            "column mine comes as float",
        ),
    ],
    ids=["hint", "float32"],
)
def test_numbers_of_fewer_bits_are_refused_before_their_table_is_made(
    org: DemoOrg, synced: Synced, change: Callable[[Any], Any], words: str
) -> None:
    """No run could load them, nor any after the table was made; the source as it is loads."""
    message = refused(synced, change)
    run(synced)

    assert words in message
    assert org.active_ids() == sorted(synced.rows("sf_contacts"))


@pytest.mark.deep
@ON_POSTGRES
def test_columns_of_ones_own_keep_their_types(org: DemoOrg, synced: Synced) -> None:
    """Whatever Arrow type they have, run after run; nulls go into any column."""
    values: dict[str, Any] = {
        "short": pa.array([1], pa.int32()),
        "moment": pa.array([0], pa.timestamp("ms")),
        "word": pa.array(["a"]).dictionary_encode(),
        "LastName": pa.nulls(1),
    }

    def step(rows: pa.Table) -> pa.Table:
        rows = rows.select([name for name in rows.column_names if name not in values])
        for name, value in values.items():
            rows = rows.append_column(name, pa.concat_arrays([value] * len(rows)))
        return rows

    run(synced)
    for first_name in ("Edited", "Edited again"):
        for contact in org.active_ids():
            org.edit("Contact", contact, FirstName=first_name)
        run(synced, lambda source: source.contact.add_map(step))
    held = synced.rows("sf_contacts").values()

    assert {("Edited again", 1, "a", None)} == {
        (row["first_name"], row["short"], row["word"], row["last_name"]) for row in held
    }


def test_rows_that_are_made_dictionaries_are_dlts_to_type(org: DemoOrg, synced: Synced) -> None:
    """It fits them to the columns itself: they have no types to compare."""
    run(synced, lambda source: source.contact.add_yield_map(lambda rows: rows.to_pylist()))

    assert org.active_ids() == sorted(synced.rows("sf_contacts"))


def test_a_column_that_was_altered_in_duckdb_is_told(org: DemoOrg, synced: Synced) -> None:
    """A number is rounded, and a moment loses its zone, without an error."""
    synced.begin()
    types = {"visits__c": "FLOAT", "score__c": "DECIMAL(18, 1)", "created_date": "TIMESTAMP"}
    for column, kind in types.items():
        synced.sql(f"ALTER TABLE sf_contacts ALTER {column} TYPE {kind}")
    org.edit("Contact", org.active_ids()[0], LastName="Edited")
    text = " ".join(synced.ok()["warnings"])

    assert "visits__c was altered and is real now: the database rounds" in text
    assert "score__c was altered and is numeric now: the database rounds" in text
    assert "created_date was altered and is timestamp without time zone now: it holds" in text
