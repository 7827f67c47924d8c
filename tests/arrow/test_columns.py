"""Describe becomes columns: one type each, one name each, stable from run to run."""

from __future__ import annotations

import random
from typing import Any

import pyarrow as pa
import pytest

from salesforce_targeted.api.errors import ConfigurationError
from salesforce_targeted.arrow.columns import (
    ARROW_TYPES,
    FIELD_HINT,
    STORED_TYPES,
    STRUCTURAL_FIELDS,
    TIMESTAMP,
    Column,
    Columns,
    columns,
)
from salesforce_targeted.demo_org import DemoOrg
from tests.support.fields import columns_of, describe, entry, normalize

TEXT_TYPES = (
    "id", "reference", "string", "textarea", "phone", "email", "url", "picklist", "multipicklist",
    "combobox", "encryptedstring", "anyType",
)  # fmt: skip
TYPES = {
    **dict.fromkeys(TEXT_TYPES, pa.string()),
    "boolean": pa.bool_(), "int": pa.int64(), "long": pa.int64(), "double": pa.float64(),
    "currency": pa.float64(), "percent": pa.float64(), "date": pa.date32(), "datetime": TIMESTAMP,
    "time": pa.time64("us"),
}  # fmt: skip
DATA_TYPES = {
    pa.string(): "text", pa.bool_(): "bool", pa.int64(): "bigint", pa.float64(): "double",
    pa.date32(): "date", TIMESTAMP: "timestamp", pa.time64("us"): "time",
}  # fmt: skip


def column(of: Columns, field: str) -> Column:
    """Return the column of a field that has one."""
    column_ = of.named(field)
    assert column_ is not None
    return column_


def stored_after(run: Columns) -> dict[str, dict[str, Any]]:
    """Dlt's schema of the table once a run with these columns was loaded."""
    return {
        column.stored: {"data_type": DATA_TYPES[column.type], FIELD_HINT: column.field}
        for column in run.items
    }


@pytest.mark.parametrize(("kind", "expected"), TYPES.items())
def test_a_field_type_has_one_arrow_type(kind: str, expected: pa.DataType) -> None:
    """Types come from describe: the table of design.md, section 8."""
    shape = columns_of(F=kind)

    assert expected == column(shape, "F").type
    assert () == shape.warnings


def test_the_table_of_types_is_the_one_tested() -> None:
    """A type added to the library has to be added here."""
    assert TYPES == ARROW_TYPES
    assert {name: kind for kind, name in DATA_TYPES.items()} == STORED_TYPES


def test_an_unknown_type_lands_as_text() -> None:
    """A type that Salesforce invents tomorrow is text, with a warning that names it."""
    shape = columns_of(F="hologram")

    assert pa.string() == column(shape, "F").type
    assert ["'hologram'"] == [word for word in shape.warnings[0].split() if "holo" in word]


@pytest.mark.parametrize(
    "left_out",
    [
        entry("MailingAddress", "address"),
        entry("Geo__c", "location"),
        entry("Body", "base64"),
        entry("X", "complexvalue"),
        entry("Y", "masterrecord"),
        entry("TaskWhoIds", "string", soapType="urn:JunctionIdListNames"),
        entry("TaskWhoIds", "JunctionIdList", soapType="tns:ID"),
        entry("Old__c", "string", deprecatedAndHidden=True),
    ],
    ids=lambda field: field["name"],
)
def test_what_is_no_column(left_out: dict[str, Any]) -> None:
    """Compounds, files, junction lists and fields of uninstalled packages are never asked for."""
    shape = columns(describe(left_out, entry("Name")), normalize=normalize)

    assert ["Id", "Name"] == shape.fields


def test_a_compound_of_text_is_a_column() -> None:
    """``Name`` is what FirstName and LastName are parts of, and a plain string all the same."""
    parts = [entry(name, compoundFieldName="Name") for name in ("FirstName", "LastName")]
    shape = columns(describe(entry("Name"), *parts), normalize=normalize)

    assert ["Id", "Name", "FirstName", "LastName"] == shape.fields


