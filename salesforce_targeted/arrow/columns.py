"""Describe entries become columns: one table of Salesforce's field types, one name per column.

Rules. Types come from describe, never from the data. A column that the destination already has
keeps its stored type, and values are fitted to it: dlt's binary copy into PostgreSQL would write
the bytes of another type without any error. No two columns share a name.
A type that Salesforce adds is a line in ``ARROW_TYPES``, or in ``LEFT_OUT_TYPES``.

Source of the types: Object Reference, "Field Types"; SOAP API Developer Guide, "Primitive Data
Types" (the ``xsd`` type on the wire).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Any

import pyarrow as pa

from salesforce_targeted.api.errors import ConfigurationError

TIMESTAMP = pa.timestamp("us", tz="UTC")
ROW_HASH = "row_hash"
# dlt keeps hints that start with x-: ours says which field a column belongs to, so that two fields
# whose names fold into one column never swap places when describe's order changes.
FIELD_HINT = "x-salesforce-field"

# What Salesforce calls a field's type -> what its values are in Arrow.
ARROW_TYPES: dict[str, pa.DataType] = {
    **dict.fromkeys(
        (
            "id", "reference", "string", "textarea", "phone", "email", "url", "picklist",
            "multipicklist", "combobox", "encryptedstring", "anyType",
        ),
        pa.string(),
    ),
    "boolean": pa.bool_(),
    **dict.fromkeys(("int", "long"), pa.int64()),
    # xsd:double on the wire: a decimal column would promise digits that Salesforce never sent.
    **dict.fromkeys(("double", "currency", "percent"), pa.float64()),
    "date": pa.date32(),
    "datetime": TIMESTAMP,
    "time": pa.time64("us"),
}  # fmt: skip

# dlt's data_type of a column that exists -> the only Arrow type that may be loaded into it.
STORED_TYPES: dict[str, pa.DataType] = {
    "text": pa.string(),
    "bool": pa.bool_(),
    "bigint": pa.int64(),
    "double": pa.float64(),
    "date": pa.date32(),
    "timestamp": TIMESTAMP,
    "time": pa.time64("us"),
}

# Type of a column -> the other types, text aside, whose values can be values of it. Arrow casts
# more than these and says nothing: a number becomes microseconds, an instant loses its day.
FITTING_TYPES: dict[pa.DataType, frozenset[pa.DataType]] = {
    pa.bool_(): frozenset({pa.int64(), pa.float64()}),
    pa.int64(): frozenset({pa.bool_(), pa.float64()}),
    pa.float64(): frozenset({pa.bool_(), pa.int64()}),
    pa.date32(): frozenset({TIMESTAMP}),
    TIMESTAMP: frozenset({pa.date32()}),
    pa.time64("us"): frozenset(),
}

# Always asked for: without them a deleted record could not be told from a live one.
STRUCTURAL_FIELDS = ("Id", "IsDeleted", "MasterRecordId", "SystemModstamp")

# Columns that every table of PostgreSQL has already. Source: PostgreSQL, "System Columns".
_SYSTEM_COLUMNS = ("tableoid", "xmin", "cmin", "xmax", "cmax", "ctid")

# Not columns: the parts of a compound are columns themselves, base64 is a path to a file, and a
# junction id list (Task.TaskWhoIds) can't be selected plainly.
LEFT_OUT_TYPES = frozenset({"address", "location", "base64", "complexvalue", "masterrecord"})


@dataclass(frozen=True, slots=True)
class Column:
    """Describe a field as it lands.

    Attributes:
        field: Salesforce's API name, as in requests and responses (``NPI__c``).
        name: The column in our Arrow tables, before dlt's naming (``NPI__c``, ``id``).
        stored: The column in the destination (``npi__c``).
        wire_type: Arrow type by describe: how the value is read.
        type: Arrow type that is loaded; differs from ``wire_type`` where the field changed type.
        description: Salesforce's label of the field, and its help text where it has one.
    """

    field: str
    name: str
    stored: str
    wire_type: pa.DataType
    type: pa.DataType
    description: str = ""


@dataclass(frozen=True, slots=True)
class Columns:
    """Hold the columns of one table, the key first, and what there is to say about them.

    Attributes:
        key: The column of Salesforce's ``Id``.
        kept: Stored names of columns that are not read; they keep what they hold.
        hidden: Those of them whose fields describe no longer shows.
        added: Stored names that the destination does not have yet.
        warnings: One sentence each, for the report.
    """

    object_name: str
    items: tuple[Column, ...]
    kept: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def key(self) -> Column:
        """Return the column of Salesforce's ``Id``."""
        return self.items[0]

    @property
    def fields(self) -> list[str]:
        """List the API names to ask Salesforce for."""
        return [column.field for column in self.items]

    def only(self, fields: Iterable[str]) -> Columns:
        """Return the key and the columns of some fields."""
        wanted = set(fields)
        items = [column for column in self.items[1:] if column.field in wanted]
        return replace(self, items=(self.key, *items), kept=(), hidden=(), added=(), warnings=())

    @property
    def schema(self) -> pa.Schema:
        """Return the one Arrow schema that every batch of this table has, ``row_hash`` last."""
        fields = [pa.field(c.name, c.type, nullable=c is not self.key) for c in self.items]
        return pa.schema([*fields, pa.field(ROW_HASH, pa.string())])

    def named(self, field: str) -> Column | None:
        """Return the column of a field, by its API name."""
        return next((column for column in self.items if column.field == field), None)


