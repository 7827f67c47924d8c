"""Say what a destination's refusal means to its owner, and what to do about it.

Rule: the first line of the database's message and nothing else of it: what follows quotes the row.
Where that line quotes a value (DuckDB's do, and PostgreSQL's of a value that does not fit), what it
quotes is left out. User and password of an address are, too.

Source: PostgreSQL Documentation, "PostgreSQL Error Codes"; PgBouncer, "Configuration"
(ignore_startup_parameters); DuckDB, "Concurrency", "Storage Versions and Format".
"""

from __future__ import annotations

import errno
import re
from dataclasses import dataclass

from dlt.common.configuration.exceptions import ConfigurationException
from dlt.common.exceptions import TerminalValueError
from dlt.common.normalizers.naming.exceptions import NormalizersException
from dlt.common.schema.exceptions import TableIdentifiersFrozen
from dlt.destinations.exceptions import DatabaseException, DestinationConnectionError
from dlt.load.exceptions import LoadClientJobException
from dlt.normalize.exceptions import NormalizeJobFailed
from dlt.pipeline.exceptions import PipelineStepFailed

from salesforce_targeted.api.errors import ConfigurationError, SalesforceError
from salesforce_targeted.destination.database import PERCENT_ENCODING

_NEXT = "Nothing half-done is kept; the next run finishes what is left."
_AGAIN = "run again: the next run finishes what is left."
_AWAY = (
    "Is the server up and reachable, and are host, port, database, user and password right"
    f" (destination.postgres.credentials)? Then run again: {_NEXT[0].lower()}{_NEXT[1:]}"
)
_SIGN_IN = (
    "Are user and password right (destination.postgres.credentials), and may this user connect to"
    f" the database from here? {PERCENT_ENCODING}"
)
_CONSTRAINT = (
    "A constraint of this database refuses what Salesforce holds. Drop or relax the constraint, or"
    " correct the record in Salesforce, and run again: what was not loaded is read again."
)
_CHANGED = (
    "A table or column is not as it was made: give it back its name and type (dlt pipeline"
    " <name> schema shows them), or drop the column and add it again, and run again. Then"
    " --verify --repair fills in what it lost. Where another program made the table, choose another"
    " --dataset."
)
_TIMEOUT = (
    "Raise the limit for the loading user (ALTER ROLE … SET …, or end what is in its way), and"
    f" {_AGAIN}"
)
_LIMITED = (
    "a time limit ends its sessions: ALTER ROLE … SET transaction_timeout = 0 for the loading user,"
    " the same with idle_in_transaction_session_timeout and idle_session_timeout, and run again."
)
ROW_SECURITY = (
    "Row security keeps rows from the loading user: ALTER ROLE … BYPASSRLS, or CREATE POLICY … FOR"
    " ALL TO it USING (true), on the tables of the staging schema, too; then run again."
)
_KEY = r'23505 .*"sf_(active_[a-z]+_[a-z]+|[a-z]+(_salesforce)?)_id_key"'  # rows are merged by it
_ROOM_HERE = (
    "Make room or give the right, or work elsewhere (--pipelines-dir or DLT_DATA_DIR, and another"
    " folder to run in)"
)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Hold a row of the table of refusals.

    Attributes:
        source: ``SQLSTATE`` (a code, a space and the message), ``PostgreSQL`` (a message without a
            code, as before there is a session) or ``DuckDB`` (a message; it has no codes).
        pattern: A regular expression from the start of that; a code or its class alone, too.
    """

    source: str
    pattern: str
    remedy: str

    def matches(self, source: str, text: str) -> bool:
        """Tell whether this row is about a code or a message of that source."""
        return self.source == source and re.match(self.pattern, text, re.DOTALL) is not None


# The first row that matches counts.
REFUSALS = (
    Refusal("SQLSTATE", '23502 .*column "_dlt_(load_)?id"',
            "Give add_dlt_load_id and add_dlt_id back what they were when the tables were made"
            f" ([normalize.parquet_normalizer] in .dlt/config.toml), and {_AGAIN}"),
    Refusal("SQLSTATE", rf"(42501|0A000) .*row-level security|{_KEY}", ROW_SECURITY),
    Refusal("SQLSTATE", "23", _CONSTRAINT),
    Refusal("SQLSTATE", "25006",
            "Load into the primary: this server, or this user, may only read."),
    Refusal("SQLSTATE", "28", _SIGN_IN),
    Refusal("SQLSTATE", "25P0[34]|57P05", f"On this server {_LIMITED}"),
    Refusal("SQLSTATE", "2BP01",
            "Drop what depends on the table (and make it again after the run), or run with"
            ' refresh="drop_data", which empties tables and leaves them in place.'),
    # Deadlock, serialization failure; internal error.
    Refusal("SQLSTATE", "40|XX", "Run again: the next run finishes what is left."),
    Refusal("SQLSTATE", "42501",
            "GRANT the loading user CREATE and USAGE on the schema and on its staging schema,"
            " CREATE on the database where they don't exist yet, and have it own the tables; then"
            " run again."),
    Refusal("SQLSTATE", "42P0[67]",  # a schema, a table that is there already
            "It is there and this user may not see it: GRANT the loading user USAGE and CREATE on"
            " the schema, and have it own the tables (ALTER TABLE … OWNER TO …), or GRANT it"
            " SELECT, INSERT, UPDATE and DELETE on them; then run again."),
    # A value does not fit a column, which was made to hold it; no such schema, table or column.
    Refusal("SQLSTATE", "22|3F|42", _CHANGED),
    # Too many connections; lock_timeout; statement_timeout.
    Refusal("SQLSTATE", "53300|55P03|57014", _TIMEOUT),
    Refusal("SQLSTATE", "54000",
            "A row of a record does not fit into a page of PostgreSQL (8,160 bytes), whatever its"
            " size on disk: name the fields that are needed in the setting `fields`, and run"
            " again."),
    Refusal("SQLSTATE", "54011",
            "PostgreSQL's tables have at most 1,600 columns: name the fields that are needed in"
            " the setting `fields`, and run again."),
    Refusal("SQLSTATE", "5[348]",  # resources, limits; system error, input or output
            "Make room in the database or raise its limit, and run again: the next run finishes."),
    Refusal("SQLSTATE", "55000",
            "Where a publication has the table, tell replicas how to find a row: ALTER TABLE"
            " <table> REPLICA IDENTITY USING INDEX <table>_id_key (FULL where it has no such"
            " index), and run again."),
    # Connection exception; no such database; shutdown, crash, starting up.
    Refusal("SQLSTATE", "08|3D|57", _AWAY),
    Refusal("SQLSTATE", "P0|0A000 cannot execute MERGE",
            "A trigger, a rule or a function of this database says so: let it take what Salesforce"
            " holds, or drop it, and run again: what was not loaded is read again."),
    Refusal("PostgreSQL", r".*unsupported startup parameter",
            "A connection pooler stands before the server and refuses the startup parameter in"
            " which dlt names the dataset. Connect to the server itself, or let the pooler pass"
            " it: for PgBouncer ignore_startup_parameters = options."),
    Refusal("PostgreSQL",
            r"(invalid dsn: )?invalid (\w+ value|URI query parameter|connection option)"
            r"|.*(invalid \w+ value \S+ for connection option|\w+ configuration parameter"
            r"|invalid value for parameter)",
            "Correct the parameter behind the ? of the connection string, or leave it out."),
    Refusal("PostgreSQL", r".*(password authentication failed|no password supplied"
            r"|no pg_hba.conf entry|role \S+ does not exist|SASL authentication)", _SIGN_IN),
    Refusal("PostgreSQL", r".*(too many (clients|connections)|connection slots are reserved)",
            _TIMEOUT),
    Refusal("PostgreSQL", r".*due to (transaction|idle-in-transaction|idle-session) timeout",
            f"On this server {_LIMITED}"),
    # All that is left where the server has ended the session before it was sent anything.
    Refusal("PostgreSQL", r".*server closed the connection unexpectedly",
            f"{_AWAY} Where it is up, perhaps {_LIMITED}"),
    Refusal("PostgreSQL", r".*(does not support SSL|certificate)",
            "Correct sslmode and sslrootcert behind the ? of the connection string."),
    Refusal("DuckDB", r"IO Error: .*(Could not set lock|being used by another process)",
            "Another program has the file open: end it, and run again."),
    Refusal("DuckDB", r"Connection Error: .*different configuration",
            "This process has the file open in another way: close that connection first."),
    Refusal("DuckDB", r"(IO|Serialization) Error: .*(version number|newer version|deserialize)",
            "Another version of DuckDB made the file: pip install -U duckdb, and run again."),
    Refusal("DuckDB", r"(IO Error|TransactionContext Error: Failed to commit): Could not write"
            r"|IO Error: .*(Permission denied|Read-only file system)",
            f"{_ROOM_HERE}, and {_AGAIN}"),
    Refusal("DuckDB", r"IO Error: .*No such file or directory",
            "Make that folder, or name another: DESTINATION__DUCKDB__CREDENTIALS="
            "folder/name.duckdb."),
    Refusal("DuckDB", r"IO Error: |Corrupt database file",
            "Where the file is not whole, a full disk may have kept it from being made: move it"
            " away and run again, and everything is read again."),
    Refusal("DuckDB", r"Out of Memory Error",
            "Give DuckDB more memory, or load less at a time ([sources.data_writer]"
            f" file_max_items), and {_AGAIN}"),
    Refusal("DuckDB", r"Constraint Error", _CONSTRAINT),
    Refusal("DuckDB", r"(Catalog|Binder|Conversion) Error", _CHANGED),
)  # fmt: skip

_DISK = {
    errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EFBIG, errno.EIO,
}  # fmt: skip
_ERRNO = re.compile(r"\[Errno (\d+)\] ([^:\n]*)")
# Errors of DuckDB that quote the name of its file and no value.
_OF_FILE = re.compile(
    r"(IO Error: |Connection Error: |TransactionContext Error: Failed to commit: Could not write )"
)
# Of an address that is quoted, perhaps in part; a password may hold any character.
_SIGNED_IN = re.compile(r"""://(.*@|[^\s/"]*:[^\s/"]*)""")
_QUOTED = re.compile(r"""["'].*(?:["']|$)""")
# What PostgreSQL says of a table that can't be dropped; such a line holds names and no value.
_DEPENDS = re.compile(r"^(.+?) depends on ", re.MULTILINE)


