"""An org that does all that Salesforce permits: whole syncs, and every cell compared with the org's."""

from __future__ import annotations

import math
from typing import Any

import pytest

from salesforce_targeted.arrow.columns import FIELD_HINT
from salesforce_targeted.demo_org import DemoOrg
from tests.conftest import BOTH, Synced
from tests.support.oracles.held_values import as_held
from tests.sync.test_verify import look

TABLES = {"sf_contacts": "Contact", "sf_activities": "Task", "sf_users": "User"}
# Which way a row came can't be seen in it: PostgreSQL gets the rows of one way.
WAYS = pytest.mark.parametrize(
    ("synced", "api"),
    [
        ("duckdb", "collections"),
        ("duckdb", "query"),
        ("duckdb", "bulk"),
        pytest.param("postgres", "collections", marks=pytest.mark.postgres),
    ],
    indirect=["synced"],
)
NOT_COLUMNS = {"address", "location", "base64"}
# Words that SQL keeps for itself, as names of fields.
RESERVED = (
    "Select", "From", "Where", "Order", "Group", "Table", "User", "Default", "Check", "Primary", "References",
    "Desc", "Limit", "Offset", "All", "Null", "True", "End", "Case", "Grant", "Column", "Unique", "Values", "Merge",
    "Using", "Ctid", "Xmin", "Tableoid", "Rowid", "Current_User", "Row_Hash", "Removed_At", "Dlt_Load_Id",
)  # fmt: skip


# --- what should be there ---------------------------------------------------------------------------


def is_same(wanted: Any, got: Any) -> bool:
    """Equal, to the last bit: 0.0 is not -0.0, True is not 1."""
    if isinstance(wanted, float) and isinstance(got, float):
        return wanted == got and math.copysign(1, wanted) == math.copysign(1, got)
    return bool(wanted == got) and isinstance(got, bool) is isinstance(wanted, bool)


def columns_of(synced: Synced, table: str) -> dict[str, str]:
    """Field to the column that holds it."""
    columns: Any = synced.pipeline.default_schema.tables[table]["columns"]
    return {str(hints[FIELD_HINT]): name for name, hints in columns.items() if FIELD_HINT in hints}


def differences(org: DemoOrg, synced: Synced) -> list[Any]:
    """Every cell of every held row that isn't the org's; cells that have no column are among them."""
    cells = []
    for table, object_name in TABLES.items():
        where = columns_of(synced, table)
        held = synced.rows(table)
        shown = org.rows(object_name, ids=list(held), all_rows=True)
        entries = {e["name"]: e["type"] for e in org.fields(object_name)}
        for id_, row in held.items():
            for name, kind in entries.items():
                if kind not in NOT_COLUMNS:
                    wanted = as_held(kind, shown[id_][name])
                    got = row[where[name]] if name in where else "no column"
                    if not is_same(wanted, got):
                        cells.append((object_name, id_, name, wanted, got))
    return cells


def assert_true(org: DemoOrg, synced: Synced) -> None:
    """All active contacts are held, and each cell of contacts, tasks and users is the org's."""
    assert set(org.active_ids()) == set(synced.rows("sf_contacts"))
    assert [] == differences(org, synced)


@pytest.mark.deep
def test_the_comparison_sees_a_difference(org: DemoOrg, synced: Synced) -> None:
    """The control: one cell changed in the destination is one difference."""
    synced.begin()
    assert_true(org, synced)
    synced.sql(f"UPDATE sf_contacts SET last_name = 'another' WHERE id = '{org.hostile_id}'")

    assert [(org.hostile_id, "LastName", "another")] == [
        (id_, name, got) for _, id_, name, _, got in differences(org, synced)
    ]


# --- names ------------------------------------------------------------------------------------------


