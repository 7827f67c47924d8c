"""What dlt's files and the environment configure is obeyed as dlt obeys it, or named where it can't be."""

from __future__ import annotations

import codecs
import re
from datetime import UTC, datetime
from pathlib import Path

import dlt
import pytest

from salesforce_targeted.api.errors import ConfigurationError
from salesforce_targeted.demo_org import DemoOrg
from salesforce_targeted.demo_org.http.server import DemoServer
from salesforce_targeted.settings import Api, Settings
from salesforce_targeted.sync.configuration import load_settings
from tests.support.oracles.recovery import tell
from tests.support.script import DUCKDB_FILE, Script, in_process, rows

OURS = "targeted_contacts.sources.salesforce_targeted"


def written(folder: Path, name: str, text: str | bytes) -> Path:
    """Write a file of dlt's configuration in a folder."""
    file = folder / ".dlt" / name
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return file


@pytest.mark.postgres
@pytest.mark.brief(1)
@pytest.mark.parametrize(
    "variable",
    [
        "TARGETED_CONTACTS__DESTINATION__POSTGRES__CREDENTIALS",
        "DESTINATION__POSTGRES__CREDENTIALS",
    ],
)
def test_the_destination_may_stand_under_the_pipelines_name(
    script: Script, postgres: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    """People land in the database that is configured, and in no file here."""
    monkeypatch.setenv(variable, postgres)
    ended = script("--json")

    assert 0 == ended.code, ended.out
    assert [(12,)] == tell(postgres, "SELECT count(*) FROM salesforce.sf_contacts")
    assert not (tmp_path / DUCKDB_FILE).exists()


@pytest.mark.brief(1)
@pytest.mark.parametrize("section", [OURS, "sources.salesforce_targeted"])
def test_settings_may_stand_under_the_pipelines_name(
    org: DemoOrg, server: DemoServer, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    section: str,
) -> None:  # fmt: skip
    """Credentials, settings and statistics of the section are those of each run; the next one goes on."""
    written(
        tmp_path,
        "secrets.toml",
        f'[{section}.credentials]\ninstance_url = "{server.url}"\naccess_token = "{server.token}"\n',
    )
    written(
        tmp_path,
        "config.toml",
        f'[{section}]\nid_column = "salesforce_id"\n[{section}.statistics]\nnamed = "last_name != \'\'"\n'
        'more = "1=1); DROP TABLE sf_contacts; --"\n',
    )
    script = in_process(capsys)
    ended = [script("--json") for _ in range(2)]

    assert [0, 0] == [run.code for run in ended], ended
    assert [12, 12] == [run.facts["statistics"]["named"] for run in ended]
    for run in ended:
        assert ["statistic 'more' was left out:"] == [w[:30] for w in run.facts["warnings"]]
    assert 12 == ended[1].facts["contacts"]["unchanged"]
    assert set(org.active_ids()) == {row["salesforce_id"] for row in rows(tmp_path, "sf_contacts")}


@pytest.mark.brief(7)
@pytest.mark.parametrize("name", ["secrets.toml", "config.toml"])
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[sources]\n".encode("utf-16-le"), "it is not UTF-8"),
        (b"[sources]\n[sources]\n", "Cannot declare ('sources',) twice (at line 2"),
        (rb'key_file = "C:\Users\me.key"', "a path with backslashes stands in single quotes"),
        (codecs.BOM_UTF8 + b"[sources]\n", "it begins with a byte order mark"),
        ("[sources]\n".encode("utf-16"), "it begins with a byte order mark"),
        (b'[sources]\nname = "caf\xe9"\n', "it is not UTF-8"),
        (b'[sources]\n\naccess_token = "sesame-99\n', "at line 3"),
    ],
    ids=[
        "UTF-16 without BOM",
        "twice",
        "path of Windows",
        "UTF-8 with BOM",
        "UTF-16",
        "Latin-1",
        "slip",
    ],
)
def test_a_file_that_dlt_cannot_read_is_named(
    script: Script, tmp_path: Path, name: str, text: bytes, message: str
) -> None:
    """The file, the line and the reason, exit 2; nothing of what stands in it."""
    file = written(tmp_path, name, text)
    ended = script()

    assert 2 == ended.code
    assert f".dlt/{file.name} can't be read: it " in ended.err
    assert message in ended.err
    assert "sesame" not in ended.err


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("secrets.toml", "[sources.salesforce.credentials]\n", "[sources.salesforce.credentials]"),
        (
            "secrets.toml",
            "[salesforce_targeted.credentials]\n",
            "[salesforce_targeted.credentials]",
        ),
        (
            "secrets.toml",
            "[sources.salesforce_targeted]\n",
            "they stand under [sources.salesforce_targ",
        ),
        ("config.toml", "[sources.salesforce_targeted.credentials]\n", "they stand in config.toml"),
    ],
)
def test_credentials_in_another_place_are_said_to_be_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], file: str, text: str, message: str
) -> None:
    """Never "none are configured" where they are; and where they belong."""
    written(
        tmp_path, file, f'{text}instance_url = "https://a.example"\naccess_token = "sesame-99"\n'
    )
    ended = in_process(capsys)("--sign-in")

    assert 2 == ended.code
    assert message in ended.err
    assert "belong" in ended.err
    assert "sesame" not in ended.err


