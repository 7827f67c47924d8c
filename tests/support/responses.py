"""Responses that several tests have an org give, and what they ask for."""

import json

from salesforce_targeted.api import soql
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