@pytest.mark.deep
@BOTH
def test_names_that_fold_into_one(org: DemoOrg, synced: Synced) -> None:
    """Both fields are held, apart, whatever their types, and stay where they are in later runs."""
    ids = org.active_ids()
    org.add_field("Contact", "FooBar__c", "string", dict.fromkeys(ids, "one"))
    org.add_field("Contact", "Foo_Bar__c", "double", dict.fromkeys(ids, 2.5))
    org.add_field("Contact", "Foo_Bar_c", "date", dict.fromkeys(ids, "1999-09-09"))
    org.add_field("Task", "IsOpen__c", "boolean")
    org.add_field("Task", "Is_Open__c", "string", {next(iter(org.rows("Task"))): "open"})
    facts = synced.ok()
    before = columns_of(synced, "sf_contacts")
    assert_true(org, synced)
    org.drop_field("Contact", "FooBar__c")
    org.add_field("Contact", "FooBar__c", "string", dict.fromkeys(ids, "another"))
    org.edit("Contact", ids[0], Foo_Bar__c=3.5)
    synced.ok()

    assert_true(org, synced)
    assert before == columns_of(synced, "sf_contacts")
    assert 2 == sum("column name is taken" in warning for warning in facts["warnings"])


@pytest.mark.deep
@pytest.mark.parametrize(
    ("synced", "api"),
    [
        ("duckdb", "collections"),
        ("duckdb", "bulk"),
        pytest.param("postgres", "collections", marks=pytest.mark.postgres),
    ],
    indirect=["synced"],
)
def test_names_of_any_kind(org: DemoOrg, synced: Synced, api: str) -> None:
    """Names that end alike behind 63 characters, that SQL knows, that a database or we have taken."""
    ids = org.active_ids()
    stem = "Namespaceprefix__AbCdEfGhIjKlMnOpQrStUvWxYzAbCdEfGhIjKlMn"
    names = [f"{stem}{end}__c" for end in ("Aa", "Ab", "AB", "_A")]
    names += ["A__c", "A1__c", "X_1__c", "X1__c", *(f"{word}__c" for word in RESERVED)]
    if api == "collections":
        names += RESERVED  # of standard fields; the demo org, like SQL, can't read them in a query
    for name in names:
        org.add_field("Contact", name, "string", dict.fromkeys(ids, f"value of {name}"))
    synced.ok(api=api)
    org.edit("Contact", ids[0], **dict.fromkeys(names, "changed"))
    synced.ok(api=api)

    assert_true(org, synced)


@pytest.mark.deep
@BOTH
def test_eight_hundred_fields(org: DemoOrg, synced: Synced) -> None:
    """As many as an object may have: all held, typed, in a first run and after a change."""
    ids = org.active_ids()
    values = {
        "string": "text", "double": 1.5, "boolean": True, "date": "2001-02-03", "int": 7, "picklist": "a",
        "datetime": "2001-02-03T04:05:06.789+0000", "textarea": "long", "currency": 2.25, "time": "01:02:03.004Z",
    }  # fmt: skip
    kinds = list(values)
    more = 800 - len(org.fields("Contact"))
    for number in range(more):
        kind = kinds[number % len(kinds)]
        org.add_field("Contact", f"Field_{number}__c", kind, dict.fromkeys(ids, values[kind]))
    synced.ok()
    org.edit("Contact", ids[0], Field_0__c="changed", Field_689__c=None)
    facts = synced.ok()

    assert 800 == len(org.fields("Contact"))
    assert_true(org, synced)
    assert 1 == facts["contacts"]["updated"]


# --- values -----------------------------------------------------------------------------------------

TEXTS = {
    "131,072 characters": "x" * 131_072,
    "131,072 characters of four bytes": "😈" * 131_072,
    "quotes, commas and line ends only": '",\r\n' * 32_768,
    "separators": "a\u2028b\u2029c\x85d\x0be\x0cf\x1cg\x1dh\x1ei\x1f",
    "CR alone": "a\rb\r", "LF alone": "\n", "CR LF": "\r\n", "spaces": "   ", "a tab": "\t",
    "NULs": "\0a\0\0b\0", "NULs alone": "\0\0",
    "a BOM": "\ufeffa", "a noncharacter": "\ufffe\uffff", "private use": "\ue000\U0010fffd", "combining": "e\u0301" * 9,
    "right to left": "\u202eabc", "DEL and C1": "\x7f\x80\x9f", "controls": "".join(map(chr, range(1, 32))),
    "what CSV readers take for null": "NULL", "what COPY takes for null": "\\N", "what COPY takes for the end": "\\.",
    "the end of a COPY in mid-text": "a\n\\.\nb", "a backslash at the end": "a\\", "an escape": "\\x41\\u0041\\101",
    "a quote": '"', "two quotes": '""', "a formula": '=HYPERLINK("http://a")', "SQL": "'); DROP TABLE sf_contacts; --",
    "JSON": '{"a": [null]}', "a dollar quote": "$$a$$", "a percent": "%s %(a)s {0} {}",
}  # fmt: skip


