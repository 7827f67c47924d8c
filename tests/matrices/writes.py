"""Every write that simple-salesforce can send: recorded once, then refused at our door one by one.

The attempts and the disguises in which each is tried are those of tests/api/security/test_writes_refused.py.
"""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path

from tests.matrices.table import Findings, Table

COLUMNS = ("methods", "requests", "attempts", "refused", "connections")
LEGEND = """\
methods      calls of simple-salesforce that change an org, by its class
requests     what they sent when an org let them; each is then sent through our client
attempts     the request as it was, bare, with the method in disguise, inside composite
refused      by ReadOnlyError, before anything was sent
connections  made to the org meanwhile: none"""


def findings(tell: Callable[[str], None]) -> Findings:
    """Try them all."""
    from salesforce_targeted.api.errors import ReadOnlyError
    from tests.api.security.test_writes_refused import disguises, recordings, watched_door

    counts: dict[str, dict[str, int]] = {}
    broken: list[str] = []
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of simple-salesforce's SOAP library
        upload = Path(folder, "file")
        upload.write_text("x")
        recorded = recordings(upload)
    for name, sent in recorded.items():
        row = counts.setdefault(name.split(".")[0], dict.fromkeys(COLUMNS, 0))
        row["methods"] += 1
        row["requests"] += len(sent)
        with watched_door() as (client, connections):
            for request in (disguise for each in sent for disguise in disguises(each)):
                row["attempts"] += 1
                try:
                    client.send(request)
                except ReadOnlyError:
                    row["refused"] += 1
                    continue
                except Exception as error:
                    broken.append(f"{name}: {request.call} got as far as {type(error).__name__}")
                else:
                    broken.append(f"{name}: {request.call} was sent")
            row["connections"] += connections()
        if not sent:
            broken.append(f"{name} sent nothing")
        tell(f"writes: {name}: {len(sent)} requests")
    table = Table("Write attempts", COLUMNS, "class")
    for name, row in counts.items():
        for column, count in row.items():
            table.put(name, column, str(count))
    total = {column: sum(row[column] for row in counts.values()) for column in COLUMNS}
    if total["connections"]:
        broken.append(f"{total['connections']} connections were made")
    totals = (
        f"{total['refused']} of {total['attempts']} write attempts refused,"
        f" {total['connections']} connections made"
    )
    return Findings("writes", [table], LEGEND, totals, broken)
