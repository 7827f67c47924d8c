"""Refresh tokens: a rotated one is kept, and survives a crash."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from salesforce_targeted.api.credentials.token_file import TokenFile
from salesforce_targeted.demo_org import DemoOrg, serve
from tests.support.script import ROOT
from tests.support.sign_in import EVERYTHING, credentials, environ, form


def refreshing(server, tmp_path, **more):
    """Make refresh-token credentials with a file of their own."""
    spec = credentials(environ(server, "CLIENT_ID", "CLIENT_SECRET", "REFRESH_TOKEN", **more))
    spec.refresh_token_file = str(tmp_path / "deep" / "token.json")
    return spec


def test_a_refresh_token_that_stays(endpoint, server, granted, tmp_path):
    """Without rotation nothing is stored."""
    server.fallback = lambda _: granted()
    spec = refreshing(server, tmp_path)
    spec.sign_in(endpoint)
    spec.sign_in(endpoint)

    assert ["ref-resh-4"] * 2 == [form(h)["refresh_token"] for h in server.heard]
    assert not (tmp_path / "deep" / "token.json").exists()


def test_a_rotated_refresh_token_survives_a_crash(endpoint, server, granted, tmp_path):
    """The new token is on disk, mode 0600, and a new process with the old setting uses it."""
    server.say(
        granted(refresh_token="rotated-1"),
        granted(refresh_token="rotated-2"),
        granted(refresh_token="rotated-3"),
    )
    tokens = []
    spec = refreshing(server, tmp_path)
    spec.store_refresh_token = tokens.append
    spec.sign_in(endpoint)
    spec.sign_in(endpoint)
    refreshing(server, tmp_path).sign_in(endpoint)
    file = tmp_path / "deep" / "token.json"

    assert ["ref-resh-4", "rotated-1", "rotated-2"] == [
        form(h)["refresh_token"] for h in server.heard
    ]
    assert ["rotated-1", "rotated-2"] == tokens
    assert 0o600 == file.stat().st_mode & 0o777
    assert "ref-resh-4" not in file.read_text()
    assert ["token.json", "token.json.lock"] == sorted(p.name for p in file.parent.iterdir())


def test_a_token_set_anew_wins_over_the_file(endpoint, server, granted, tmp_path):
    """The file follows the old setting; a new setting begins again."""
    server.say(granted(refresh_token="rotated-1"), granted())
    refreshing(server, tmp_path).sign_in(endpoint)
    refreshing(server, tmp_path, SALESFORCE_REFRESH_TOKEN="brand-new").sign_in(endpoint)

    assert "brand-new" == form(server.heard[1])["refresh_token"]


@pytest.mark.parametrize("content", ["", "{}", "[]", "\x00", '{"follows": 1, "refresh_token": 2}'])
def test_a_broken_token_file(content, endpoint, server, granted, tmp_path):
    """The configured token is used."""
    server.say(granted())
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "token.json").write_text(content)
    refreshing(server, tmp_path).sign_in(endpoint)

    assert "ref-resh-4" == form(server.heard[0])["refresh_token"]


def test_a_token_that_can_not_be_stored(endpoint, server, granted, tmp_path, caplog):
    """Where nothing can be written the new token is kept in memory, with a warning without it."""
    (tmp_path / "deep").write_text("a file where a folder should be")
    server.say(granted(refresh_token="rotated-1"), granted())
    spec = refreshing(server, tmp_path)
    spec.sign_in(endpoint)
    spec.sign_in(endpoint)

    assert "rotated-1" == form(server.heard[1])["refresh_token"]
    assert "can't be stored" in caplog.text
    assert "rotated-1" not in caplog.text


def test_the_default_file_is_one_per_app_and_org(tmp_path, monkeypatch):
    """It lies in dlt's own folder, and its name tells nothing."""
    monkeypatch.setenv("DLT_DATA_DIR", str(tmp_path))
    spec = credentials(
        {n: EVERYTHING[n] for n in ("SALESFORCE_CLIENT_ID", "SALESFORCE_REFRESH_TOKEN")}
    ).resolved
    files = []
    for spec.login_url in ("https://a", "https://b"):
        files.append(spec.token_file().path)
    first, second = files

    assert first.parent == second.parent
    assert "salesforce_targeted" == first.parent.name
    assert first != second
    assert "3MVG9" not in first.name