def write_texts(org: DemoOrg) -> None:
    """Each text into contacts, tasks and a user."""
    contacts, tasks = org.active_ids(), list(org.rows("Task"))
    for number, text in enumerate(TEXTS.values()):
        org.edit("Contact", contacts[number % len(contacts)], Notes__c=text)
        extra = org.add_contact(LastName=text[:80], Notes__c=text, Description=text[:32_000])
        org.log_task([extra], Subject=text[:255], Description=text[:32_000])
        org.edit("Task", tasks[number % len(tasks)], Description=text[:32_000])
    org.edit("User", next(iter(org.rows("User"))), LastName=TEXTS["separators"])


DATES = ("0001-01-01", "0001-12-31", "0099-02-28", "1582-10-10", "1699-12-31", "1700-01-01", "1752-09-05", "1883-11-18",
         "1969-12-31", "1970-01-01", "2000-02-29", "2038-01-19", "3999-12-31", "4000-01-01", "4000-12-31")  # fmt: skip


def write_dates(org: DemoOrg) -> None:
    """Days, instants and times of day."""
    for number, day in enumerate(DATES):
        clock = ("00:00:00.000", "23:59:59.999", "12:34:56.001")[number % 3]
        moment = f"{day}T{clock}+0000"
        extra = org.add_contact(
            Birthdate=day, First_Contact__c=day, Consent_Given__c=moment, Last_Visit__c=moment,
            Office_Opens__c=f"{clock}Z",
        )  # fmt: skip
        org.log_task([extra], ActivityDate=day, ReminderDateTime=moment)


NUMBERS = (1.2345678901234568e17, -1.2345678901234568e17, 0.0, -0.0, 5e-324, 2.2250738585072014e-308, 1.7976931348623157e308,
           1e-7, 0.1, 0.1 + 0.2, 1e15, 123456789012345.67, 99999999999999.98, 9007199254740993.0, 1e21, -1e-5, 1e7, 1234567.0)  # fmt: skip


def write_numbers(org: DemoOrg) -> None:
    """Doubles by every name that Salesforce has for them, and ints to their ends."""
    for number, value in enumerate(NUMBERS):
        extra = org.add_contact(
            Huge_Number__c=value, Score__c=-value, Annual_Budget__c=value, Response_Rate__c=value,
            MailingLatitude=value, Rank__c=(-2_147_483_648, 2_147_483_647, 0)[number % 3],
        )  # fmt: skip
        org.log_task([extra], CallDurationInSeconds=2_147_483_647)


@pytest.mark.brief(1)
@WAYS
def test_values_of_any_kind(org: DemoOrg, synced: Synced, api: str) -> None:
    """Texts but for their NULs, days from 0001 to 4000, every bit of a double; --verify agrees."""
    write_texts(org)
    write_dates(org)
    write_numbers(org)
    facts = synced.ok(api=api)

    assert_true(org, synced)
    assert ([], True) == (facts["rejected"], facts["nuls_removed"] > 0)
    repeat = synced.ok(api=api)
    assert (0, 0) == (repeat["contacts"]["new"], repeat["contacts"]["updated"])
    assert ("done", []) == (look(synced)["status"], look(synced)["drift"]["examples"])


@pytest.mark.deep
@pytest.mark.parametrize(
    ("synced", "api"), [("duckdb", "query"), ("postgres", "collections")], indirect=["synced"]
)
def test_lone_surrogates(org: DemoOrg, synced: Synced, api: str) -> None:
    """Half an emoji costs one character (U+FFFD), not the record, nor those that came with it."""
    first, second = org.active_ids()[:2]
    org.edit("Contact", first, Notes__c="a\ud800b", LastName="\udc00")
    org.edit("Contact", second, Notes__c="whole 😈")
    org.log_task([first], Subject="\udfff\ud800")
    synced.ok(api=api)

    assert_true(org, synced)


