"""Errors say what to do and carry nothing they must not."""

import inspect
import pickle
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from salesforce_targeted.api import errors
from salesforce_targeted.api.errors import QueryError, SalesforceError, scrub


def drawn() -> dict[str, str]:
    """Class -> parent, as the docstring draws it."""
    found, path = {}, []
    for line in errors.__doc__.splitlines():
        name = re.search(r"\b(\w+Error)\b", line)
        if name is None or not ("── " in line or line == "SalesforceError"):
            continue
        depth = line.index(name[1]) // 4
        path[depth:] = [name[1]]
        found[name[1]] = path[depth - 1] if depth else "Exception"
    return found


def test_the_drawing_is_the_tree():
    """The tree in the docstring and the classes are the same."""
    classes = {
        name: kind.__base__.__name__
        for name, kind in inspect.getmembers(errors, inspect.isclass)
        if issubclass(kind, SalesforceError)
    }

    assert classes == drawn()


def test_every_class_has_a_remedy_of_its_own():
    """One class per remedy: no two say the same, and none says nothing."""
    kinds = [
        k for _, k in inspect.getmembers(errors, inspect.isclass) if issubclass(k, SalesforceError)
    ]
    remedies = [k.default_remedy for k in kinds if k is not SalesforceError]

    assert all(remedies)
    assert len(set(remedies)) == len(remedies)


def test_the_text_is_one_paragraph():
    """Where, Salesforce's code, what happened, what to do; on one line."""
    error = QueryError(
        "no such\n  column", call="GET /x", error_code="INVALID_FIELD", remedy="Look."
    )

    assert "GET /x: INVALID_FIELD: no such column. Look." == str(error)


def test_an_error_survives_pickling():
    """Nothing is lost on the way out of a worker process."""
    error = QueryError(
        "what", remedy="do", call="GET /x", error_code="E", status=400, fields=("A",)
    )
    again = pickle.loads(pickle.dumps(error))

    assert str(error) == str(again)
    assert (400, ("A",)) == (again.status, again.fields)


@pytest.mark.parametrize(
    "token",
    [
        "00Dx0000000BV7z!AR8AQAxo9UfVkh8AlV0Gomt9Czx9",
        "00Dx0000000BV7zEAM!AR8AQ.xo9_UfVkh8AlV0Gomt9Czx9",
        "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiIzTVZHOSJ9.c2lnbmF0dXJl",
    ],
)
def test_a_token_never_shows(token):
    """Session ids and JWTs are blanked wherever they turn up."""
    text = str(SalesforceError(f"proxy says: Authorization: Bearer {token} is odd"))

    assert token not in text
    assert token[-12:] not in text


@given(
    st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=8, max_size=40),
    st.text(max_size=80),
)
def test_a_named_secret_never_shows(secret, around):
    """What the caller names as secret is blanked, whatever is around it."""
    assert secret not in scrub(f"{around} {secret} {around}", [secret]).replace("***", "")


def test_no_half_of_a_secret_is_left():
    """A password with its security token is blanked as a whole, whatever the order."""
    halves = ["pass-word", "pass-wordtok-en"]

    assert "***" == scrub("pass-wordtok-en", halves) == scrub("pass-wordtok-en", halves[::-1])