def test_what_is_lost_is_said_before_it_is(endpoint, server, granted, tmp_path, caplog):
    """That a rotated token could not be kept stands in the log before the old one is spent."""
    (tmp_path / "deep").write_text("a file where a folder should be")

    def refuse(_):
        texts.append(caplog.text)
        return granted()

    texts: list[str] = []
    server.fallback = refuse
    refreshing(server, tmp_path).sign_in(endpoint)

    assert "should Salesforce rotate it" in texts[0]
    assert "ref-resh-4" not in caplog.text


def test_a_folder_in_the_place_of_the_file_is_said_before_the_token_is_spent(tmp_path):
    """Beside it a file could be made; over it none can be."""
    assert "Is a directory" == TokenFile(tmp_path).trouble()


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="there is no such folder here")
def test_a_file_that_can_not_be_replaced_is_written_in_place(tmp_path):
    """As one that is mounted by itself in a container: no file can be made beside it."""
    with (tmp_path / "token.json").open("w+") as mounted:
        file = TokenFile(f"/proc/self/fd/{mounted.fileno()}")

        assert ("", True) == (file.trouble(), file.keep("configured", "fresh"))
        assert "fresh" == TokenFile(tmp_path / "token.json").newest("configured")


def test_who_stores_it_himself_is_not_warned(endpoint, server, granted, tmp_path, caplog):
    """With ``store_refresh_token`` the file is only a second place."""
    (tmp_path / "deep").write_text("a file where a folder should be")
    server.say(granted())
    spec = refreshing(server, tmp_path)
    spec.store_refresh_token = print
    spec.sign_in(endpoint)

    assert "should Salesforce rotate it" not in caplog.text


def test_a_file_that_others_could_read_is_closed_to_them(endpoint, server, granted, tmp_path):
    """Mode 0600, whatever the file's mode was before; the folder that is made is 0700."""
    server.say(granted(refresh_token="rotated-1"))
    spec = refreshing(server, tmp_path)
    spec.refresh_token_file = str(tmp_path / "token.json")
    (tmp_path / "token.json").write_text("{}")
    (tmp_path / "token.json").chmod(0o644)
    spec.sign_in(endpoint)
    server.say(granted(refresh_token="rotated-2"))
    refreshing(server, tmp_path).sign_in(endpoint)

    assert 0o600 == (tmp_path / "token.json").stat().st_mode & 0o777
    assert 0o700 == (tmp_path / "deep").stat().st_mode & 0o777


def test_a_reader_never_sees_half_a_file(tmp_path):
    """Written again and again while it is read: always one token, whole."""
    file = TokenFile(tmp_path / "token.json")
    file.keep("first", "token-0")
    tokens = [f"token-{n}" * 2_000 for n in range(200)]
    writer = threading.Thread(target=lambda: [file.keep("first", token) for token in tokens])
    writer.start()
    seen = set()
    while writer.is_alive():
        seen.add(file.newest("first"))
    writer.join()

    assert seen <= {"token-0", *tokens}
    assert ["token.json"] == [path.name for path in tmp_path.iterdir()]


@pytest.mark.deep
def test_processes_that_start_together_all_sign_in(tmp_path):
    """Six processes with one single-use token: each uses what the one before it was given."""
    org = DemoOrg.tiny()
    org.refresh_tokens, org.rotate_refresh_tokens = {"ref-resh-4"}, True
    with serve(org) as at:
        environ = {
            **os.environ,
            "PYTHONPATH": str(ROOT),  # this tree, whatever is installed
            "SALESFORCE_LOGIN_URL": at.url,
            "SALESFORCE_CLIENT_ID": org.client_id,
            "SALESFORCE_CLIENT_SECRET": org.client_secret,
            "SALESFORCE_REFRESH_TOKEN": "ref-resh-4",
            "SALESFORCE_REFRESH_TOKEN_FILE": str(tmp_path / "token.json"),
        }
        started = [
            subprocess.Popen([sys.executable, "-c", SIGN_IN], env=environ, stderr=subprocess.PIPE)
            for _ in range(6)
        ]
        ended = [
            (process.communicate(timeout=120)[1].decode(), process.returncode)
            for process in started
        ]

    assert [("", 0)] * 6 == ended
    assert 6 == len(org.refreshes)
    assert {TokenFile(tmp_path / "token.json").newest("ref-resh-4")} == org.refresh_tokens


SIGN_IN = """
import os
from dlt.common.configuration.resolve import resolve_configuration
from salesforce_targeted.api.client import SalesforceClient
from salesforce_targeted.api.credentials.resolution import AnyCredentials
SalesforceClient(resolve_configuration(AnyCredentials())).org_limits()
"""
