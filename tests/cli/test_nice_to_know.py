"""What a command only likes to know fails nothing: a proxy hides it, or the org says it in another way."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from salesforce_targeted.demo_org.http.server import DemoServer
from tests.support.script import Script
from tests.support.scripted_server import Bytes, Scripted, answer, handed_on, scripted_server


@pytest.fixture
def proxy(
    server: DemoServer, script: Script, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Scripted]:
    """Provide a proxy that hands on what the served org says; the script asks it."""
    with scripted_server() as proxy:
        monkeypatch.setenv("SALESFORCE_INSTANCE_URL", proxy.url)
        proxy.fallback = lambda heard: handed_on(server.url, heard)
        yield proxy


def hide(proxy: Scripted, server: DemoServer, path: str, response: Bytes) -> None:
    """Let the proxy say something else at a path."""
    proxy.fallback = lambda heard: (
        response if re.search(path, heard.path) else handed_on(server.url, heard)
    )


def limits(of_day: Any) -> Bytes:
    return answer(body={"DailyApiRequests": of_day})


MOVED = answer(302, "", {"Location": "https://proxy.example/login"})
REFUSED = [{"errorCode": "METHOD_NOT_ALLOWED", "message": "no"}]
PAGE = answer(403, "<html><title>Denied</title></html>", {"Content-Type": "text/html"})


@pytest.mark.brief(4)
@pytest.mark.parametrize(
    "response",
    [
        PAGE, MOVED, answer(404), answer(401), answer(200, "<html>hello</html>"), answer(body=[]),
        answer(body={}), answer(body=[{"version": 64.0}]), answer(body=[{"version": "latest"}]),
    ],
    ids=["403", "302", "404", "401", "page", "empty", "object", "number", "word"],
)  # fmt: skip
def test_versions_that_are_not_shown(
    server: DemoServer, proxy: Scripted, script: Script, response: Bytes
) -> None:
    """A note, and everything else is checked: the org is healthy."""
    hide(proxy, server, "/services/data$", response)
    ended = script("--test", "--json")
    checks = {check["name"]: check for check in ended.facts["checks"]}

    assert 0 == ended.code, ended.out
    assert "64.0; which versions the org serves is not known" == checks["API version"]["detail"]
    assert checks["API version"]["note"]
    assert {True} == {check["ok"] for check in checks.values()}


def test_versions_in_another_order(server: DemoServer, proxy: Scripted, script: Script) -> None:
    """The newest first: the range is told from its beginning all the same."""
    newest_first = [{"version": version} for version in ("100.0", "68.0", "64.0", "31.0")]
    hide(proxy, server, "/services/data$", answer(body=newest_first))

    assert "(the org serves up to 100.0)" in script("--test").out
    assert "64.0 to 100.0" in script("--test", "--api-version", "63").out


@pytest.mark.brief(2)
@pytest.mark.parametrize(
    "response",
    [answer(400, REFUSED), answer(405, REFUSED), MOVED, answer(body=[])],
    ids=["400", "405", "302", "list"],
)
def test_limits_that_are_not_shown(
    server: DemoServer, proxy: Scripted, script: Script, response: Bytes
) -> None:
    """A note that is no "bug in the request"; what the API answers is shown by the next lines."""
    hide(proxy, server, "/limits$", response)
    ended = script("--test", "--json")
    checks = {check["name"]: check for check in ended.facts["checks"]}

    assert 0 == ended.code, ended.out
    assert checks["API enabled"]["note"]
    assert checks["API enabled"]["detail"].startswith("not known: GET /services/data/v64.0/limits")
    assert "" == checks["API enabled"]["remedy"]
    assert checks["Contact"]["ok"]


def test_a_permission_that_the_org_does_not_tell_in_time(
    server: DemoServer, proxy: Scripted, script: Script
) -> None:
    """Whether our user sees all is worth a note, and keeps nothing from being synced."""
    slow = [{"errorCode": "QUERY_TIMEOUT", "message": "Your query request was running too long"}]
    hide(proxy, server, "UserPermissionAccess", answer(400, slow))
    ended = script("--test", "--json")
    checks = {check["name"]: check for check in ended.facts["checks"]}

    assert 0 == ended.code, ended.out
    assert checks["View All Data"]["note"]
    assert "QUERY_TIMEOUT" in checks["View All Data"]["detail"]


@pytest.mark.brief(1)
@pytest.mark.parametrize("of_day", [[1], "many", {"Max": "15000"}, None, -1])
def test_a_days_calls_in_another_form(
    server: DemoServer, proxy: Scripted, script: Script, of_day: Any
) -> None:
    """What is left stands in each response's header as well."""
    hide(proxy, server, "/limits$", limits(of_day))
    ended = script("--test", "--json")
    (left,) = [check for check in ended.facts["checks"] if check["name"] == "API calls left"]

    assert (0, True) == (ended.code, left["ok"]), left
    assert re.fullmatch(r"[\d,]+", left["detail"])


@pytest.mark.brief(1)
@pytest.mark.parametrize("response", [answer(400, REFUSED), MOVED, PAGE], ids=["400", "302", "403"])
def test_the_size_of_an_object(
    server: DemoServer, proxy: Scripted, script: Script, response: Bytes
) -> None:
    """--count counts what it can."""
    hide(proxy, server, "/recordCount", response)
    ended = [script("--count"), script("--count", "--json")]

    assert [0, 0] == [run.code for run in ended]
    assert "of how many in the org is not known" in ended[0].out
    assert json.loads(ended[1].out)["contacts_in_org"] is None


def test_a_session_that_ends_is_no_trifle(
    server: DemoServer, proxy: Scripted, script: Script
) -> None:
    """401 of what is nice to know says that nothing else will be answered."""
    ended = [{"errorCode": "INVALID_SESSION_ID", "message": "Session expired or invalid"}]
    hide(proxy, server, "/recordCount", answer(401, ended))

    assert 1 == script("--count").code


def test_an_org_that_says_nothing_is_no_trifle(server: DemoServer, script: Script) -> None:
    """--sign-in by a session that exists has only that to show that it works."""
    server.close()

    assert 1 == script("--sign-in").code
