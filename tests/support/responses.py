"""Responses that several tests have an org give, and what they ask for."""

import json

from salesforce_targeted.api import endpoints, readers, soql
from salesforce_targeted.api.ids import to_18
from salesforce_targeted.api.models import Response

ID, OTHER = "003D000000QOMyqIAH", "003D000000QOMysIAH"
SELECT = soql.select(["Id"], "Contact")
OK = {"DailyApiRequests": {"Max": 15000, "Remaining": 14998}}


def rows(*ids, **frame):
    """Make a query's answer."""
    return {
        "totalSize": len(ids),
        "done": True,
        "records": [{"attributes": {}, "Id": i} for i in ids],
        **frame,
    }


def answered(body, status=200) -> Response:
    """Make an answer of JSON."""
    return Response(status, {}, json.dumps(body).encode())


def collections(client, object_name, ids, fields):
    """Read the records with these ids in one call, in their order; None for one not shown."""
    asked = [to_18(id_) for id_ in ids]
    request = client.collection_request(object_name, ids, fields)
    rows = client.send(request, lambda response: readers.records_by_id(response, asked))
    return [rows.get(id_) for id_ in asked]


def describes(client, names):
    """Describe several objects in one call; an error where one was refused."""
    parts = client.composite([endpoints.describe(client.version, name) for name in names])
    return {name: readers.described(of) for name, of in zip(names, parts, strict=True)}