def test_the_key_comes_first_and_is_never_null() -> None:
    """Wherever describe has Id: it is the first column, called id, and the hash is the last."""
    shape = columns(
        {"name": "Contact", "fields": [entry("NPI__c"), entry("Id", "id")]}, normalize=normalize
    )

    assert ("Id", "id", "id") == (shape.key.field, shape.key.name, shape.key.stored)
    assert ["id", "NPI__c", "row_hash"] == shape.schema.names
    assert [False, True, True] == [kind.nullable for kind in shape.schema]


def test_the_key_under_another_name() -> None:
    """``id_column`` names Salesforce's Id where a table has an id of its own."""
    shape = columns(describe(), normalize=normalize, id_column="salesforce_id")

    assert ("salesforce_id", "Id") == (shape.key.stored, shape.key.field)


@pytest.mark.parametrize("odd", [{"type": None}, {"type": ["string"]}, {"label": 5}], ids=str)
def test_odd_words_of_a_describe_cost_no_column(odd: dict[str, Any]) -> None:
    """The name alone is needed: a type that is none is unknown, and its values land as text."""
    shape = columns(describe({**entry("F"), **odd}), normalize=normalize)

    assert pa.string() == column(shape, "F").type


def test_labels_become_descriptions() -> None:
    """A column says in words what its field is called."""
    assert "The NPI__c" == column(columns_of(NPI__c="string"), "NPI__c").description
    with_nul = columns(describe(entry("F", label="a\0b")), normalize=normalize)
    assert "ab" == column(with_nul, "F").description  # PostgreSQL takes none in a comment either


def test_only_some_fields() -> None:
    """An allow-list in any case; what tells a deleted record is always asked for."""
    shown = [entry(name) for name in ("IsDeleted", "MasterRecordId", "SystemModstamp")]
    shape = columns(
        describe(entry("Email"), entry("Phone"), *shown), normalize=normalize, only=["EMAIL"]
    )

    assert {*STRUCTURAL_FIELDS, "Email"} == set(shape.fields)
    assert () == shape.warnings


def test_fields_left_out_by_choice_keep_what_they_hold() -> None:
    """Columns that the allow-list no longer names are kept and named, in one sentence for all."""
    before = columns_of(Email="string", Phone="string", Fax="string")
    shape = columns(
        describe(entry("Email"), entry("Phone"), entry("Fax")), normalize=normalize,
        only=["Email"], stored=stored_after(before),
    )  # fmt: skip

    assert ({"phone", "fax"}, ()) == (set(shape.kept), shape.hidden)
    assert 1 == len(shape.warnings)
    assert "phone, fax" in shape.warnings[0]


def test_a_name_that_is_no_field_is_refused_with_the_nearest() -> None:
    """A slip in the allow-list would leave a column out for good; a compound is no column."""
    shown = describe(entry("Email"), entry("FirstName"), entry("MailingAddress", "address"))
    with pytest.raises(ConfigurationError) as refused:
        columns(shown, normalize=normalize, only=["firstname", "Emial", "MailingAddress"])

    assert "names Emial, MailingAddress: Contact " in refused.value.what
    assert "Perhaps Email for Emial?" in refused.value.remedy


def test_a_field_of_the_allow_list_that_was_hidden_since_is_kept() -> None:
    """It has a column: a permission was taken away, which must not stop every run."""
    stored = stored_after(columns_of(Email="string", Phone="string"))
    shape = columns(
        describe(entry("Email")), normalize=normalize, only=["Email", "Phone"], stored=stored
    )

    assert ("phone",) == shape.hidden
    assert "no longer shows the field of column phone" in shape.warnings[0]


def test_a_field_that_vanished_is_kept_with_a_warning() -> None:
    """Hidden or deleted: its column isn't loaded, and the report says so. dlt's own are no fields."""
    stored = stored_after(columns_of(Email="string", NPI__c="string"))
    shape = columns_of({**stored, "row_hash": {"data_type": "text"}, "_dlt_id": {}}, Email="string")

    assert ("npi__c",) == shape.kept == shape.hidden
    assert 1 == len(shape.warnings)
    assert "npi__c" in shape.warnings[0]


