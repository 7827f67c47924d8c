"""No secret and no personal data where they don't belong: whole runs, then everything is searched."""

from __future__ import annotations

import base64
import gzip
import io
import json
import logging
import os
import pickle
import random
import string
import sys
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from pipelines.targeted_contacts import main
from salesforce_targeted.api.client import SalesforceClient
from salesforce_targeted.demo_org import DemoOrg
from salesforce_targeted.demo_org.faults.faults import Fault
from salesforce_targeted.demo_org.http.server import DemoServer
from salesforce_targeted.report import markdown
from salesforce_targeted.source import salesforce_targeted
from salesforce_targeted.sync import configuration
from tests.conftest import Synced
from tests.support.script import command
from tests.support.sign_in import credentials

# Around each secret's recognisable core: what quoting, escaping and encoding trip over.
AROUND = ("%41&+=", "'\"\\", "<&gt;>", "ü€😈", ";# @:/?")


# --- what to look for and where ----------------------------------------------------------------------


@dataclass
class Marked:
    """Values that can be recognised again, whatever was done to them.

    Attributes:
        cores: Name to letters and digits that stand nowhere else; quoting leaves them alone.
    """

    seed: str
    cores: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)

    def make(self, name: str, around: bool = True) -> str:
        """Return a new value with a core of its own."""
        core = "".join(self._random.choices(string.ascii_letters + string.digits, k=24))
        self.cores[name] = core
        edge = self._random.choice(AROUND) if around else ""
        return f"{edge}{core}{edge}"

    def within(self, text: str) -> set[str]:
        """Names of the values that a text holds, plainly, in base64, or half of them."""
        names = set()
        for name, core in self.cores.items():
            shapes = {core[:14], core[-14:], core.lower(), core[::-1]}
            for shift in range(3):
                packed = base64.b64encode(b"x" * shift + core.encode()).decode().rstrip("=")
                shapes.add(packed[4:-4])
            if any(shape in text for shape in shapes):
                names.add(name)
        return names


def files_below(*folders: Path) -> Iterator[tuple[Path, str]]:
    """Every file with its content as text: unpacked where it is gzip, rows where it is a database."""
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if path.is_file() and path.stat().st_size:
                yield path, content(path)


def content(path: Path) -> str:
    """Return a file's bytes as text, and what a compressed format hides."""
    raw = path.read_bytes()
    texts = [raw.decode("utf-8", "replace"), raw.decode("utf-16-le", "replace")]
    if raw[:2] == b"\x1f\x8b":
        texts.append(gzip.decompress(raw).decode("utf-8", "replace"))
    if raw[:4] == b"PAR1":
        texts.append(str(pq.read_table(io.BytesIO(raw)).to_pylist()))
    if path.suffix == ".duckdb":
        texts.append(dump(path))
    return "\n".join(texts)


def dump(path: Path) -> str:
    """All rows of all tables of a DuckDB file."""
    with duckdb.connect(str(path), read_only=True) as held:
        tables = held.execute("SELECT schema_name, table_name FROM duckdb_tables()").fetchall()
        return "\n".join(
            str(held.execute(f'SELECT * FROM "{schema}"."{table}"').fetchall())
            for schema, table in tables
        )


class Listener(logging.Handler):
    """Hears every logger at every level, those that don't propagate too."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.heard: list[str] = []
        self.setFormatter(logging.Formatter("%(name)s %(levelname)s %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the line, its arguments and its traceback."""
        self.heard.append(f"{self.format(record)} {record.args!r}")

    @property
    def text(self) -> str:
        """All that was heard."""
        return "\n".join(self.heard)


@pytest.fixture
def listener() -> Iterator[Listener]:
    """Provide a handler on the root and on each logger that keeps its lines to itself, all at DEBUG."""
    handler = Listener()
    names = [
        "",
        "dlt",
        "salesforce_targeted",
        "urllib3",
        "urllib3.connectionpool",
        "requests",
        "zeep",
        "simple_salesforce",
    ]
    loggers = [logging.getLogger(name) for name in names]
    before = [(logger, logger.level, list(logger.handlers), logger.propagate) for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.DEBUG)
        logger.addHandler(handler)
    yield handler
    for logger, level, handlers, propagate in before:
        for added in set(logger.handlers) - set(handlers) - {handler}:
            added.close()
        logger.handlers[:] = handlers
        logger.setLevel(level)
        logger.propagate = propagate


# --- six ways to sign in, each with secrets of its own -----------------------------------------------


@dataclass
class SignIn:
    """An environment that signs in, and what in it is secret."""

    environ: dict[str, str]
    marked: Marked


def _key(marked: Marked) -> tuple[str, bytes]:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                            serialization.NoEncryption()).decode()  # fmt: skip
    for number, line in enumerate(pem.splitlines()[1:-1]):
        marked.cores[f"line {number} of the key"] = line.rstrip("=")[:24]
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return pem, public