def test_credentials_in_another_place_are_told_beside_those_that_are_set(
    script: Script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who has set a part in the environment is told where the rest of it stands."""
    monkeypatch.delenv("SALESFORCE_ACCESS_TOKEN")
    written(tmp_path, "secrets.toml", '[sources.salesforce_targeted]\naccess_token = "sesame-99"\n')
    ended = script("--sign-in")

    assert 2 == ended.code
    assert "lacks SALESFORCE_ACCESS_TOKEN (set: SALESFORCE_INSTANCE_URL)" in ended.err
    assert "they stand under [sources.salesforce_targeted], and belong under" in ended.err


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("user_name", "username"),
        ("consumer_key", "client_id"),
        ("privatekey_file", "private_key_file"),
    ],
)
@pytest.mark.parametrize("alone", [True, False])
def test_what_other_tools_call_a_setting_is_told(
    script: Script, monkeypatch: pytest.MonkeyPatch, theirs: str, ours: str, alone: bool
) -> None:
    """Other words than ours: those of dlt's verified source and of simple-salesforce."""
    monkeypatch.delenv("SALESFORCE_ACCESS_TOKEN")
    if alone:
        monkeypatch.delenv("SALESFORCE_INSTANCE_URL")
    section = "SOURCES__SALESFORCE_TARGETED__CREDENTIALS__"
    monkeypatch.setenv(f"{section}{theirs.upper()}", "x")
    ended = script("--sign-in")

    assert 2 == ended.code
    assert f"{theirs} is {ours} here" in ended.err


@pytest.mark.brief(5)
@pytest.mark.parametrize("command", ["--plan", "--sign-in", ""])
@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("FIELDS", "FirstName,Email", 'Write it as ["FirstName", "Email"]'),
        ("DAILY_CALL_RESERVE", "10%", "Write a number such as 0.1"),
        ("CALLS_PER_RUN", "", "Write a whole number, or leave the setting out"),
        ("REFRESH_CALL_BUDGET", "-1", "refresh_call_budget = -1 is negative"),
        ("FULL_REFRESH_DAYS", "9999999", "is more than a hundred years. Write 36525 or less"),
        ("SINCE", "2999-01-01", "nothing was modified since 2999-01-01"),
        ("ID_COLUMN", " ", "id_column is empty"),
        ("ID_COLUMN", "system_modstamp", "'system_modstamp' is the name of another column"),
    ],
)
def test_a_setting_that_can_not_be_meant_is_wrong_configuration(
    org: DemoOrg, script: Script, monkeypatch: pytest.MonkeyPatch, command: str, name: str,
    value: str, message: str,
) -> None:  # fmt: skip
    """Exit 2 before the first call, whatever is to be done; how to write it stands in the remedy."""
    monkeypatch.setenv(f"SOURCES__SALESFORCE_TARGETED__{name}", value)
    ended = script(*filter(None, [command]))

    assert 2 == ended.code
    assert message in ended.err
    assert 0 == org.billed


@pytest.mark.brief(3)
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("fields = [1]", 'fields = [1] is no list of names. Write it as ["FirstName", "Email"]'),
        ('fields = [["a"]]', 'Write it as ["FirstName", "Email"]'),
        ("fields = {a = 1}", 'Write it as ["FirstName", "Email"]'),
        ('statistics = "x"', "Write a table [sources.salesforce_targeted.statistics]"),
        ("statistics = [1]", "Write a table [sources.salesforce_targeted.statistics]"),
        ("statistics = {named = 5}", "{'named': 5} are no SQL conditions. Write a table"),
        ('indexes = "nope"', "Write true or false"),
        ("refresh_call_budgt = 5", "no setting refresh_call_budgt. Perhaps refresh_call_budget"),
        ("SOURCES__SALESFORCE_TARGETED__FEILDS", "no setting feilds. Perhaps fields is meant"),
    ],
)
def test_a_setting_of_another_kind_or_name(
    org: DemoOrg, script: Script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str,
    message: str,
) -> None:  # fmt: skip
    """What was found and how to write it, exit 2, before the first call."""
    if text.startswith("SOURCES"):
        monkeypatch.setenv(text, "[]")
    else:
        written(tmp_path, "config.toml", f"[sources.salesforce_targeted]\n{text}\n")
    ended = script()

    assert 2 == ended.code, ended.out
    assert message in ended.err
    assert 0 == org.billed


