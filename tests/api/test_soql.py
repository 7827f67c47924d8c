"""SOQL is written in one place, and nothing gets out of a literal or a name."""

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from urllib.parse import quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from salesforce_targeted.api import endpoints, read_only, soql
from salesforce_targeted.api.errors import ConfigurationError
from salesforce_targeted.api.limits import DOCUMENTED, TINY

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=200)
ID = "003D000000QOMyqIAH"


def unquoted(written: str) -> str:
    """Return what a reader of SOQL makes of a literal; raises if it doesn't end where the text ends."""
    back = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f"}
    assert written[0] == written[-1] == "'"
    chars, rest = [], iter(written[1:-1])
    for char in rest:
        assert char != "'", "the literal ends early"
        if char == "\\":
            after = next(rest)
            chars.append(back.get(after, after))
        else:
            chars.append(char)
    return "".join(chars)


@given(TEXT)
def test_a_literal_reads_back_as_its_text(text):
    """Whatever the text is, it comes back and the literal ends where it should."""
    assert text == unquoted(soql.literal(text))


@given(TEXT, TEXT)
def test_no_text_gets_out_of_its_literal(text, other):
    """With its literals blanked out, a statement is the same whatever the texts are."""
    statement = soql.select(
        ["Id"], "Contact", soql.and_(soql.eq("LastName", text), soql.is_in("FirstName", [other]))
    )
    bare = read_only._QUOTED.sub("?", statement)

    assert "SELECT Id FROM Contact WHERE (LastName = ? AND FirstName IN (?))" == bare
    assert read_only.refusal(endpoints.query("64.0", statement)) is None


@given(st.text(max_size=60))
def test_a_name_is_a_name_or_refused(text):
    """Nothing but letters, digits, underscores and dots gets through as a name."""
    try:
        name = soql.name(text)
    except ConfigurationError:
        return
    assert name.replace("_", "").replace(".", "").isalnum()
    assert name.isascii()


@pytest.mark.parametrize(
    "text", ["Id", "NPI__c", "ns__Field__c", "Account.Name", "Loc__Latitude__s", "Foo__pc"]
)
def test_names_of_salesforce(text):
    """Standard, custom, namespaced and related fields are names."""
    assert text == soql.name(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1a",
        "_a",
        "a b",
        "a'",
        "a;",
        "Id FROM Contact",
        "a..b",
        ".a",
        "a.",
        "a-b",
        "Ｉd",
        "Id\n",
        "x" * 256,
        "COUNT()",
    ],
)
def test_what_is_no_name(text):
    """Everything else is refused before it is sent."""
    with pytest.raises(ConfigurationError, match="can't be a name"):
        soql.name(text)


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (None, "null"),
        (True, "true"),
        (False, "false"),
        (0, "0"),
        (-12, "-12"),
        (1.5, "1.5"),
        (Decimal("1E+3"), "1000"),
        (date(2026, 11, 21), "2026-11-21"),
        (date(1, 1, 1), "0001-01-01"),
        (datetime(2026, 11, 21, 10, 0, tzinfo=UTC), "2026-11-21T10:00:00Z"),
        (
            datetime(2026, 11, 21, 10, 0, tzinfo=timezone(timedelta(hours=2))),
            "2026-11-21T08:00:00Z",
        ),
        (datetime(2026, 11, 21, 10, 0, 0, 999_999, tzinfo=UTC), "2026-11-21T10:00:00.999Z"),
        ("O'Brien", r"'O\'Brien'"),
        ("C:\\", r"'C:\\'"),
        ("", "''"),
    ],
)
def test_literals(value, written):
    """One row per type of the table of literals."""
    assert written == soql.literal(value)


@pytest.mark.parametrize(
    "value", [datetime(2026, 1, 1), float("nan"), float("inf"), "x" * 4001, "\ud800"]
)
def test_what_has_no_literal(value):
    """What can't be said safely raises."""
    with pytest.raises(ValueError):
        soql.literal(value)


def test_a_condition_is_never_plain_text():
    """Text in the place of a condition is refused, alone and joined."""
    with pytest.raises(TypeError, match="never from text"):
        soql.select(["Id"], "Contact", "Id != null")
    with pytest.raises(TypeError, match="never from text"):
        soql.and_(soql.eq("Id", ID), "1 = 1")


