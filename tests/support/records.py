"""Describes and records by id, read as the library reads them: of one request, or of several."""

from __future__ import annotations

from collections.abc import Sequence

from salesforce_targeted.api import endpoints, readers
from salesforce_targeted.api.client import SalesforceClient
from salesforce_targeted.api.errors import SalesforceError
from salesforce_targeted.api.models import Record


def describes(
    client: SalesforceClient, names: Sequence[str]
) -> dict[str, Record | SalesforceError]:
    """Describe several objects in one ``composite``; an error where one was refused."""
    responses = client.composite([endpoints.describe(client.version, name) for name in names])
    return dict(zip(names, map(readers.described, responses), strict=True))


def collections(
    client: SalesforceClient, object_name: str, ids: Sequence[str], fields: Sequence[str]
) -> list[Record | None]:
    """Read the records with these ids, in their order; None for one that isn't shown."""
    request, asked = client.collection_request(object_name, ids, fields)
    return client.send(request, lambda response: readers.collection_in_order(response, asked))
