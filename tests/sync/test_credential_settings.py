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


@pytest.mark.brief(1)
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


@pytest.mark.brief(1)
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


@pytest.mark.brief(1)
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


SETTINGS = {
    "instance_url": '"https://acme.my.salesforce.com"', "access_token": '"sesame-99"',
    "login_url": '"https://acme.my.salesforce.com"', "username": '"me"', "password": '"sesame-99"',
}  # fmt: skip


@pytest.mark.brief(2)
@pytest.mark.parametrize("name", ["password", "username", "access_token", "login_url"])
@pytest.mark.parametrize("value", ["true", '["sesame-99"]', "{a = 1}", "1.50", "2024-01-01"])
def test_a_setting_that_is_no_text_is_not_sent_as_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, value: str
) -> None:
    """Each login with the password "True" is a failed one: exit 2 says how to write it."""
    lines = {**SETTINGS, name: value}
    written(tmp_path, "\n".join([SECTION, *(f"{key} = {of}" for key, of in lines.items())]))
    ended = in_process(capsys)("--count")

    assert 2 == ended.code, ended.out
    assert f'must be a text. Write it in quotes: {name} = "…".' in ended.err
    assert "sesame" not in ended.err


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ('credentials = "sesame-99"', "a text"),
        ('credentials = ["sesame-99"]', "a list"),
        ("credentials = 5", "of the type int"),
        ('[[sources.salesforce_targeted.credentials]]\npassword = "sesame-99"', "a list"),
        ('{"password": "sesame-99"}', "a text"),
    ],
)
@pytest.mark.brief(2)
def test_credentials_that_are_no_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], text: str,
    kind: str,
) -> None:  # fmt: skip
    """Neither "none are configured" where some stand, nor the words of a TypeError; exit 2."""
    if text.startswith("{"):
        monkeypatch.setenv(VARIABLE, text)
    else:
        written(tmp_path, f"[sources.salesforce_targeted]\n{text}\n")
    ended = in_process(capsys)("--count")

    assert 2 == ended.code, ended.out
    assert f"is {kind}, and credentials are several settings. Write them one by one" in ended.err
    assert "sesame" not in ended.err


def test_credentials_that_are_blank_are_not_set(
    server: DemoServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """A variable for all of them that is empty hides no table of a file."""
    written(
        tmp_path, f'{SECTION}\ninstance_url = "{server.url}"\naccess_token = "{server.token}"\n'
    )
    monkeypatch.setenv(VARIABLE, "")

    assert 0 == in_process(capsys)("--sign-in").code