def original_error(error: BaseException) -> Exception:
    """Find what dlt wrapped: our error, else the load's, else a database's, else the outermost.

    What dlt finds wrong with its own settings, in whatever step, is a mistake of the user's, who
    can correct it: an error of ours.
    """
    chain: list[BaseException] = [error]
    while (inner := chain[-1].__cause__ or chain[-1].__context__) and inner not in chain:
        chain.append(inner)
    ours = [link for link in chain if isinstance(link, SalesforceError)]
    of_load = [link.client_exception for link in chain if isinstance(link, LoadClientJobException)]
    of_driver = [link for link in chain if is_destination_error(link)]
    other = [link for link in chain if not isinstance(link, PipelineStepFailed)]
    # dlt's own text of a failed job is a traceback, and the row in it is a person's.
    return _as_ours((ours or of_load or of_driver or other or chain)[0])


def _as_ours(error: BaseException) -> Exception:
    """Return what to raise for an error: ours where a setting or a hint of dlt's is wrong.

    Source: dlt, "Exceptions" of ``common.configuration``, ``normalizers.naming`` and ``schema``.
    """
    if isinstance(error, TableIdentifiersFrozen):
        stored, now = error.from_naming.name(), error.to_naming.name()
        return ConfigurationError(
            f"the naming convention is {now} now, and the tables were made with {stored}",
            remedy=f'Set naming = "{stored}" under [schema], or load into another --dataset with'
            " another --pipelines-dir.",
        )
    if isinstance(error, ConfigurationException | NormalizersException | TerminalValueError):
        return ConfigurationError(
            re.sub(r"<class '(\w+)'>", r"\1", first_line(error)),
            remedy="Correct that setting or hint (.dlt/config.toml, .dlt/secrets.toml, the"
            " environment).",
        )
    return error if isinstance(error, Exception) else RuntimeError(str(error))


