"""What dlt's files and the environment configure is obeyed as dlt obeys it, or named where it can't be."""

from __future__ import annotations

import codecs
from datetime import UTC, datetime
from pathlib import Path

import dlt
import pytest

from salesforce_targeted.api.errors import ConfigurationError
from salesforce_targeted.demo_org import DemoOrg
from salesforce_targeted.demo_org.http.server import DemoServer
from salesforce_targeted.settings import Settings
from salesforce_targeted.sync.configuration import load_settings
from tests.support.oracles.recovery import tell
from tests.support.script import DUCKDB_FILE, process, rows, session_of

OURS = "targeted_contacts.sources.salesforce_targeted"


def written(folder: Path, name: str, text: str | bytes) -> Path:
    """Write a file of dlt's configuration in a folder."""
    file = folder / ".dlt" / name
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return file


@pytest.mark.postgres
@pytest.mark.parametrize(
    "variable",
    [
        "TARGETED_CONTACTS__DESTINATION__POSTGRES__CREDENTIALS",
        "DESTINATION__POSTGRES__CREDENTIALS",
    ],
)
def test_the_destination_may_stand_under_the_pipelines_name(
    org: DemoOrg, server: DemoServer, postgres: str, tmp_path: Path, variable: str
) -> None:
    """People land in the database that is configured, and in no file here."""
    ended = process("--json", cwd=tmp_path, environ={**session_of(server), variable: postgres})

    assert 0 == ended.code, ended.out
    assert [(12,)] == tell(postgres, "SELECT count(*) FROM salesforce.sf_contacts")
    assert not (tmp_path / DUCKDB_FILE).exists()


@pytest.mark.parametrize("section", [OURS, "sources.salesforce_targeted"])
def test_settings_may_stand_under_the_pipelines_name(
    org: DemoOrg, server: DemoServer, tmp_path: Path, section: str
) -> None:
    """Credentials, settings and statistics of the section are those of each run; the next one goes on."""
    written(
        tmp_path,
        "secrets.toml",
        f'[{section}.credentials]\ninstance_url = "{server.url}"\naccess_token = "{server.token}"\n',
    )
    written(
        tmp_path,
        "config.toml",
        f'[{section}]\nid_column = "salesforce_id"\n[{section}.statistics]\nnamed = "last_name != \'\'"\n',
    )
    ended = [process("--json", cwd=tmp_path) for _ in range(2)]

    assert [0, 0] == [one.code for one in ended], ended
    assert [12, 12] == [one.facts["statistics"]["named"] for one in ended]
    assert 12 == ended[1].facts["contacts"]["unchanged"]
    assert set(org.active_ids()) == {row["salesforce_id"] for row in rows(tmp_path, "sf_contacts")}


@pytest.mark.parametrize("name", ["secrets.toml", "config.toml"])
@pytest.mark.parametrize(
    ("text", "said"),
    [
        (codecs.BOM_UTF8 + b"[sources]\n", "it begins with a byte order mark"),
        ("[sources]\n".encode("utf-16"), "it begins with a byte order mark"),
        (b'[sources]\nname = "caf\xe9"\n', "it is not UTF-8"),
        (b'[sources]\n\naccess_token = "sesame-99\n', "at line 3"),
    ],
    ids=["UTF-8 with BOM", "UTF-16", "Latin-1", "slip"],
)
def test_a_file_that_dlt_cannot_read_is_named(
    server: DemoServer, tmp_path: Path, name: str, text: bytes, said: str
) -> None:
    """The file, the line and the reason, exit 2; nothing of what stands in it."""
    file = written(tmp_path, name, text)
    ended = process(cwd=tmp_path, environ=session_of(server))

    assert 2 == ended.code
    assert f".dlt/{file.name} can't be read: it " in ended.err
    assert said in ended.err
    assert "sesame" not in ended.err


@pytest.mark.parametrize("text", ["P7D", "12:00", "now", "31.12.", ""])
def test_what_is_no_date_is_refused(text: str) -> None:
    """Neither a duration nor a time of day counts as a date."""
    with pytest.raises(ConfigurationError, match="is not a date"):
        Settings.parse(since=text)


@pytest.mark.parametrize(
    "text", ["2024-01-31", "2024-01-31T00:00:00Z", "2024-01-31T02:00:00+02:00", "20240131"]
)
def test_dates_are_instants_in_utc(text: str) -> None:
    """ISO 8601, with a zone or without."""
    assert Settings.parse(since=text).since == datetime(2024, 1, 31, tzinfo=UTC)


def test_each_pipeline_of_a_process_has_a_staging_dataset_of_its_own() -> None:
    """Two that share one empty each other's rows; a layout of the user's own stays."""
    layout = "destination.staging_dataset_name_layout"
    with dlt.config.values({layout: None}):
        load_settings("first")
        load_settings("second")
        ours = dlt.config[layout]
        dlt.config[layout] = "theirs_%s"
        load_settings("third")
        theirs = dlt.config[layout]

    assert ("%s_staging_second", "theirs_%s") == (ours, theirs)
