"""The whole of api/ against an org as it comes: same rows every way, calls as the org counts."""

from dataclasses import replace

import pytest

from salesforce_targeted.api import credentials, errors, soql
from salesforce_targeted.api.client import SalesforceClient
from salesforce_targeted.demo_org import DemoOrg, serve
from salesforce_targeted.demo_org.faults.faults import ACTIONS, Fault
from tests.support.bulk_pages import bulk_pages
from tests.support.responses import collections, describes
from tests.support.sign_in import credentials as credentials_of

FIELDS = ["Id", "LastName", "Email"]
CONTACTS = soql.select(FIELDS, "Contact")
# What ends well: tried again by the client, or signed in again.
MENDED = {
    "html_503", "maintenance_200_html", "unavailable_503", "unknown_500", "http_429", "empty_200", "garbage_200",
    "expire_session", "invalid_auth_header", "concurrent_403", "reset_before", "reset_midbody", "short_body",
    "cut_gzip", "slow_drip", "hang",
}  # fmt: skip
KINDS = (
    "query",
    "query_more",
    "collections",
    "describe",
    "composite",
    "bulk_create",
    "bulk_poll",
    "bulk_results",
)


@pytest.fixture
def org():
    """Provide a small org whose query pages are small; nothing but reading may have been tried in it."""
    org = DemoOrg.tiny()
    org.page_rows = 7
    yield org

    assert [] == org.unexpected
    assert [] == org.writes_attempted


@pytest.fixture
def signed_in(org, pauses):
    """Provide a client of it; its pauses are not really made."""
    with serve(org, port=0) as server:
        spec = credentials.PasswordCredentials(
            client_id=org.client_id, client_secret=org.client_secret, username=(user := next(iter(org.users_by_name))),
            password=org.users_by_name[user], security_token=org.security_token, login_url=server.url,
        )  # fmt: skip
        client = SalesforceClient(spec, sleep=pauses.append, timeout_seconds=3)
        client.limits = replace(client.limits, bulk_rows_per_page=9)
        yield client
        client.close()


def answers(client, ids) -> dict:
    """Ask in every way there is; values by way."""
    return {
        "query": {r["Id"]: r for r in client.records(CONTACTS)},
        "collections": {r["Id"]: r for r in collections(client, "Contact", ids, FIELDS) if r},
        "bulk": sum(len(page) for page in bulk_pages(client, CONTACTS)),
        "describe": len(client.describe("Contact")["fields"]),
        "describes": sorted(describes(client, ["Task", "Contact"])),
    }


def test_the_same_rows_every_way(org, signed_in):
    """Query pages, Collections and Bulk agree; calls are what the org counted."""
    shown = org.rows("Contact")
    by_way = answers(signed_in, list(shown))

    assert (
        {i: {f: row[f] for f in FIELDS} for i, row in shown.items()}
        == by_way["query"]
        == by_way["collections"]
    )
    assert len(shown) == by_way["bulk"]
    assert org.calls == signed_in.meter.calls
    assert (org.billed, org.daily_limit) == (signed_in.meter.usage[0], signed_in.meter.usage[1])


@pytest.mark.brief(20)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("action", ACTIONS)
def test_no_misfortune_costs_a_row(action, kind, org, signed_in):
    """One misfortune on one call: the same answers as without it, or an error of ours. Never fewer rows."""
    if not {"*", kind} & set(ACTIONS[action].kinds):
        return
    ids = list(org.rows("Contact"))
    expected = answers(signed_in, ids)
    # Not from the demo org's own counting: what these 40 contacts are is known before the fault.
    assert len(ids) == expected["bulk"] == len(expected["query"])
    argument = {"slow_drip": 0.2, "hang": 0.2, "invalid_field_400": "Email"}.get(action)
    fault = org.faults.add(Fault(kind, action, argument=argument))
    try:
        outcome = answers(signed_in, ids)
    except errors.SalesforceError as error:
        outcome = error

    assert fault.done >= 1
    if isinstance(outcome, errors.SalesforceError):
        assert action not in MENDED, f"{action} on {kind} wasn't mended: {outcome}"
        assert outcome.remedy
    else:
        assert expected == outcome


@pytest.mark.parametrize(
    "way", ["client credentials", "JWT", "refresh", "rotated", "password", "SOAP", "session"]
)
def test_every_way_to_sign_in(way, org, pauses, tmp_path):
    """Each of the six ways gets a session that works, and gets another when it ends (but the given one)."""
    ((user, password),) = org.users_by_name.items()
    app = {"SALESFORCE_CLIENT_ID": org.client_id, "SALESFORCE_CLIENT_SECRET": org.client_secret}
    person = {
        "SALESFORCE_USERNAME": user,
        "SALESFORCE_PASSWORD": password,
        "SALESFORCE_SECURITY_TOKEN": org.security_token,
    }
    org.rotate_refresh_tokens = way == "rotated"
    refresh = {
        "SALESFORCE_REFRESH_TOKEN": next(iter(org.refresh_tokens)),
        "SALESFORCE_REFRESH_TOKEN_FILE": str(tmp_path / "t"),
    }
    with serve(org, port=0) as server:
        environ = {"SALESFORCE_LOGIN_URL": server.url} | {
            "client credentials": app, "refresh": app | refresh, "rotated": app | refresh, "password": app | person,
            "SOAP": person, "JWT": {"SALESFORCE_CLIENT_ID": org.client_id, "SALESFORCE_USERNAME": user, "SALESFORCE_PRIVATE_KEY": new_key()},
            "session": {"SALESFORCE_INSTANCE_URL": server.url, "SALESFORCE_ACCESS_TOKEN": server.token},
        }[way]  # fmt: skip
        client = SalesforceClient(credentials_of(environ), sleep=pauses.append)
        before = client.count(soql.select([soql.aggregate("COUNT")], "Contact"))
        if way != "session":
            org.expire_sessions()

        assert before == client.count(soql.select([soql.aggregate("COUNT")], "Contact"))
        client.close()


def new_key() -> str:
    """Make a private key."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    form = (
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return key.private_bytes(*form).decode()


@pytest.mark.parametrize("more", [0, 2_500, 6_000, 12_000])
def test_a_long_token_leaves_addresses_less_room(more: int) -> None:
    """Refused once, a query and those that are no shorter travel in a body; short ones do not."""
    org = DemoOrg(540, 10, 20)
    org.token_secret = "x" * more
    ids = sorted(org.rows("Contact"))
    several, few = (soql.select(["Id"], "Contact", soql.id_in(ids[:n])) for n in (540, 5))
    with serve(org) as server:
        client = SalesforceClient(credentials.SessionCredentials(server.url, org.issue_token()))
        reads = [client.records(several) for _ in range(3)]
        client.records(few)

    refused = bool(more)
    assert [ids] * 3 == [sorted(row["Id"] for row in rows) for rows in reads]
    assert org.calls["composite"] == 3 * refused
    assert org.calls["query"] == 4 - 3 * refused  # the edge bills nothing