def test_a_field_that_is_new_is_said_to_be_added() -> None:
    """The destination does not have it yet: the column has to be carried there."""
    stored = stored_after(columns_of(Email="string"))

    assert ("npi__c",) == columns_of(stored, Email="string", NPI__c="string").added
    assert () == columns_of(stored, Email="string").added


def test_names_that_fold_into_one_are_both_held() -> None:
    """Three fields, one snake_case name: three columns, and each surprise is said."""
    shape = columns_of(FooBar__c="string", Foo_Bar__c="string", fooBar__c="string")

    assert 4 == len({column.stored for column in shape.items})
    assert "foo_bar__c" == column(shape, "FooBar__c").stored
    assert ["Foo_Bar__c", "fooBar__c"] == [w.split(":")[0].split(".")[1] for w in shape.warnings]


def test_a_suffixed_name_is_the_same_in_every_run() -> None:
    """The suffix is made of the field's name, not of its place."""
    assert (
        "Foo_Bar__c_d2ff7a"
        == column(columns_of(FooBar__c="string", Foo_Bar__c="string"), "Foo_Bar__c").name
    )


def test_fields_that_collide_never_swap_their_columns() -> None:
    """Whatever order describe has, and whichever comes or goes: a field stays where it landed."""
    names = ["FooBar__c", "Foo_Bar__c", "fooBar__c", "Email", "Phone"]
    stored: dict[str, dict[str, Any]] = {}
    places: dict[str, str] = {}
    rng = random.Random(7)
    for _ in range(50):
        shown = rng.sample(names, rng.randint(1, len(names)))
        shape = columns_of(stored, **dict.fromkeys(shown, "string"))
        assert len(shape.items) == len({column.stored for column in shape.items})
        for column in shape.items:
            assert places.setdefault(column.field, column.stored) == column.stored
        stored |= stored_after(shape)


@pytest.mark.parametrize("taken", ["RowHash", "Removed_At"])
def test_a_field_never_takes_a_column_of_ours(taken: str) -> None:
    """A field called like the hash, or like a column that we add, lands next to it."""
    shape = columns(describe(entry(taken)), normalize=normalize, own=["removed_at"])

    assert normalize(taken) != column(shape, taken).stored
    assert column(shape, taken).stored.startswith(normalize(taken))


def test_columns_of_our_own_are_not_fields_that_vanished() -> None:
    """``removed_at`` was never Salesforce's."""
    stored = {**stored_after(columns_of()), "removed_at": {"data_type": "timestamp"}}
    shape = columns(describe(), normalize=normalize, stored=stored, own=["removed_at"])

    assert ((), ()) == (shape.kept, shape.warnings)


@pytest.mark.parametrize("held", STORED_TYPES)
@pytest.mark.parametrize("kind", ["string", "boolean", "int", "double", "date", "datetime", "time"])
def test_a_stored_column_keeps_its_type(kind: str, held: str) -> None:
    """The type that the destination has is the one that is loaded; a change is said."""
    shape = columns_of({"f": {"data_type": held}}, F=kind)

    assert STORED_TYPES[held] == shape.schema.field("F").type
    assert ARROW_TYPES[kind] == column(shape, "F").wire_type
    assert (STORED_TYPES[held] != ARROW_TYPES[kind]) == (1 == len(shape.warnings))


@pytest.mark.parametrize("held", ["decimal", "json", "binary", "wei"])
def test_a_stored_type_that_nothing_fits_is_left_alone(held: str) -> None:
    """A column that was made of another type is kept as it is, instead of bytes of another."""
    shape = columns_of({"f": {"data_type": held}}, F="double")

    assert ["Id"] == shape.fields
    assert ("f",) == shape.kept
    assert 1 == len(shape.warnings)
    assert f"column f holds {held}" in shape.warnings[0]


def test_the_contacts_of_an_org() -> None:
    """Every field of a real-looking describe is a column, the compounds apart."""
    org = DemoOrg.tiny()
    shape = columns({"name": "Contact", "fields": org.fields("Contact")}, normalize=normalize)
    compounds = [e for e in org.fields("Contact") if e["type"] in {"address", "location"}]

    assert 105 == len(shape.items)
    assert len(org.fields("Contact")) - len(compounds) == len(shape.items)
    assert () == shape.warnings
    assert shape.named("Nothing__c") is None
