"""Where to sign in: the address that the settings stand for, or none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from salesforce_targeted.api import errors
from salesforce_targeted.api.addresses import login_origin, origin


@pytest.mark.parametrize(
    ("url", "domain", "expected"),
    [
        (None, None, "https://login.salesforce.com"),
        (None, "login", "https://login.salesforce.com"),
        (None, "test", "https://test.salesforce.com"),
        (None, "acme", "https://acme.my.salesforce.com"),
        (None, "acme.my", "https://acme.my.salesforce.com"),
        (None, "Acme.my.salesforce.com", "https://acme.my.salesforce.com"),
        (None, "acme--uat.sandbox.my", "https://acme--uat.sandbox.my.salesforce.com"),
        (None, "acme.lightning.force.com", "https://acme.my.salesforce.com"),
        (
            None,
            "acme--uat.sandbox.lightning.force.com",
            "https://acme--uat.sandbox.my.salesforce.com",
        ),
        (None, "acme.my.salesforce.mil", "https://acme.my.salesforce.mil"),
        (None, "acme.lightning.crmforce.mil", "https://acme.my.salesforce.mil"),
        (None, "test.salesforce.mil", "https://test.salesforce.mil"),
        (None, "acme.my.sfcrmproducts.cn", "https://acme.my.sfcrmproducts.cn"),
        (None, "acme.lightning.sfcrmapps.cn", "https://acme.my.sfcrmproducts.cn"),
        (None, "acme.my.salesforce-setup.com", "https://acme.my.salesforce.com"),
        (None, "acme.my.site.com", "https://acme.my.site.com"),
        ("https://acme.lightning.force.com", None, "https://acme.my.salesforce.com"),
        ("https://acme.my.salesforce-setup.com", None, "https://acme.my.salesforce.com"),
        (None, "acme--uat", "https://acme--uat.sandbox.my.salesforce.com"),
        ("https://acme.my.salesforce.com/", "test", "https://acme.my.salesforce.com"),
        ("http://127.0.0.1:8000", None, "http://127.0.0.1:8000"),
        ("http://localhost:8000", None, "http://localhost:8000"),
        ("http://[::1]:8000", None, "http://[::1]:8000"),
    ],
)
def test_where_to_sign_in(url, domain, expected):
    """The URL wins over the domain; a My Domain is completed."""
    assert expected == login_origin(url, domain)


@pytest.mark.parametrize(
    ("url", "domain"),
    [
        ("http://acme.my.salesforce.com", None), ("http://127.0.0.1.evil.example", None), ("http://localhost.evil.example", None),
        ("http://10.0.0.1", None), ("https://u:p@acme.my.salesforce.com", None), ("https://acme/x", None), ("https://a?b", None),
        ("https://a#b", None), ("acme", None), ("https://", None), ("https://a:b", None), ("https://evil\\@a", None),
        (None, "https://acme"), (None, "a/b"), (None, "a@b"), (None, "a..b/"), (None, "-a"), (None, "evil.example/#"),
        (None, "acme.my.salesforce.com.cn"), (None, "acme--c.vf.force.com"), (None, "sso.acme.com"),
    ],
)  # fmt: skip
def test_where_not_to_sign_in(url, domain):
    """Anything but an https origin, or a domain's name, is refused rather than mended."""
    with pytest.raises(errors.ConfigurationError):
        login_origin(url, domain)


@given(st.text(max_size=40))
def test_any_text_is_an_origin_or_refused(text):
    """No URL makes it fail otherwise, and what passes is https or loopback without path and user."""
    try:
        url = origin("https://" + text, "X")
    except errors.ConfigurationError:
        return
    assert url.startswith("https://")
    assert not set("/@?#\\ \t\r\n") & set(url.removeprefix("https://"))
