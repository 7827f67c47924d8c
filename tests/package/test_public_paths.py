"""The paths that users import keep working, whatever moves behind them."""

from __future__ import annotations

import importlib
import importlib.metadata
import inspect
import runpy

import pytest

from salesforce_targeted.api.client import SalesforceClient

# Module to the names that users take from it. To take one away is a breaking change: the
# changelog says so, and the version's first number counts up.
PUBLIC = {
    "salesforce_targeted": "salesforce_targeted targeted Ledger Scope __version__",
    "salesforce_targeted.source": "salesforce_targeted",
    "salesforce_targeted.any_object": "targeted",
    "salesforce_targeted.sources.salesforce_targeted": "salesforce_targeted",
    "salesforce_targeted.api.client": "SalesforceClient",
    "salesforce_targeted.api.credentials": (
        "ClientCredentials JwtCredentials PasswordCredentials RefreshTokenCredentials"
        " SalesforceCredentials SessionCredentials SfOrgCredentials SoapCredentials"
    ),
    "salesforce_targeted.api.errors": (
        "AuthenticationError BulkJobError ConfigurationError NotFoundError PermissionDeniedError"
        " QueryError QuotaExceededError ReadOnlyError SalesforceError UnavailableError"
    ),
    "salesforce_targeted.api.limits": "DOCUMENTED TINY Limits",
    "salesforce_targeted.command_line": "main",
    "salesforce_targeted.demo_org": "DemoOrg serve",
}


@pytest.mark.parametrize(
    ("module", "name"), [(module, name) for module in PUBLIC for name in PUBLIC[module].split()]
)
def test_a_public_name_is_where_it_was(module: str, name: str) -> None:
    """Users' imports work: each name is in its module."""
    assert hasattr(importlib.import_module(module), name)


def test_the_package_offers_what_is_public() -> None:
    """``from salesforce_targeted import *`` brings the documented names, and no others."""
    package = importlib.import_module("salesforce_targeted")

    assert set(PUBLIC["salesforce_targeted"].split()) == set(package.__all__)


def test_the_client_is_defined_where_it_is_imported_from() -> None:
    """Tracebacks and documentation name ``api.client``; one request is all that ``send`` needs."""
    _, request, *rest = inspect.signature(SalesforceClient.send).parameters.values()

    assert "salesforce_targeted.api.client" == SalesforceClient.__module__
    assert "request" == request.name
    needed = [value for value in rest if value.default is inspect.Parameter.empty]
    assert [] == [value.name for value in needed if value.kind is not value.VAR_KEYWORD]


@pytest.mark.parametrize("module", ["salesforce_targeted", "salesforce_targeted.demo_org"])
def test_a_module_runs_as_a_program(
    module: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """``python -m`` starts the command line, and the demo org."""
    monkeypatch.setattr("sys.argv", [module, "--help"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_module(module, run_name="__main__")

    assert 0 == ended.value.code
    assert capsys.readouterr().out.startswith("usage: ")


def test_the_installed_command_is_the_command_line() -> None:
    """``targeted-contacts`` is ``salesforce_targeted.command_line:main``; dlt finds the sources."""
    points = importlib.metadata.distribution("dlt-source-salesforce-targeted").entry_points
    values = {point.name: point.value for point in points}

    assert "salesforce_targeted.command_line:main" == values["targeted-contacts"]
    assert "salesforce_targeted.sources" == values["salesforce_targeted"]