def sign_in(way: str, org: DemoOrg, server: DemoServer) -> SignIn:
    """Give the org new secrets, and an environment that knows them."""
    marked = Marked(way)
    org.client_id, org.client_secret = (
        marked.make("client id", around=False),
        marked.make("client secret"),
    )
    user, password = marked.make("user", around=False), marked.make("password")
    org.security_token = marked.make("security token", around=False)
    org.users_by_name = {user: password}
    refresh = marked.make("refresh token")
    org.refresh_tokens, org.rotate_refresh_tokens = {refresh}, True
    # Every session that the org hands out has this in it; before it stands the org's id, no secret.
    org.token_secret = marked.make("token", around=False)
    session = org.issue_token()
    org.sessions.remove(session)
    session = f"{session}{marked.make('given session', around=False)}"
    org.sessions.add(session)
    app = {"CLIENT_ID": org.client_id, "CLIENT_SECRET": org.client_secret}
    login = {"USERNAME": user, "PASSWORD": password, "SECURITY_TOKEN": org.security_token}
    chosen: dict[str, dict[str, str]] = {
        "session": {"ACCESS_TOKEN": session, "INSTANCE_URL": server.url},
        "refresh": {**app, "REFRESH_TOKEN": refresh},
        "password": {**app, **login},
        "soap": login,
        "app": app,
    }
    if way == "jwt":
        pem, org.jwt_public_key = _key(marked)
        chosen["jwt"] = {"CLIENT_ID": org.client_id, "USERNAME": user, "PRIVATE_KEY": pem}
    environ = {f"SALESFORCE_{name}": value for name, value in chosen[way].items()}
    if way != "session":
        environ["SALESFORCE_LOGIN_URL"] = server.url
    return SignIn(environ, marked)


WAYS = ["session", "jwt", "refresh", "password", "soap", "app"]


# --- how a run ends ----------------------------------------------------------------------------------


def wrong(org: DemoOrg, given: SignIn) -> None:
    """Give the org other secrets than ours."""
    org.client_secret, org.security_token = "another", "another"
    org.refresh_tokens, org.sessions = {"another"}, set()
    org.users_by_name = {}


def expired(org: DemoOrg, given: SignIn) -> None:
    """Every session ends in the middle of the run."""
    org.faults.add(Fault("*", "expire_session", nth=2))


def refused(org: DemoOrg, given: SignIn) -> None:
    """Let the org refuse a query."""
    org.faults.add(Fault("*", "query_timeout_400", nth=2, times=99))


def spent(org: DemoOrg, given: SignIn) -> None:
    """Spend the day's calls in the middle of the run."""
    org.faults.add(Fault("*", "daily_403", nth=2, times=99))


def away(org: DemoOrg, given: SignIn) -> None:
    """No server listens where the org should be."""
    for name in ("SALESFORCE_LOGIN_URL", "SALESFORCE_INSTANCE_URL"):
        if name in given.environ:
            given.environ[name] = "http://127.0.0.1:9"


def no_destination(org: DemoOrg, given: SignIn) -> None:
    """Name a database that does not respond, by a URL that holds a password."""
    password = given.marked.make("destination password", around=False)
    given.environ["DESTINATION__POSTGRES__CREDENTIALS"] = (
        f"postgresql://loader:{password}@127.0.0.1:9/crm"
    )


def nothing(org: DemoOrg, given: SignIn) -> None:
    """All goes well."""


ENDINGS: list[tuple[str, Callable[[DemoOrg, SignIn], None], int | None]] = [
    *((way, nothing, 0) for way in WAYS),
    *((way, wrong, None) for way in WAYS),
    ("session", expired, 1), ("app", expired, 0), ("password", expired, 0),
    ("app", refused, 1), ("soap", spent, 3),
    ("session", away, 1), ("password", away, 1),
    ("jwt", no_destination, 1),
]  # fmt: skip


@pytest.fixture
def run(
    listener: Listener, capfd: pytest.CaptureFixture[str]
) -> Iterator[Callable[..., tuple[int, str]]]:
    """Run the script in this process; its exit code and all that it said anywhere but in files."""

    def call(*argv: str) -> tuple[int, str]:
        code = main(["--debug", *argv])
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        output = capfd.readouterr()
        # The script puts handlers of its own in the place of ours: its log is on stderr.
        assert "salesforce_targeted" in listener.text + output.err
        assert code or "signed in" in output.err
        return code, f"{output.out}\n{output.err}\n{listener.text}"

    # The script may make its files private in this way; a script's process would end now.
    before = os.umask(0o022)
    yield call
    os.umask(before)