@BOTH
def test_ids_that_differ_only_by_case(org: DemoOrg, synced: Synced) -> None:
    """Two contacts, two tasks: their first 15 characters are the same but for case."""
    ids = list(org.rows("Contact"))
    pairs = [(a, b) for a in ids for b in ids if a < b and a[:15].lower() == b[:15].lower()]
    assert pairs, "the org has no such ids"
    for pair in pairs[:5]:
        for id_ in pair:
            org.edit("Contact", id_, LastName=f"Contact {id_}")
            org.log_task([id_], Subject=id_)
    synced.ok()

    assert_true(org, synced)
    lives = synced.rows("sf_active_contacts", key="contact_id")
    assert all(lives[id_]["is_active"] for pair in pairs[:5] for id_ in pair)


UNKNOWN = {
    "a text": "x",
    "a number": 12,
    "a fraction": 1.5,
    "a truth": True,
    "an object": {"b": 1, "a": [None]},
    "a list": [1, "x"],
}


@pytest.mark.deep
@BOTH
def test_a_type_never_heard_of(org: DemoOrg, synced: Synced) -> None:
    """Its values land as text, with a warning that names field and type; no other field suffers."""
    ids = org.active_ids()
    org.add_field("Contact", "Shape__c", "hologram", dict(zip(ids, UNKNOWN.values(), strict=False)))
    facts = synced.ok()
    synced.ok()
    held = {id_: row["shape__c"] for id_, row in synced.rows("sf_contacts").items()}
    wanted = ["x", "12", "1.5", "true", '{"a":[null],"b":1}', '[1,"x"]']

    assert wanted == [held[id_] for id_ in ids[: len(wanted)]]
    assert [] == [cell for cell in differences(org, synced) if cell[2] != "Shape__c"]
    assert any(
        "Contact.Shape__c" in warning and "'hologram'" in warning for warning in facts["warnings"]
    )


@pytest.mark.deep
@BOTH
def test_values_that_are_none_of_their_type(org: DemoOrg, synced: Synced) -> None:
    """What the column can't hold is null and listed with its payload; its row and all others load."""
    ids = org.active_ids()
    bad = {
        "Birthdate": "40000-01-01", "Last_Visit__c": "2001-02-30T00:00:00.000+0000", "Office_Opens__c": "25:00:00.000Z",
        "Rank__c": 1.5, "Fee__c": "many", "Active__c": "perhaps",
    }  # fmt: skip
    for (name, value), id_ in zip(bad.items(), ids, strict=False):
        org.edit("Contact", id_, **{name: value})
    facts = synced.ok()
    rejected = {(r["record_id"], r["field"]) for r in facts["rejected"]}

    assert set(zip(ids, bad, strict=False)) == rejected
    assert set(ids) == set(synced.rows("sf_contacts"))
    assert not any(str(value) in str(facts) for value in ("40000-01-01", "perhaps", "many"))
    for (name, _), id_ in zip(bad.items(), ids, strict=False):
        org.edit("Contact", id_, **{name: None if name != "Active__c" else False})
    synced.ok()

    assert_true(org, synced)
    assert {} == synced.rows("sf_rejected_records", key="record_id")


@pytest.mark.deep
@pytest.mark.postgres
@pytest.mark.parametrize("synced", ["postgres"], indirect=True)
def test_labels_of_anything(org: DemoOrg, synced: Synced) -> None:
    """What an admin calls a field reaches the schema, and spoils nothing there."""
    ids = org.active_ids()
    for number, label in enumerate(
        ["it's", '"; DROP', "line\nfeed", "nul\0", "half \ud800", "😈", "x" * 9_000, ""]
    ):
        org.add_field(
            "Contact", f"Labelled_{number}__c", "string", dict.fromkeys(ids, "v"), label=label
        )
    synced.ok()
    synced.ok()

    assert_true(org, synced)
