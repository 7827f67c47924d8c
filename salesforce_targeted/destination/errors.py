"""What a destination's refusal means to its owner, and what to do about it.

Rule: the first line of the database's message and nothing else of it: what follows quotes the row.
Where that line quotes a value (DuckDB's do, and PostgreSQL's of a value that does not fit), what it
quotes is left out.

Source: PostgreSQL Documentation, "PostgreSQL Error Codes".
"""

from __future__ import annotations

import errno
import re
from typing import Any

from dlt.common.configuration.utils import get_resolved_traces
from dlt.destinations.exceptions import DatabaseException, DestinationConnectionError
from dlt.load.exceptions import LoadClientJobException
from dlt.normalize.exceptions import NormalizeJobFailed
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


_DISK = {
    errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EFBIG, errno.EIO,
}  # fmt: skip
_ROOM_HERE = (
    "Make room or give the right, or work elsewhere (--pipelines-dir or DLT_DATA_DIR, and another"
    " folder to run in)"
)
# Errors of DuckDB that quote the name of its file and nobody's value.
_OF_FILE = re.compile(
    r"\A(IO Error: |TransactionContext Error: Failed to commit: Could not write )"
)
# What it says of the file -> what to do; the first words that occur win.
_FILES = (
    ("Could not set lock", "Another program has the file open: end it, and run again."),
    ("Could not write", f"{_ROOM_HERE}, and run again: the next run finishes what is left."),
    ("No such file or directory", (
        "Make that folder, or name another: DESTINATION__DUCKDB__CREDENTIALS=folder/name.duckdb."
    )),
    ("IO Error", (
        "Where the file is not whole, a full disk may have kept it from being made: move it away"
        " and run again, and everything is read anew."
    )),
)  # fmt: skip
_ERRNO = re.compile(r"\[Errno (\d+)\] ([^:\n]*)")
# Classes of SQLSTATE whose first line holds values; DuckDB's errors have no SQLSTATE.
_QUOTING = {"22"}
_QUOTED = re.compile(r"""["'].*(?:["']|$)""")


def unwrap(error: BaseException) -> Exception:
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


def of_disk(error: BaseException) -> str:
    """One paragraph about a disk that is full or may not be written; empty for any other error."""
    number, said, file = None, "", None
    if isinstance(error, OSError):
        number, said, file = error.errno, error.strerror or "", error.filename
    elif isinstance(error, NormalizeJobFailed) and (quoted := _ERRNO.search(str(error))):
        number, said = int(quoted[1]), quoted[2]  # of what stopped it, dlt keeps the text alone
    if number not in _DISK:
        return ""
    return (
        f"Nothing can be written here any more: {said.rstrip('.')}{f' ({file})' if file else ''}."
        f" {_ROOM_HERE}, and run again: the next run finishes what is left."
    )


def is_of_destination(error: BaseException) -> bool:
    """Whether a database or its driver raised it."""
    return (
        isinstance(error, DatabaseException | DestinationConnectionError)
        or hasattr(error, "pgcode")
        or hasattr(error, "sqlstate")
    )


def told(error: BaseException, destination: str) -> str:
    """One paragraph: what the destination said and what to do about it."""
    said, remedy = said_and_remedy(error)
    return f"The destination ({destination}) refused: {said.rstrip('.')}. {remedy}"


def named(destination: str) -> str:
    """A destination and where its credentials were found, as dlt's configuration keeps it."""
    for trace in reversed(get_resolved_traces().resolved_traces):
        if trace.key == "credentials" and "destination" in trace.sections and trace.value:
            if trace.provider_name == "Environment Variables":
                variable = "__".join([*trace.sections, trace.key]).upper()
                return f"{destination}, by {variable} of the environment"
            place = trace.provider_location or trace.provider_name
            return f"{destination}, by [{'.'.join([*trace.sections, trace.key])}] of {place}"
    return destination


def said_and_remedy(error: BaseException) -> tuple[str, str]:
    """What the destination said, without anybody's values; and what to do about it."""
    driver = _of_driver(error)
    state = _sqlstate(driver)
    remedy = REMEDIES.get(state) or REMEDIES.get(state[:2])
    if remedy is None:
        # A connection that is refused or lost has no code at all.
        lost = type(driver).__name__ in {"OperationalError", "InterfaceError"}
        remedy = _AWAY if lost and not state else f"{_NEXT} Mend the destination and run again."
    said = first_line(driver)
    of_file = not state and _OF_FILE.match(said) is not None
    if of_file:
        remedy = next(what for words, what in _FILES if words in said)
    # What PostgreSQL quotes without a code is where it was looked for: host, database, user; what
    # DuckDB quotes of a file is its name.
    about_data = not of_file and not type(driver).__module__.startswith("psycopg")
    if state[:2] in _QUOTING or (not state and about_data):
        said = _QUOTED.sub("…", said)
    return said, remedy


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