def test_names_of_others_stay_theirs(script: Script, tmp_path: Path) -> None:
    """Settings of dlt, of single resources and of other sources are none of our slips."""
    written(
        tmp_path,
        "config.toml",
        "[sources]\nfeilds = 1\n[sources.other]\nfeilds = 1\n[sources.salesforce_targeted]\n"
        "max_table_nesting = 0\nbatch = 5\n[sources.salesforce_targeted.feilds]\na = 1\n",
    )

    assert 0 == script("--count").code


@pytest.mark.parametrize(
    "name",
    ["SystemModstamp", "is_deleted", "RelationId", "ctid", "XMIN", "row_hash", "_dlt_load_id", "5",
     '["id"]', "id)", ""],
)  # fmt: skip
def test_a_name_that_no_id_can_have(name: str) -> None:
    """Another column has it, or no column can: refused before a run reads the org in vain."""
    with pytest.raises(ConfigurationError, match="id_column"):
        Settings.parse(id_column=name)


@pytest.mark.parametrize("name", ["Id", "salesforce_id", "my id", "Größe", "sf-id", "_id", "name"])
def test_a_name_that_an_id_can_have(name: str) -> None:
    """Whatever dlt makes a name of."""
    assert name == Settings.parse(id_column=name).id_column


@pytest.mark.parametrize(("text", "api"), [("BULK", Api.BULK), (" bulk", Api.BULK), ("", None)])
def test_a_way_to_retrieve_is_taken_as_meant(text: str, api: Api | None) -> None:
    """Capitals and blanks are no other way; left empty, none is forced."""
    assert api is Settings.parse(api=text).api


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


@pytest.mark.parametrize("value", ["59.0", "59.0 ", "v59", "V59.0", "59", 59, 59.0])
def test_a_version_is_read_as_it_is_meant(value: str | float) -> None:
    """With or without the v of the paths and the .0, as text or as a number of TOML."""
    assert "59.0" == Settings.parse(api_version=value).api_version


@pytest.mark.parametrize("value", [None, "", " "])
def test_a_version_left_empty_is_the_default(value: str | None) -> None:
    """A container passes variables on that are not set."""
    assert Settings.parse(api_version=value).api_version is None


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("57.0", "57.0 is too old to read through. Set 58.0 or newer"),
        ("v30", "30.0 is too old"),
        ("latest", "'latest' is no version of the API. Write it as 64.0"),
        ("64.1", "'64.1' is no version"),
        (6.4, "6.4 is no version"),
        (True, "True is no version"),
    ],
)
def test_a_version_that_can_not_be_meant_is_refused(value: str | float, message: str) -> None:
    """Before a request is sent; the remedy says what to write."""
    with pytest.raises(ConfigurationError, match=re.escape(message)):
        Settings.parse(api_version=value)


@pytest.mark.brief(1)
@pytest.mark.parametrize("way", ["option", "variable", "file"])
def test_the_version_is_that_of_every_request(
    org: DemoOrg, script: Script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    """Whatever sets it, a run reads through it and no other, and its report says so."""
    if way == "file":
        written(tmp_path, "config.toml", "[sources.salesforce_targeted]\napi_version = 66.0\n")
    if way == "variable":
        monkeypatch.setenv("SOURCES__SALESFORCE_TARGETED__API_VERSION", "66")
    ended = script("--json", *["--api-version", "v66"] * (way == "option"))
    versions = {target.split("/")[3] for _, target in org.arrived if "/services/data/" in target}

    assert (0, "66.0") == (ended.code, ended.facts["versions"]["api"])
    assert {"v66.0"} == versions


@pytest.mark.parametrize("command", ["--sign-in", "--test", "--count", "--plan", ""])
def test_a_version_that_the_org_does_not_serve(org: DemoOrg, script: Script, command: str) -> None:
    """Each command says so, and which the org serves."""
    org.traits.newest_version = 62
    ended = script(*filter(None, [command]), "--api-version", "63")

    assert ended.code in (1, 2)
    assert "the org does not serve API version 63.0" in ended.out + ended.err
    assert "58.0 to 62.0" in ended.out + ended.err


def test_each_pipeline_of_a_process_has_a_staging_dataset_of_its_own() -> None:
    """Two that share one empty each other's rows; a layout of the user's own stays."""
    layout = "destination.staging_dataset_name_layout"
    load_settings("before")
    with dlt.config.values({layout: None}):
        load_settings("first")
        load_settings("second")
        ours = dlt.config[layout]
        dlt.config[layout] = "theirs_%s"
        load_settings("third")
        theirs = dlt.config[layout]
    # The block has taken back what was set in it.
    load_settings("after")

    assert "%s_staging_after" == dlt.config[layout]
    assert ("%s_staging_second", "theirs_%s") == (ours, theirs)
