"""Say what the org says of itself: versions, objects, fields, limits.

Source: REST API Developer Guide, "Versions", "Describe Global", "sObject Describe", "Limits".
"""

from __future__ import annotations

from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from salesforce_targeted.demo_org.http.exchange import Reply, Request, reply
from salesforce_targeted.demo_org.instants import END
from salesforce_targeted.demo_org.refusals import Refused, not_found
from salesforce_targeted.demo_org.schema.activity_kinds import BY_RELATIONS
from salesforce_targeted.demo_org.storage.state import OBJECTS_WITHOUT_BULK, OrgState

if TYPE_CHECKING:
    from salesforce_targeted.demo_org.storage.tables import Table

FIRST_VERSION = 31
FIRST_EVER = 7  # older than FIRST_VERSION: retired, 410
PLURALS = {"Opportunity": "Opportunities"}


def versions(org: OrgState) -> Reply:
    """``GET /services/data``: needs no session."""
    numbers = range(FIRST_VERSION, org.traits.newest_version + 1)
    seasons = ("Winter", "Spring", "Summer")
    return reply([
        {"label": f"{seasons[n % 3 - 1]} '{(n + 13) // 3 + 0:02}", "url": f"/services/data/v{n}.0",
         "version": f"{n}.0"} for n in numbers
    ])  # fmt: skip


def resources(version: str) -> Reply:
    """``GET /services/data/vXX.X``."""
    names = ("sobjects", "query", "queryAll", "limits", "composite", "jobs")
    return reply({name: f"/services/data/v{version}/{name}" for name in names})


def _object(table: Table, version: str) -> dict[str, Any]:
    base = f"/services/data/v{version}/sobjects/{table.name}"
    relation = table.name in BY_RELATIONS
    label = table.name.removesuffix("__c")
    return {
        "activateable": False, "associateEntityType": None, "createable": not relation,
        "custom": label != table.name, "customSetting": False, "deepCloneable": False,
        "deletable": not relation, "deprecatedAndHidden": False, "feedEnabled": not relation,
        "hasSubtypes": False, "isInterface": False, "isSubtype": False,
        "keyPrefix": None if relation else table.numbering.prefix,
        "label": label, "labelPlural": PLURALS.get(label, label + "s"), "layoutable": not relation,
        "mergeable": table.name in ("Contact", "Lead", "Account"), "mruEnabled": not relation,
        "name": table.name, "queryable": True, "replicateable": table.name not in
        OBJECTS_WITHOUT_BULK, "retrieveable": True, "searchable": not relation,
        "triggerable": not relation, "undeletable": not relation, "updateable": not relation,
        "urls": {"sobject": base, "describe": base + "/describe",
                 "rowTemplate": base + "/{ID}"},
    }  # fmt: skip


def global_describe(org: OrgState, version: str) -> Reply:
    """``GET sobjects``."""
    tables = [t for t in org.tables.values() if org.object(t.name) is not None]
    objects = [_object(table, version) for table in tables]
    return reply({"encoding": "UTF-8", "maxBatchSize": 200, "sobjects": objects})


def basic(org: OrgState, version: str, name: str) -> Reply:
    """``GET sobjects/<Object>``."""
    table = org.object(name)
    if table is None:
        raise not_found()
    return reply({"objectDescribe": _object(table, version), "recentItems": []})


def describe(org: OrgState, request: Request, version: str, name: str) -> Reply:
    """``GET sobjects/<Object>/describe``: hidden fields are absent, a hidden object is 404."""
    table = org.object(name)
    if table is None:
        raise not_found()
    since = request.headers.get("if-modified-since")
    if since and not table.described_at and parsedate_to_datetime(since) >= END:
        return Reply(304)
    entries = list(table.visible_entries().values())
    return reply(_object(table, version) | {
        "actionOverrides": [], "childRelationships": [], "compactLayoutable": False,
        "defaultImplementation": None, "extendedBy": None, "extendsInterfaces": None,
        "fields": entries, "implementedBy": None, "implementsInterfaces": None,
        "listviewable": None, "lookupLayoutable": None, "namedLayoutInfos": [],
        "networkScopeFieldName": None, "recordTypeInfos": [], "searchLayoutable": False,
        "sobjectDescribeOption": "FULL", "supportedScopes": [],
    })  # fmt: skip


def _view_setup(org: OrgState) -> None:
    if not org.traits.view_setup:
        message = "This resource requires the View Setup and Configuration permission"  # [K] text
        raise Refused(403, "INSUFFICIENT_ACCESS", message)


def limits(org: OrgState) -> Reply:
    """``GET limits``."""
    _view_setup(org)
    left = max(0, org.daily_limit - org.daily_used)
    jobs_left = max(0, 10_000 - org.traits.bulk_jobs_used - len(org.jobs))
    return reply({
        "DailyApiRequests": {"Max": org.daily_limit, "Remaining": left},
        "DailyBulkApiBatches": {"Max": 15_000, "Remaining": 15_000},
        "DailyBulkV2QueryFileStorageMB": {"Max": 976_562, "Remaining": 976_562},
        "DailyBulkV2QueryJobs": {"Max": 10_000, "Remaining": jobs_left},
        "DataStorageMB": {"Max": 5_000, "Remaining": 4_000},
    })  # fmt: skip


def record_count(org: OrgState, request: Request) -> Reply:
    """``GET limits/recordCount?sObjects=``: approximate on a real org, exact here."""
    _view_setup(org)
    names = [n for n in request.params.get("sObjects", "").split(",") if n]
    tables = [org.object(name) for name in names] if names else list(org.tables.values())
    return reply({"sObjects": [{"count": len(t), "name": t.name} for t in tables if t]})
