"""Say what an address means: where an org signs in, where its API is, whom a JWT is for."""

import ipaddress
import re
from urllib.parse import urlsplit

from salesforce_targeted.api.errors import ConfigurationError

# Where orgs live: commercial, government (Hyperforce for the US Department of Defense), China.
# Source: @salesforce/core, sfdcUrl.ts; Salesforce Help, "My Domain URL Formats".
CLOUDS = ("salesforce.com", "salesforce.mil", "sfcrmproducts.cn")
# The address that the browser shows -> that of the API, which the first does not serve. Source:
# Salesforce Help, "My Domain URL Formats".
_SHOWN_BY_BROWSERS = {
    "lightning.force.com": "my.salesforce.com",
    "my.salesforce-setup.com": "my.salesforce.com",
    "lightning.crmforce.mil": "my.salesforce.mil",
    "lightning.sfcrmapps.cn": "my.sfcrmproducts.cn",
}
# An Experience Cloud site, at which its members sign in. Source: the same page.
_SITES = ".my.site.com"
_TOP_LEVEL = (".com", ".mil", ".cn")
_HOST = re.compile(r"[A-Za-z0-9.\-]+|\[[0-9a-fA-F:.]+\]", re.ASCII)
_DOMAIN = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9-]+)*\Z", re.ASCII)
# An instance's own host, as they were before My Domain: na139; cs42 and usa9s are of sandboxes.
_INSTANCE = re.compile(r"[a-z]+\d+(?:\.my|\.sfdc-[a-z0-9]+)?\.salesforce\.com\Z")
_SANDBOX_INSTANCE = re.compile(
    r"(?:^|\.)(?:cs\d+(?:\.my)?|[a-z]{3}\d+s(?:\.sfdc-[a-z0-9]+)?)\.salesforce\.com\Z"
)
# What stands between the name and ".my" of a partitioned My Domain; all but production's and a
# Developer Edition's sign in at "test". Source: Salesforce Help, "My Domain URL Formats".
_LIKE_SANDBOXES = {"sandbox", "scratch"}


def origin(url: str, setting: str) -> str:
    """Reduce the URL to scheme, host and port; anything else in it is refused rather than dropped.

    The address that a browser shows of Lightning or Setup becomes that of the API.

    Raises:
        ConfigurationError: no https (http only on loopback), a path, a user, a query.
    """
    try:
        parts = urlsplit(url.strip())
        host, port = _api_host(parts.hostname or ""), parts.port
    except ValueError:
        raise ConfigurationError(f"{setting} is not a URL") from None
    more = parts.path not in ("", "/") or parts.query or parts.fragment or "\\" in url
    safe = parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host))
    shown = f"[{host}]" if ":" in host else host
    written = f"https://{parts.hostname}" if _DOMAIN.match(host) else "https://host"
    for wrong, why, remedy in (
        ("://" not in url, "does not begin with https://", "Write it as https://host."),
        (parts.username or parts.password, "must not hold a user or a password", ""),
        (more or not host, "must be an origin and no more", f"Write it as {written}."),
        (not safe, "must begin with https://", "http:// is accepted on loopback only."),
        (not _HOST.fullmatch(shown), "has a host that can't be one", ""),
    ):
        if wrong:
            raise ConfigurationError(f"{setting} {why}", remedy=remedy)
    return f"{parts.scheme}://{shown}" + (f":{port}" if port else "")


def _api_host(host: str) -> str:
    for shown, serving in _SHOWN_BY_BROWSERS.items():
        if host.endswith(f".{shown}"):
            return host.removesuffix(shown) + serving
    return host


def login_origin(login_url: str | None, domain: str | None) -> str:
    """Return where to sign in: SALESFORCE_LOGIN_URL if set, else what SALESFORCE_DOMAIN means.

    "login" (the default) and "test" are Salesforce's own hosts; any other name is a My Domain:
    "acme", "acme.my", "acme--uat.sandbox.my", "acme.my.salesforce.mil", the address that the
    browser shows, "acme.lightning.force.com", or a site's, "acme.my.site.com".

    Raises:
        ConfigurationError: neither a URL nor a domain name.
    """
    if login_url:
        return origin(login_url, "SALESFORCE_LOGIN_URL")
    name = _api_host((domain or "login").strip().lower())
    if name.endswith(_SITES) and _DOMAIN.match(name):
        return f"https://{name}"
    cloud = next((suffix for suffix in CLOUDS if name.endswith(f".{suffix}")), CLOUDS[0])
    name = name.removesuffix(f".{cloud}")
    if not _DOMAIN.match(name) or name.endswith(_TOP_LEVEL):
        raise ConfigurationError(
            "SALESFORCE_DOMAIN is not a Salesforce domain",
            remedy="Give login, test or a My Domain name such as acme.my; a URL belongs into "
            "SALESFORCE_LOGIN_URL.",
        )
    if name not in ("login", "test") and not name.endswith(".my"):
        # "acme" means acme.my; a sandbox is acme--uat.sandbox.my, and "acme--uat" alone isn't
        # served.
        name += ".sandbox.my" if "--" in name and "." not in name else ".my"
    return f"https://{name}.{cloud}"


def audience(base: str) -> str:
    """Return the audience of a JWT: one for production, one for sandboxes, of the same cloud.

    A site's own address, and a cloud that is not known here, is its own audience; the setting
    ``audience`` says otherwise.
    Sources: "OAuth 2.0 JWT Bearer Flow"; MetaCI PR 1517 (scratch orgs); sfdx-core, sfdcUrl.ts (the
    hosts of instances); Salesforce Help, "My Domain" (two hyphens part a sandbox's name from its
    org's).
    """
    host = base.removeprefix("https://")
    if _SANDBOX_INSTANCE.search(host):
        return "https://test.salesforce.com"
    if _INSTANCE.match(host):
        return "https://login.salesforce.com"
    for suffix in CLOUDS:
        if host.endswith(f".my.{suffix}"):
            name, _, kind = host.removesuffix(f".my.{suffix}").rpartition(".")
            sandbox = kind in _LIKE_SANDBOXES or "--" in (name or kind)
            return f"https://{'test' if sandbox else 'login'}.{suffix}"
    return base


def is_loopback(host: str) -> bool:
    """Return whether the host is this machine itself, by name or address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
