"""Compare the org with the one that the dataset was loaded from, before anything is written.

An org that shows itself otherwise than before would look like people who stopped working: a
permission that is lost for one run hides an object, another setting makes relations of tasks. What
the org was like is kept in the source's state, with the load.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from salesforce_targeted.api.client import SalesforceClient
from salesforce_targeted.api.errors import ConfigurationError, SalesforceError
from salesforce_targeted.destination.held_tables import HeldTables
from salesforce_targeted.destination.org_identity import ORG_FACTS, held_org, note, org_of
from salesforce_targeted.destination.other_pipelines import adopt
from salesforce_targeted.destination.table_names import CONTACTS, OBJECTS, RELATIONS, TASKS, USERS
from salesforce_targeted.extract.org import VisibleOrg
from salesforce_targeted.target import CONTACT, Junction, Target

# In the source's state: where the last run loaded, and what it found the org to be like.
HELD_IN, JUNCTION = "held_in", "junction"
_SHOWN, _PREFIX, _FILLED_BY, _WHERE = "objects_shown", "key_prefix", "filled_by", "counted_where"


class OtherOrgError(ConfigurationError):
    """Refuse a dataset that belongs to another org than the credentials."""

    default_remedy = "Choose another --dataset or --destination, or that org's credentials."


class ChangedOrgError(SalesforceError):
    """Refuse an org that shows itself otherwise than before; nothing was marked or loaded."""

    default_remedy = (
        "Check the user's permission sets: the object must be readable again. If the org really"
        " changed, run again with --allow-shrink."
    )


def check_source(target: Target, state: Mapping[str, Any]) -> None:
    """Check that the table is this source's, whose records would leave where another one ran.

    Raises:
        ConfigurationError: another source fills the table.
    """
    filled_by, shown = state.get(_FILLED_BY), state.get(_SHOWN)
    if filled_by is None and shown is not None:  # version 0.1 kept the objects alone
        ways = (target.discovered_by, target.discovered_by.fallback)
        ours = {way.object_name for way in ways if way is not None} | {None}
        if state.get(JUNCTION) not in ours or target.object_name not in shown:
            filled_by = f"what came of {', '.join(shown)}"
    if filled_by is not None and filled_by.casefold() != target.origin.casefold():
        raise ConfigurationError(
            f"{target.table} holds {filled_by}, and this source is {target.origin}",
            remedy=f"Give one of them a table of its own, such as table={target.table + '_2'!r};"
            ' to fill this one in another way, run once with refresh="drop_sources".',
        )


def check_key(target: Target, held: HeldTables, id_column: str) -> None:
    """Check that the key of the tables is called what it was when they were made.

    Raises:
        ConfigurationError: it was called otherwise.
    """
    for table in (target.table, RELATIONS, TASKS, USERS):
        columns = held.column_hints(table).items()
        keys = [name for name, hints in columns if hints.get("primary_key")]
        if keys and held.name(id_column) not in keys:
            raise ConfigurationError(
                f"id_column was {keys[0]!r} when this dataset was made, and is {id_column!r} now",
                remedy="Set it back, or load into another dataset by a pipeline of another name.",
            )


def check_dataset(held: HeldTables, state: Mapping[str, Any], target: Target) -> bool:
    """Check that what the last run compared with is what it then loaded into.

    dlt takes up ``pipeline.run(dataset_name=…)`` once the source has been read: what the dataset of
    the run before holds is not loaded, and dlt never makes those tables.

    Returns:
        Whether the state is of another dataset, so that its cursors lie beyond what is held: dlt
        keeps the local state of a pipeline that changes datasets, where that is newer.

    Raises:
        ConfigurationError: it loaded into another dataset.
    """
    where = held.location
    before = state.get(HELD_IN, where)
    if where == before:
        return False
    compared = adopt(held.pipeline, held.schema, target.table).get(HELD_IN, where)
    if _dataset(compared) != (now := _dataset(where)):
        raise ConfigurationError(
            f"the last run compared with the dataset {_dataset(compared)} and loaded into {now},"
            " which lacks what was the same",
            remedy="Name the dataset in dlt.pipeline(dataset_name=…), not in run(), and run once"
            f' with refresh="drop_sources" to fill {now}.',
        )
    # Where its own state names another place, too, it is this dataset by another address.
    return bool(compared != before)


def _dataset(location: str) -> str:
    return location.rpartition("/")[2]


def check_identity(client: SalesforceClient, state: dict[str, Any], *, looks_only: bool) -> None:
    """Check that the dataset is this org's; a run that only looks takes another org's as empty.

    Raises:
        OtherOrgError: the dataset holds another org.
    """
    org, held = org_of(client), held_org(state)
    if held is not None and org.is_another_than(held):
        if not looks_only:
            raise OtherOrgError(
                f"the dataset holds the org {held}, and the credentials are those of {org}"
            )
        state.clear()
    note(org, state)


def check_changes(org: VisibleOrg, state: dict[str, Any], held: HeldTables, id_column: str) -> None:
    """Compare how the org shows itself with how it did when the dataset was last loaded.

    Raises:
        ChangedOrgError: an object that was shown is not, or relations or records have other ids.
    """
    shown = _shown(org)
    before = state.get(_SHOWN) or _objects_held(org, held, id_column)
    wanted, prefix = org.target.discovered_by, _key_prefix(org)
    hidden = [name for name in before if name in org.describes and name not in shown]
    if hidden:
        raise ChangedOrgError(
            f"the org no longer shows {', '.join(hidden)} to our user, which the dataset was loaded"
            f" from: {org.describes[hidden[0]]} Nothing was marked as removed, nothing loaded"
        )
    if state.get(JUNCTION, wanted.object_name) != wanted.object_name and (
        wanted.object_name in shown and wanted.fallback is not None
    ):
        raise ChangedOrgError(
            f"the org now shows {wanted.object_name}; the relations that the dataset holds were"
            f" made of {wanted.fallback.object_name}.{wanted.fallback.who}, and have other ids."
            " Nothing was loaded",
            remedy="To go over to it, run once with --full --allow-shrink.",
        )
    if prefix and state.get(_PREFIX, prefix) != prefix:
        raise ChangedOrgError(
            f"ids of {org.target.object_name} began with {state[_PREFIX]} and now begin with"
            f" {prefix}: this looks like another org. Nothing was loaded"
        )


def expected_junction(target: Target, state: Mapping[str, Any]) -> Junction:
    """Return the junction through which the org showed its relations last."""
    wanted = target.discovered_by
    known = state.get(JUNCTION, wanted.object_name)
    return wanted if known == wanted.object_name else wanted.fallback or wanted


def note_org(org: VisibleOrg, state: dict[str, Any]) -> None:
    """Keep how the org shows itself, for the run that follows."""
    state[_FILLED_BY] = org.target.origin
    condition = str(org.target.discovered_by.condition or "")
    if (before := state.get(_WHERE, condition)) != condition:
        org.warn(
            f"{org.target.table}: where was {before or 'not given'} and is"
            f" {condition or 'not given'}: records that no longer count leave. Two sources would"
            " take turns at that; give one of them a table of its own"
        )
    state[_WHERE] = condition
    state[_SHOWN] = shown = _shown(org)
    wanted = org.target.discovered_by
    if wanted.object_name in shown:
        state[JUNCTION] = wanted.object_name
    elif wanted.fallback is not None:
        state[JUNCTION] = wanted.fallback.object_name
    if prefix := _key_prefix(org):
        state[_PREFIX] = prefix


def note_others(other_state: Mapping[str, Any], state: dict[str, Any]) -> None:
    """Keep what another pipeline found the org to be like that the dataset was loaded from."""
    facts = (*ORG_FACTS, _FILLED_BY, _WHERE, _SHOWN, JUNCTION, _PREFIX)
    state.update({name: other_state[name] for name in facts if name in other_state})


def _shown(org: VisibleOrg) -> list[str]:
    return [name for name, entry in org.describes.items() if not isinstance(entry, SalesforceError)]


def _key_prefix(org: VisibleOrg) -> str | None:
    describe = org.describes[org.target.object_name]
    prefix = None if isinstance(describe, SalesforceError) else describe.get("keyPrefix")
    return str(prefix) if prefix else None


def _objects_held(org: VisibleOrg, held: HeldTables, id_column: str) -> list[str]:
    """List the objects of which a dataset without the facts above holds rows."""
    if org.target is not CONTACT:
        return []
    names = [
        OBJECTS[table]
        for table in (CONTACTS, TASKS, USERS)
        if held.column_hints(table) and held.count(table)
    ]
    columns, task, key = held.column_hints(RELATIONS), held.name("TaskId"), held.name(id_column)
    if task in columns and key in columns:
        # A relation made of a task has the task's id.
        own = f"{held.sql(task)} <> {held.sql(key)}"
        names += ["TaskWhoRelation"] if held.count(RELATIONS, own) else []
    return names