def columns(
    describe: Mapping[str, Any],
    *,
    normalize: Callable[[str], str],
    id_column: str = "id",
    stored: Mapping[str, Mapping[str, Any]] | None = None,
    only: Iterable[str] | None = None,
    own: Iterable[str] = (),
    asked: Mapping[str, str] | None = None,
    closed: bool = False,
) -> Columns:
    """Make the columns of an object from its describe and from what the destination has.

    Args:
        describe: Salesforce's response to ``/sobjects/<object>/describe``.
        normalize: dlt's naming: API name to column name.
        id_column: What ``Id`` is called in the table.
        stored: dlt's schema of the columns that the table has, by stored name.
        only: API names to take, besides ``STRUCTURAL_FIELDS``. None takes all.
        own: Stored names of columns that the library itself adds.
        asked: dlt's ``data_type`` that a hint asks for, by stored name; what a column has counts
            more.
        closed: Whether the table takes no new columns: fields without one are not asked for, so
            that a row's hash never counts what the table did not get.

    Returns:
        The columns in describe's order, ``Id`` first.

    Raises:
        ConfigurationError: ``only`` has a name that is no field; the remedy names the nearest one.
    """
    stored, asked, object_name = stored or {}, asked or {}, str(describe["name"])
    loadable = {str(entry["name"]) for entry in describe["fields"] if not _left_out(entry)}
    _check_known(only or (), loadable, stored, object_name)
    wanted = loadable if only is None else {*STRUCTURAL_FIELDS, *only}
    wanted = {name.lower() for name in wanted}
    ours = {normalize(name) for name in (ROW_HASH, *own)}
    taken = ours | {normalize(name) for name in _SYSTEM_COLUMNS}
    items, warnings = list[Column](), list[str]()
    unloadable, shut_out = list[str](), list[str]()
    for entry in sorted(describe["fields"], key=lambda entry: str(entry["name"]) != "Id"):
        field, label = str(entry["name"]), f"{object_name}.{entry['name']}"
        if _left_out(entry) or field.lower() not in wanted:
            continue
        name = id_column if field == "Id" else field
        owner = str(stored.get(normalize(name), {}).get(FIELD_HINT, field))
        # An API name may be spelt in other letters since: their case does not count.
        if normalize(name) in taken or owner.lower() != field.lower():
            # The same one in every run.
            name = f"{name}_{hashlib.sha256(name.encode()).hexdigest()[:6]}"
            warnings.append(f"{label}: its column name is taken; it lands in {normalize(name)}")
        taken.add(column := normalize(name))
        if closed and stored and column not in stored:
            shut_out.append(field)
            continue
        held_as = stored.get(column, {}).get("data_type")
        if held_as is not None and held_as not in STORED_TYPES:
            unloadable.append(column)
            warnings.append(
                f"{label}: column {column} holds {held_as}, which nothing that Salesforce sends can"
                " be loaded into unchanged; the column keeps its last values. To load the field:"
                " rename or drop the column, run `dlt pipeline` … `sync`, then --full"
            )
            continue
        wished = asked.get(column)
        known_type = str(held_as or wished) if held_as or wished else None
        noted = [] if wished and known_type == wished else warnings  # who asked for it knows it
        items.append(_column(entry, name, column, known_type, label, noted))
    if shut_out:
        contract = f"the schema contract keeps {', '.join(shut_out)} out of the table"
        warnings.append(f"{object_name}: {contract}")
    known = {column.stored for column in items} | ours
    kept = tuple(name for name in stored if name not in known and not name.startswith("_dlt"))
    unread = [name for name in kept if name not in unloadable]
    # A column without a field is another's: of a user, who adds it in the database or by add_map.
    fields = {name: stored[name][FIELD_HINT] for name in unread if FIELD_HINT in stored[name]}
    hidden = tuple(name for name, field in fields.items() if field not in loadable)
    warnings.extend(
        f"{object_name}: Salesforce no longer shows the field of column {name} to our user (hidden"
        " or deleted); the column keeps its last values"
        for name in hidden
    )
    if narrowed := [name for name in fields if name not in hidden]:
        leaves = f"the setting fields leaves out {', '.join(narrowed)}, which earlier runs read"
        warnings.append(f"{object_name}: {leaves}; these columns keep their last values")
    added = tuple(c.stored for c in items if c.stored not in stored)
    return Columns(object_name, tuple(items), kept, hidden, added, tuple(warnings))