def test_an_empty_list_is_no_condition():
    """IN () isn't SOQL, and without a condition all rows would come."""
    with pytest.raises(ValueError, match="at least one"):
        soql.id_in([])


def test_ids_are_checked_and_made_whole():
    """An id is written with 18 characters; what is none is refused."""
    assert f"Id IN ('{ID}')" == soql.id_in([ID[:15]])
    with pytest.raises(ValueError, match="not a Salesforce id"):
        soql.id_in(["x' OR Id != '"])


def test_each_comparison():
    """Equality compares with null; a bound without a value is none, and has four operators."""
    conditions = [soql.eq("A", 1), soql.ne("A", None)]
    conditions += [soql.bound("A", operator, 1) for operator in (">", ">=", "<", "<=")]

    assert ["A = 1", "A != null", "A > 1", "A >= 1", "A < 1", "A <= 1"] == conditions
    assert soql.bound("A", ">", None) is None
    with pytest.raises(ConfigurationError, match="no comparison"):
        soql.bound("A", "= 1 OR A =", 1)


def test_joined_conditions():
    """None is left out; one condition stays as it is; nothing gives nothing."""
    first, second = soql.bound("A", ">=", 1), soql.ne("B", None)

    assert "(A >= 1 AND B != null)" == soql.and_(first, None, second)
    assert "((A >= 1 AND B != null) AND A >= 1)" == soql.and_(soql.and_(first, second), first)
    assert first == soql.and_(None, first)
    assert soql.and_(None) is None


def test_the_statement_that_discovery_needs():
    """Clauses stand in SOQL's order."""
    statement = soql.select(
        ["RelationId", soql.aggregate("COUNT", "Id", "n")], "TaskWhoRelation", soql.bound("RelationId", ">", ID),
        group_by=["RelationId"], order_by=["RelationId", soql.descending("TaskId")], limit=2000,
    )  # fmt: skip

    assert (
        f"SELECT RelationId, COUNT(Id) n FROM TaskWhoRelation WHERE RelationId > '{ID}' "
        "GROUP BY RelationId ORDER BY RelationId, TaskId DESC LIMIT 2000"
    ) == statement


@pytest.mark.parametrize(
    ("function", "field", "alias"),
    [("DROP", "Id", ""), ("MIN", "", ""), ("COUNT", "", "n"), ("MAX", "a)b", "")],
)
def test_what_is_no_aggregate(function, field, alias):
    """Only SOQL's functions over names."""
    with pytest.raises(ConfigurationError):
        soql.aggregate(function, field, alias)


@pytest.mark.parametrize("limit", [-1, True])
def test_a_limit_is_a_number_of_rows(limit):
    """Neither negative nor a truth."""
    with pytest.raises(ValueError, match="LIMIT"):
        soql.select(["Id"], "Contact", limit=limit)


def test_a_statement_needs_fields():
    """SELECT nothing isn't SOQL."""
    with pytest.raises(ValueError, match="at least one field"):
        soql.select([], "Contact")


def test_a_statement_that_is_too_long_is_not_sent():
    """100,000 characters are the end."""
    with pytest.raises(ValueError, match="ask for less"):
        soql.select([f"Field_{n}__c" for n in range(9_000)], "Contact")


@given(st.integers(1, 300), st.sampled_from([DOCUMENTED, TINY]))
def test_the_ids_that_fit_do_fit(fields, limits):
    """With that many ids the URI stays in bounds, and with one more it would not (or the count is capped).

    Where that is few, the statement travels in a body, and is as long as SOQL may be.
    """
    names = [f"Field_{n}__c" for n in range(fields)]
    count = soql.ids_that_fit(names, "Contact", limits)

    def uri_bytes(ids):
        return len(
            endpoints.query(
                "64.0", soql.select(names, "Contact", soql.id_in([ID] * ids)), all_rows=True
            ).path
        )

    room = limits.uri_bytes - limits.header_bytes
    if count > 1 and uri_bytes(count) > room:
        assert uri_bytes(max(1, limits.ids_per_query // 4)) > room - 100
        soql.select(names, "Contact", soql.id_in([ID] * count))
        assert count <= limits.rows_per_query_page
        return
    assert 1 <= count <= limits.ids_per_query
    assert count == 1 or uri_bytes(count) <= room
    assert count == limits.ids_per_query or uri_bytes(count + 1) > room - 100
    assert len(quote_plus("'")) == 3
