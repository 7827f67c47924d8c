"""Make dlt's clients of a pipeline's destination; its configuration is resolved once in a run.

dlt resolves all of it again for each client, and reads the schema's file again: more than a quarter
of a repeat's CPU went there.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from weakref import WeakKeyDictionary

import dlt
from dlt.common.destination.client import JobClientBase
from dlt.destinations.sql_client import WithSchemas

# Pipeline to the first client of the run; None before there is one.
_first: WeakKeyDictionary[dlt.Pipeline, JobClientBase | None] = WeakKeyDictionary()


@contextmanager
def resolved_once(pipeline: dlt.Pipeline) -> Iterator[None]:
    """Keep the destination's configuration until the block ends.

    Not longer: the next run of a process may find another password.
    """
    _first[pipeline] = None
    try:
        yield
    finally:
        _first.pop(pipeline, None)


def client_of(pipeline: dlt.Pipeline, schema_name: str | None = None) -> JobClientBase:
    """Return a new client of the pipeline's destination, as ``pipeline.destination_client`` does.

    Args:
        schema_name: A schema of the pipeline; its default one without.

    Raises:
        ConfigFieldMissingException: a setting of the destination is missing.
    """
    first, name = _first.get(pipeline), schema_name or pipeline.default_schema_name
    if first is None:
        first = pipeline.destination_client(schema_name or "")
        if pipeline in _first:
            _first[pipeline] = first
        return first
    # Without a name the schema only says how names are spelt, as the first client's does.
    same = schema_name is None and name in {None, first.schema.name}
    schema = first.schema if same else pipeline.schemas[name or ""]
    client: JobClientBase = pipeline.destination.client(schema, first.config)
    return client


def sql_client_of(pipeline: dlt.Pipeline) -> Any:
    """Return a new SQL client of the pipeline's dataset, as ``pipeline.sql_client`` does.

    Raises:
        SqlClientNotAvailable: the destination takes no SQL.
    """
    client = getattr(client_of(pipeline), "sql_client", None)
    # To read files dlt makes views of all tables first.
    return pipeline.sql_client() if client is None or isinstance(client, WithSchemas) else client
