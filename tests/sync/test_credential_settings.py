"""Credentials as people leave them in files and variables: blank, or of another type."""

from __future__ import annotations

from pathlib import Path

import pytest

from salesforce_targeted.demo_org import DemoOrg
from salesforce_targeted.demo_org.http.server import DemoServer
from tests.support.script import ROOT, in_process, session_of

SECTION = "[sources.salesforce_targeted.credentials]"
VARIABLE = "SOURCES__SALESFORCE_TARGETED__CREDENTIALS"


def written(folder: Path, text: str) -> None:
    """Write secrets.toml in a folder."""
    (folder / ".dlt").mkdir(exist_ok=True)
    (folder / ".dlt" / "secrets.toml").write_text(text)


@pytest.mark.parametrize("way", ["session", "app"])
def test_the_example_copied_as_it_is_leaves_the_environment_its_word(
    org: DemoOrg, server: DemoServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str], way: str,
) -> None:  # fmt: skip
    """What is left empty in the file is not set: no method is chosen by it, nothing is refused."""
    app = {"LOGIN_URL": server.url, "CLIENT_ID": org.client_id, "CLIENT_SECRET": org.client_secret}
    environ = {f"SALESFORCE_{name}": value for name, value in app.items()}
    for name, value in (session_of(server) if way == "session" else environ).items():
        monkeypatch.setenv(name, value)
    written(tmp_path, (ROOT / ".dlt" / "secrets.toml.example").read_text())
    ended = in_process(capsys)("--sign-in", "--json")

    assert 0 == ended.code, ended.out
    assert [] == ended.facts["unused"]


@pytest.mark.parametrize("name", ["INSTANCE_URL", "ACCESS_TOKEN"])
def test_a_blank_variable_hides_no_file(
    server: DemoServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str], name: str,
) -> None:  # fmt: skip
    """A variable that a container passes on empty leaves what secrets.toml says."""
    written(
        tmp_path, f'{SECTION}\ninstance_url = "{server.url}"\naccess_token = "{server.token}"\n'
    )
    monkeypatch.setenv(f"{VARIABLE}__{name}", " ")

    assert 0 == in_process(capsys)("--sign-in").code


@pytest.mark.parametrize("name", ["login_url", "domain"])
def test_a_blank_address_is_filled(
    org: DemoOrg, server: DemoServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str], name: str,
) -> None:  # fmt: skip
    """Of two settings that mean the same a blank one does not stand for the other."""
    written(
        tmp_path,
        f'{SECTION}\n{name} = " "\nclient_id = "{org.client_id}"\n'
        f'client_secret = "{org.client_secret}"\n',
    )
    monkeypatch.setenv("SALESFORCE_LOGIN_URL", server.url)

    assert 0 == in_process(capsys)("--sign-in").code


def test_what_is_blank_everywhere_is_said_to_be_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit 2 with what to set; not that it stands somewhere else."""
    written(tmp_path, f'{SECTION}\nclient_id = "an-app"\nclient_secret = ""\n')
    ended = in_process(capsys)("--count")

    assert 2 == ended.code
    assert "lacks SALESFORCE_CLIENT_SECRET (set: SALESFORCE_CLIENT_ID)" in ended.err