@pytest.mark.each_value
@pytest.mark.brief(1)
@pytest.mark.parametrize(
    ("way", "ending", "code"), ENDINGS, ids=lambda value: getattr(value, "__name__", str(value))
)
def test_no_secret_is_found_after_a_run(
    way: str, ending: Callable[[DemoOrg, SignIn], None], code: int | None, org: DemoOrg, server: DemoServer,
    monkeypatch: pytest.MonkeyPatch, run: Callable[..., tuple[int, str]], tmp_path: Path,
) -> None:  # fmt: skip
    """However it ends: not on the terminal, in a log, a report, dlt's folders or the destination."""
    given = sign_in(way, org, server)
    ending(org, given)
    for name, value in given.environ.items():
        monkeypatch.setenv(name, value)
    # A page once is enough.
    ended, output = run(*["--report-html"] * (ending is nothing and way == "session"))
    kept = {
        path: names for path, text in files_below(tmp_path) if (names := given.marked.within(text))
    }
    if way == "refresh":
        # A rotated refresh token is kept for the next process, for its owner alone.
        (stored,) = (
            (tmp_path / "dlt" / "salesforce_targeted").glob("*.json") if ended == 0 else (None,)
        )
        assert stored is None or 0o600 == stored.stat().st_mode & 0o777
        kept.pop(stored, None)  # type: ignore[arg-type]

    assert (code is None and ended != 0) or code == ended, output
    assert set() == given.marked.within(output)
    assert {} == kept
    assert [] == [path for path in map(str, tmp_path.rglob("*")) if given.marked.within(path)]


def test_the_search_finds_what_is_there(tmp_path: Path) -> None:
    """The control: in whatever form and file a secret is kept, it is found."""
    marked = Marked("control")
    secret = marked.make("secret")
    (tmp_path / "plain").write_text(json.dumps({"a": secret}))
    (tmp_path / "packed.gz").write_bytes(gzip.compress(repr(secret).encode()))
    (tmp_path / "pickled").write_bytes(pickle.dumps({"a": [secret]}))
    (tmp_path / "encoded").write_text(base64.b64encode(f"user:{secret}".encode()).decode())
    (tmp_path / "cut").write_text(secret[: len(secret) // 2 + 4])
    with duckdb.connect(str(tmp_path / "held.duckdb")) as held:
        held.execute("CREATE TABLE t AS SELECT ? AS a FROM range(5000)", [secret])
    names = [path.name for path, text in files_below(tmp_path) if marked.within(text)]

    assert ["cut", "encoded", "held.duckdb", "packed.gz", "pickled", "plain"] == names


def test_nothing_that_can_be_printed_holds_a_secret(
    org: DemoOrg, server: DemoServer, synced: Synced, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Specs, source, client, session, pipeline, trace, outcome, error and its whole chain."""
    for way in ("session", "jwt", "password"):
        given = sign_in(way, org, server)
        for name in list(os.environ):
            if name.startswith("SALESFORCE_"):
                monkeypatch.delenv(name)
        for name, value in given.environ.items():
            monkeypatch.setenv(name, value)
        spec: Any = configuration.credentials()
        client = SalesforceClient(spec)
        client.org_limits()
        synced.credentials = spec
        outcomes = [synced.run()]
        org.faults.add(Fault("*", "query_timeout_400", nth=2, times=99))
        outcomes.append(synced.run())
        org.faults.clear()
        wrong(org, given)
        spec = credentials(given.environ)
        with pytest.raises(Exception) as caught:
            SalesforceClient(spec).org_limits()
        errors = [*(outcome.error for outcome in outcomes if outcome.error), caught.value]
        trace: Any = synced.pipeline.last_trace
        shown = [
            spec, [spec], {"spec": spec}, client, client._sessions.current(), salesforce_targeted(spec), synced.pipeline, trace,
            trace.asdict(), trace.resolved_config_values, outcomes, *(outcome.facts for outcome in outcomes), errors,
            *("".join(traceback.format_exception(error)) for error in errors),
            *(markdown.document(outcome.facts) for outcome in outcomes),
        ]  # fmt: skip
        text = "\n".join(f"{value!r}\n{value!s}\n{value}" for value in shown)

        assert [1, 2] == [len(errors) - 1, len(outcomes)]
        assert set() == given.marked.within(text), way


@pytest.mark.brief(1)
@pytest.mark.parametrize("way", ["password", "jwt"])
def test_dlts_own_commands_show_no_secret(
    way: str, org: DemoOrg, server: DemoServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    run: Callable[..., tuple[int, str]],
) -> None:  # fmt: skip
    """``dlt pipeline … trace``, plain and as wordy as it can be, with the same environment."""
    given = sign_in(way, org, server)
    for name, value in given.environ.items():
        monkeypatch.setenv(name, value)
    assert 0 == run()[0]
    asked = [("-v", "trace")] if way == "password" else [("trace",)]
    runs = [
        command(
            sys.executable, "-m", "dlt", "pipeline", *words[:-1], "targeted_contacts", words[-1],
            cwd=tmp_path, environ=given.environ,
        )
        for words in asked
    ]  # fmt: skip

    assert [0] * len(asked) == [ended.code for ended in runs]
    assert "Run started at" in runs[0].out
    assert set() == given.marked.within("\n".join(ended.out + ended.err for ended in runs))