def explained(error: Exception, destination: str) -> str:
    """Say in one paragraph what happened and what to do about it."""
    if isinstance(error, SalesforceError):
        return str(error)
    if paragraph := _disk_failure(error):
        return paragraph
    if not is_destination_error(error):
        return f"{type(error).__name__}: {first_line(error)}"
    message, remedy = message_and_remedy(error)
    return f"The destination ({destination}) refused: {message.rstrip('.')}. {remedy}"


def _disk_failure(error: BaseException) -> str:
    """Describe a disk that is full or may not be written, in one paragraph; empty if it is not."""
    number, reason, file = None, "", None
    if isinstance(error, OSError):
        number, reason, file = error.errno, error.strerror or "", error.filename
    elif isinstance(error, NormalizeJobFailed) and (quoted := _ERRNO.search(str(error))):
        number, reason = int(quoted[1]), quoted[2]  # of what stopped it, dlt keeps the text alone
    if number not in _DISK:
        return ""
    return (
        "Nothing can be written here any more:"
        f" {reason.rstrip('.')}{f' ({file})' if file else ''}. {_ROOM_HERE}, and {_AGAIN}"
    )


def is_destination_error(error: BaseException) -> bool:
    """Tell whether a database or its driver raised an error."""
    return (
        isinstance(error, DatabaseException | DestinationConnectionError)
        or hasattr(error, "pgcode")
        or hasattr(error, "sqlstate")
    )


