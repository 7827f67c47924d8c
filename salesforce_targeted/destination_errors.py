"""What a destination's refusal means to its owner, and what to do about it.

Rule: the first line of the database's message and nothing else of it: what follows quotes the row.
Where that line quotes a value (DuckDB's do, and PostgreSQL's of a value that does not fit), what it
quotes is left out.

Source: PostgreSQL Documentation, "PostgreSQL Error Codes".
"""

from __future__ import annotations

import re
from typing import Any

from dlt.destinations.exceptions import DatabaseException, DestinationConnectionError
from dlt.load.exceptions import LoadClientJobException
from dlt.pipeline.exceptions import PipelineStepFailed

from salesforce_targeted.api.errors import SalesforceError

_NEXT = "Nothing half-done is kept; the next run finishes what is left."
_AWAY = (
    "Is the server up and reachable, and are host, port, database, user and password right"
    " (destination.postgres.credentials)? Then run again: " + _NEXT[0].lower() + _NEXT[1:]
)
_CONSTRAINT = (
    "A constraint of this database refuses what Salesforce holds. Drop or relax the constraint, or"
    " correct the record in Salesforce, and run again: what was not loaded is read anew."
)
_CHANGED = (
    "A table or column is not as it was made: give it back its name and type (dlt pipeline"
    " <name> schema shows them), or drop the column and add it anew, and run again. Then"
    " --verify --repair fills in what it lost."
)
_ROOM = "Make room in the database or raise its limit, and run again: the next run finishes."
_TIMEOUT = (
    "Raise the limit for the loading user (ALTER ROLE … SET …, or end what is in its way), and"
    " run again: the next run finishes what is left."
)
_PERMISSION = (
    "GRANT the loading user CREATE and USAGE on the schema and on its staging schema, CREATE on the"
    " database where they don't exist yet, and have it own the tables; then run again."
)
_LATER = "Run again: the next run finishes what is left."

# SQLSTATE, or its first two characters, to what to do. The longer one wins.
REMEDIES: dict[str, str] = {
    "08": _AWAY,  # connection exception
    "22": _CHANGED,  # a value does not fit a column, which was made to hold it
    "23": _CONSTRAINT,
    "25006": "Load into the primary: this server, or this user, may only read.",
    "28": _AWAY,  # invalid authorization
    "3D": _AWAY,  # no such database
    "3F": _CHANGED,  # no such schema
    "40": _LATER,  # deadlock, serialization failure
    "42": _CHANGED,
    "42501": _PERMISSION,
    "53": _ROOM,
    "53300": _TIMEOUT,  # too many connections
    "54": _ROOM,
    "55P03": _TIMEOUT,  # lock_timeout
    "57": _AWAY,  # shutdown, crash, starting up
    "57014": _TIMEOUT,  # statement_timeout
    "58": _ROOM,  # system error, input or output
    "XX": _LATER,
}


# Classes of SQLSTATE whose first line holds values; DuckDB's errors have no SQLSTATE.
_QUOTING = {"22"}
_QUOTED = re.compile(r"""["'].*(?:["']|$)""")


def cause(error: BaseException) -> Exception:
    """The error that dlt wrapped: ours, else the load's, else a database's, else the outermost."""
    chain: list[BaseException] = [error]
    while (inner := chain[-1].__cause__ or chain[-1].__context__) and inner not in chain:
        chain.append(inner)
    ours = [one for one in chain if isinstance(one, SalesforceError)]
    of_load = [one.client_exception for one in chain if isinstance(one, LoadClientJobException)]
    of_driver = [one for one in chain if is_of_destination(one)]
    other = [one for one in chain if not isinstance(one, PipelineStepFailed)]
    # dlt's own text of a failed job is a traceback, and the row in it is somebody's.
    found = (ours or of_load or of_driver or other or chain)[0]
    return found if isinstance(found, Exception) else RuntimeError(str(found))


def is_of_destination(error: BaseException) -> bool:
    """Whether a database or its driver raised it."""
    return (
        isinstance(error, DatabaseException | DestinationConnectionError)
        or hasattr(error, "pgcode")
        or hasattr(error, "sqlstate")
    )


def told(error: BaseException, destination: str) -> str:
    """One paragraph: what the destination said and what to do about it."""
    driver = _of_driver(error)
    state = _sqlstate(driver)
    remedy = REMEDIES.get(state) or REMEDIES.get(state[:2])
    if remedy is None:
        # A connection that is refused or lost has no code at all.
        lost = type(driver).__name__ in {"OperationalError", "InterfaceError"}
        remedy = _AWAY if lost and not state else f"{_NEXT} Mend the destination and run again."
    said = first_line(driver)
    # What PostgreSQL quotes without a code is where it was looked for: host, database, user.
    about_data = not type(driver).__module__.startswith("psycopg")
    if state[:2] in _QUOTING or (not state and about_data):
        said = _QUOTED.sub("…", said)
    return f"The destination ({destination}) refused: {said.rstrip('.')}. {remedy}"


def first_line(error: BaseException) -> str:
    """The first line of an error's text; its class where it has none."""
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__


def _of_driver(error: BaseException) -> BaseException:
    if isinstance(error, DestinationConnectionError):
        return error.inner_exc
    return error.dbapi_exception if isinstance(error, DatabaseException) else error


def _sqlstate(error: Any) -> str:
    return str(getattr(error, "pgcode", None) or getattr(error, "sqlstate", None) or "")