def _check_known(
    only: Iterable[str],
    loadable: Iterable[str],
    stored: Mapping[str, Mapping[str, Any]],
    object_name: str,
) -> None:
    """Refuse names that are no field; one that has a column is a field that was hidden since."""
    names = {name.lower(): name for name in loadable}
    columns_of = {str(hints.get(FIELD_HINT, "")).lower() for hints in stored.values()}
    unknown = [name for name in only if name.lower() not in {*names, *columns_of}]
    if not unknown:
        return
    nearest = [
        f"{names[near]} for {name}"
        for name in unknown
        for near in get_close_matches(name.lower(), names, 1)
    ]
    meant = f"Perhaps {', '.join(nearest)}? " if nearest else ""
    raise ConfigurationError(
        f"fields names {', '.join(unknown)}: {object_name} shows our user no such field that can"
        " be a column",
        remedy=f"{meant}Give API names; the parts of an address are fields, the address is none.",
    )


def _left_out(entry: Mapping[str, Any]) -> bool:
    kinds = [str(entry.get(name)) for name in ("type", "soapType")]
    junction = any("junctionidlist" in kind.casefold() for kind in kinds)
    return kinds[0] in LEFT_OUT_TYPES or junction or bool(entry.get("deprecatedAndHidden"))


def _column(
    entry: Mapping[str, Any],
    name: str,
    stored: str,
    known: str | None,
    label: str,
    warnings: list[str],
) -> Column:
    kind = entry.get("type")
    wire_type = ARROW_TYPES.get(str(kind))
    if wire_type is None:
        wire_type = pa.string()
        warnings.append(f"{label}: field type {kind!r} is unknown; its values land as text")
    held_type = STORED_TYPES.get(known or "", wire_type)
    if held_type != wire_type:
        warnings.append(
            f"{label}: Salesforce's type is now {kind}, column {stored} holds {known}; values that"
            " do not fit are null and listed as rejected. To migrate: rename or drop the column,"
            " run `dlt pipeline` … `sync`, then --full"
        )
    return Column(
        field=str(entry["name"]),
        name=name,
        stored=stored,
        wire_type=wire_type,
        type=held_type,
        description=": ".join(
            text
            for name in ("label", "inlineHelpText")
            if isinstance(text := entry.get(name), str) and text
        ).replace("\0", ""),
    )
