"""Nothing that a user or an org supplies becomes SOQL of its own: read back by a parser that isn't ours."""

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from salesforce_targeted.api import endpoints, errors, read_only, soql
from salesforce_targeted.api.ids import to_18
from salesforce_targeted.demo_org.soql import parser as reader
from salesforce_targeted.relations import queries

ID = "003D000000QOMyqIAH"
# What would get out of a literal, a name or a list, were it not escaped or refused.
TRICKS = [
    "'", "''", "\\", "\\'", "\\\\'", "' OR Id != '", "') OR (Id != '", "x' FOR UPDATE", "\n", "\r\n", "\t", "\0", "\x1f",
    '"', "\u2019", "\u02bc", "\uff07", "\u2028", "\x85", "/*", "--", ";", "%", "_", "{", "}", ":", "@{r0.id}",
    " FOR UPDATE", " UPDATE TRACKING", " LIMIT 1", ") FROM User", "Id FROM Contact", "null", "true", "TODAY", "\\u0027",
    "FIELDS(ALL)", "(SELECT Id FROM Tasks)", "COUNT()", "TYPEOF", ",", "Id,", "😈",
]  # fmt: skip
NASTY = st.lists(
    st.sampled_from(TRICKS) | st.text(st.characters(exclude_categories=["Cs"]), max_size=3),
    max_size=6,
).map("".join)
ANYTHING = st.text(max_size=20) | NASTY


@given(NASTY, NASTY)
def test_a_text_is_one_literal(text, other):
    """A stranger's parser finds the same texts in the same places, and nothing else."""
    statement = soql.select(
        ["Id"], "Contact", soql.and_(soql.eq("LastName", text), soql.is_in("Email", [other, text]))
    )
    query = reader.parse(statement)

    first, second = query.where.parts
    assert (["Id"], "Contact", None) == (query.select, query.entity, query.limit)
    assert ("LastName", "=", text) == (first.subject, first.operator, first.literal.value)
    assert ("Email", [other, text]) == (second.path, [literal.value for literal in second.literals])
    assert read_only.refusal(endpoints.query("64.0", statement)) is None
    assert read_only.refusal(endpoints.bulk_create("64.0", statement)) is None


@given(
    st.datetimes(
        timezones=st.sampled_from(
            [UTC, timezone(timedelta(hours=14)), timezone(timedelta(hours=-12))]
        )
    ).filter(lambda moment: 1 < moment.year < 9999)  # see the next test
    | st.dates()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**30), max_value=10**30)
    | st.booleans()
    | st.none()
)
def test_any_other_value_is_one_literal(value):
    """Dates, numbers, truths: one unquoted literal each, of digits and a few signs."""
    statement = soql.select(["Id"], "Contact", soql.eq("F", value))
    (written,) = statement.partition(" WHERE F = ")[2:]

    assert set(written) <= set("0123456789-+.:TZeE") or written in ("true", "false", "null")
    assert (
        not isinstance(value, (datetime, date)) or reader.parse(statement).where.literal is not None
    )


@pytest.mark.parametrize("moment", [datetime.min, datetime.max])
def test_an_instant_beyond_the_calendar_is_refused(moment):
    """In UTC it lies before year 1 or after 9999: no literal, rather than another instant."""
    offset = timedelta(hours=12 if moment == datetime.min else -12)
    with pytest.raises(ValueError, match="years 1 to 9999"):
        soql.literal(moment.replace(tzinfo=timezone(offset)))


@given(ANYTHING)
def test_an_id_is_an_id_or_refused(text):
    """What an org or a user calls an id is 15 or 18 letters and digits, or nothing is sent."""
    for build in (lambda: soql.id_in([ID, text]), lambda: soql.id_in([text], "RelationId")):
        try:
            written = build()
        except ValueError:
            continue
        assert to_18(text) in written
        assert written.replace("'", "").replace(",", "").isascii()


@given(ANYTHING)
def test_a_name_is_a_name_wherever_it_stands(text):
    """Fields, objects, groups, orders, aliases: a plain name, or nothing is sent."""
    for place in (
        lambda: soql.select([text], "Contact"),
        lambda: soql.select(["Id", text], "Contact"),
        lambda: soql.select(["Id"], text),
        lambda: soql.select(["Id"], "Contact", group_by=[text]),
        lambda: soql.select(["Id"], "Contact", order_by=[text]),
        lambda: soql.select(["Id"], "Contact", order_by=[soql.descending(text)]),
        lambda: soql.select([soql.aggregate("MIN", text or "'")], "Contact"),
        lambda: soql.select([soql.aggregate("MIN", "Id", text or "'")], "Contact"),
        lambda: soql.select(["Id"], "Contact", soql.eq(text, 1)),
        lambda: soql.select(["Id"], "Contact", soql.is_in(text, [1])),
        lambda: soql.select(["Id"], "Contact", soql.id_in([ID], text)),
    ):
        try:
            statement = place()
        except errors.ConfigurationError:
            continue
        assert text.isascii()
        assert text.replace("_", "").replace(".", "").isalnum()
        assert statement.count(text) >= 1


@given(ANYTHING)
def test_what_discovery_is_told_stays_a_literal(who):
    """The last id of a batch goes into the next question: an org that answers SOQL asks about a text."""
    try:
        statement = queries.groups_statement(queries.SHARED_ACTIVITIES, 2000, who)
    except ValueError:  # a lone surrogate, which can't be sent
        assert not who.isascii()
        return
    query = reader.parse(statement)

    assert ("RelationId", ">", who) == (
        query.where.subject,
        query.where.operator,
        query.where.literal.value,
    )
    assert (["RelationId"], 2000) == (list(query.group_by), query.limit)


@given(ANYTHING, ANYTHING)
def test_a_condition_of_text_is_refused(text, other):
    """Text never stands for a condition, a plain one or one joined to ours."""
    ours = soql.eq("Id", ID)
    for place in (
        lambda: soql.select(["Id"], "Contact", text),
        lambda: soql.and_(ours, text),
        lambda: soql.and_(text, other),
        lambda: soql.select(["Id"], "Contact", f"{ours} OR {text}"),
    ):
        with pytest.raises(TypeError):
            place()


@given(st.integers() | ANYTHING | st.floats() | st.booleans())
def test_a_limit_is_a_number(limit):
    """Nothing but a number of rows follows LIMIT."""
    try:
        statement = soql.select(["Id"], "Contact", limit=limit)
    except (ValueError, TypeError):
        return
    assert statement.rpartition(" LIMIT ")[2].isdecimal()


@pytest.mark.parametrize("limit", ["1 FOR UPDATE", "1", 1.5])
def test_a_limit_of_another_kind(limit):
    """A text in the place of a number is refused, not converted."""
    with pytest.raises((ValueError, TypeError)):
        soql.select(["Id"], "Contact", limit=limit)


@given(st.decimals(allow_nan=True, allow_infinity=True) | st.floats())
def test_numbers_are_finite(value):
    """A number that isn't one has no literal."""
    try:
        written = soql.literal(value)
    except ValueError:
        assert not Decimal(value).is_finite()
        return
    assert Decimal(written) == Decimal(value) or abs(float(written) - float(value)) == 0