def message_and_remedy(error: BaseException) -> tuple[str, str]:
    """Return the destination's message without people's values, and what to do about it."""
    driver = getattr(error, "inner_exc", None) or getattr(error, "dbapi_exception", None) or error
    state = str(getattr(driver, "pgcode", None) or getattr(driver, "sqlstate", None) or "")
    message = first_line(driver)
    # ADBC, which loads, opens connections of its own.
    postgres = type(driver).__module__.startswith("psycopg") or "[libpq] Failed to conn" in message
    source = "SQLSTATE" if state else "PostgreSQL" if postgres else "DuckDB"
    row = next(
        (row for row in REFUSALS if row.matches(source, f"{state} {message}".lstrip())), None
    )
    if row is not None:
        remedy = row.remedy
    elif not state and type(driver).__name__ in {"OperationalError", "InterfaceError"}:
        remedy = _AWAY  # a connection that is refused or lost
    else:
        remedy = f"{_NEXT} Fix the destination and run again."
    # Class 22 quotes values; what PostgreSQL quotes without a code is where it looked: host,
    # database, user; what DuckDB quotes of a file is its name.
    of_file = source == "DuckDB" and _OF_FILE.match(message)
    if state[:2] == "22" or (source == "DuckDB" and not of_file):
        message = _QUOTED.sub("…", message)
    detail = getattr(getattr(driver, "diag", None), "message_detail", None)
    if state == "2BP01" and detail:
        message += f": {', '.join(_DEPENDS.findall(detail))}"
    return message, remedy


def first_line(error: BaseException) -> str:
    """Return the first line of an error's text; its class where it has none."""
    text = str(error).strip()
    return _SIGNED_IN.sub("://…", text.splitlines()[0]) if text else type(error).__name__
