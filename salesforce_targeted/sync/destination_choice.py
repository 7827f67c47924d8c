"""Choose where the data goes, before anything is read from the org.

Rule: people land in a DuckDB file on this machine only where nothing names a database. What seems
to name one, and stands where dlt does not look for it, stops the run.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Optional

import dlt
from dlt.common.configuration import with_config

from salesforce_targeted.api.credentials.config_keys import has, pipeline_name
from salesforce_targeted.api.errors import ConfigurationError

DUCKDB_FILE = "targeted_contacts.duckdb"
_TABLES = ("destination", "destinations", "postgres", "postgresql")
# What says where a database is, and not how it is loaded.
_PLACES = {
    "credentials", "host", "database", "username", "password", "destination_type", "bucket_url",
}  # fmt: skip
# With single underscores: only what no other program's variable is called. Kubernetes sets
# POSTGRES_PORT and POSTGRES_SERVICE_HOST wherever a service is called postgres.
_VARIABLE = re.compile(
    r"destinations?_(\w+_)?credentials|destinations?_postgres\w*|postgres(ql)?_credentials"
)


def destination(chosen: str | None, *, demo: bool) -> Any:
    """Choose where the data goes.

    Returns:
        A destination or its name, or None where dlt's own configuration names one.

    Raises:
        ConfigurationError: none is chosen, and something names one where dlt does not look.
    """
    if chosen and chosen != "duckdb":
        return chosen
    if not chosen and not demo:
        if _names_a_destination(pipeline_name=pipeline_name() or ""):
            return None
        if has("destination.postgres.credentials"):
            return "postgres"
    if has("destination.duckdb.credentials"):
        return "duckdb"
    if not chosen and not demo:
        _refuse_unchosen()
    # An explicit path: dlt's own default remembers the folder of the first run.
    return dlt.destinations.duckdb(str(Path.cwd() / DUCKDB_FILE))


# Sections as dlt.pipeline() has them.
@with_config(sections=("pipelines",), section_arg_name="pipeline_name")
def _names_a_destination(
    pipeline_name: str,  # noqa: ARG001  # dlt looks in the section that it names
    destination_type: Optional[str] = None,
    destination_name: Optional[str] = None,
) -> bool:
    return bool(destination_type or destination_name)


def _refuse_unchosen() -> None:
    """Refuse what names a database that nothing chooses: where it stands, where it belongs."""
    for where, (table, *keys) in _settings():
        named = table.removesuffix("ql") if table.startswith("postgres") else ""
        if table.startswith("destination") and keys and keys[0] not in _PLACES:
            named = keys[0].replace("postgresql", "postgres")
        if (table, named) == ("destination", "duckdb") or not (_PLACES & set(keys)):
            continue
        if named in ("", "postgres"):
            remedy = (
                "For PostgreSQL it belongs under [destination.postgres.credentials] in"
                " .dlt/secrets.toml, or into DESTINATION__POSTGRES__CREDENTIALS."
            )
        else:
            remedy = f"If it is meant: --destination {named}."
        raise ConfigurationError(
            f"{where} names a database, and no destination is chosen: the data would go to a"
            " DuckDB file here",
            remedy=f"{remedy} To choose the file: --destination duckdb, or destination_type ="
            f' "duckdb" under [pipelines.{pipeline_name()}].',
        )


def _settings() -> Iterator[tuple[str, list[str]]]:
    """Yield the settings that may be a database's: where each stands, and the words of its name."""
    own = f"{pipeline_name()}__"
    for variable in os.environ:
        name = variable.lower().removeprefix(own)
        words = name.split("_" if _VARIABLE.fullmatch(name) else "__")
        if words[0] in _TABLES:
            yield variable, [word for word in words if word]
    for provider in dlt.config.config_providers:
        for scope in ("", pipeline_name() or ""):
            for table in _TABLES:
                value, _ = provider.get_value(table, Any, scope)
                for path in _paths(value, [table]):
                    section = ".".join([*([scope] if scope else []), *path[:-1]])
                    yield f"[{section}] in {provider.name}", path
    # For everything that has credentials: an address with a scheme is a database's.
    if re.match(r"(?!https?:)[a-z0-9+]+://", str(dlt.config.get("credentials"))):
        yield "CREDENTIALS", ["destination", "credentials"]


def _paths(value: Any, path: list[str]) -> Iterator[list[str]]:
    if not isinstance(value, dict):
        yield path
        return
    for key, inner in value.items():
        yield from _paths(inner, [*path, key.lower()])
