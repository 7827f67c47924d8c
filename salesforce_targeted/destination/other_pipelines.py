"""Learn of a dataset what pipelines of other names noted of it, before this one's first run there.

dlt keeps state and schema for each pipeline apart. To a pipeline that is new to a dataset its
tables would look as if nothing were held: another org's rows would be mixed in, rows of another
key added, and numbers rounded into columns of another type. So would they to a source of another
name (``clone(name=…)``), for schema and state are kept by that.
"""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import dlt
from dlt.common.destination.client import StorageSchemaInfo, WithStateSync
from dlt.common.destination.exceptions import DestinationUndefinedEntity
from dlt.common.schema import Schema
from dlt.common.versioned_state import decompress_state

from salesforce_targeted.destination.clients import client_of


def adopt(pipeline: dlt.Pipeline, schema: Schema, table: str) -> dict[str, Any]:
    """Take over how the dataset's tables were made, where pipelines of other names loaded them.

    Args:
        schema: The source's, into which their tables are taken.
        table: By which a source of another name is told that loaded them.

    Returns:
        The state of the source as the last of them kept it; empty where there is none.
    """
    client = client_of(pipeline)
    if not isinstance(client, WithStateSync) or not hasattr(client, "sql_client"):
        return {}
    with client:
        if not client.is_storage_initialized():
            return {}
        stored = client.get_stored_schema(schema.name) or _schema_with(client, schema, table)
        if stored is None:
            return {}
        for table_schema in Schema.from_stored_schema(json.loads(stored.schema)).data_tables():
            schema.update_table(table_schema)
        states = []
        with suppress(DestinationUndefinedEntity):
            kept = client.sql_client.make_qualified_table_name(schema.state_table_name)
            names: Any = client.sql_client.execute_sql(
                f"SELECT DISTINCT pipeline_name FROM {kept}"  # noqa: S608
            )
            states = [client.get_stored_state(name) for (name,) in names]
    of_source: list[dict[str, Any]] = [
        decompress_state(info.state).get("sources", {}).get(stored.schema_name, {})
        for info in sorted(filter(None, states), key=lambda info: str(info.created_at))
    ]
    return next((state for state in reversed(of_source) if state), {})


def _schema_with(client: Any, schema: Schema, table: str) -> StorageSchemaInfo | None:
    """Return the schema of another name by which a table was loaded."""
    name = schema.naming.normalize_table_identifier(table)
    versions = client.sql_client.make_qualified_table_name(schema.version_table_name)
    rows: Any = ()
    with suppress(DestinationUndefinedEntity):  # a dataset that others made
        rows = client.sql_client.execute_sql(f"SELECT DISTINCT schema_name FROM {versions}")  # noqa: S608
    schemas = (client.get_stored_schema(schema_name) for (schema_name,) in rows)
    return next((info for info in schemas if name in json.loads(info.schema)["tables"]), None)
