"""Find what users have put on our tables in PostgreSQL, before a load drops or empties these.

``DROP TABLE`` takes triggers, policies, indexes, columns and publications of others with it and
says nothing; views and foreign keys refuse it, but only after all has been read from the org.

Source: PostgreSQL Documentation, "DROP TABLE", "TRUNCATE" (foreign keys), "Dependency Tracking".
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import dlt
from dlt.common.schema.typing import TTableSchema

from salesforce_targeted.api.errors import ConfigurationError
from salesforce_targeted.destination.clients import sql_client_of
from salesforce_targeted.destination.indexes import PREFIX

_SHOWN = 5
_IN_PLACE = (
    'Run with refresh="drop_data", which empties tables and leaves them in place, or drop what is'
    " named"
)


def check(
    pipeline: dlt.Pipeline, dropped: Mapping[str, TTableSchema], emptied: Collection[str]
) -> None:
    """Refuse to drop tables on which others depend, and to empty those that their keys refer to.

    Args:
        dropped: Tables that the load drops, by stored name, as dlt made them.
        emptied: Those that it empties and leaves in place, as stored.

    Raises:
        ConfigurationError: names what is in the way.
    """
    columns = [f"{name}.{column}" for name, of in dropped.items() for column in of["columns"]]
    again = "(and make it again after the run)."
    for verb, tables, query, remedy in (
        ("dropped", dropped, _ON_DROPPED, f"{_IN_PLACE} {again}"),
        ("emptied", emptied, _ON_EMPTIED, f"Drop the foreign key {again}"),
    ):
        if not tables:
            continue
        with sql_client_of(pipeline) as client:
            rows: Any = client.execute_sql(
                _OUR_TABLES + query,
                schema=client.fully_qualified_dataset_name(quote=False),
                tables=list(tables),
                known=columns,
                ours=f"{PREFIX}%",
            )
        if rows:
            named = ", ".join(f"{kind} {name} on {table}" for kind, name, table in rows[:_SHOWN])
            named += f" and {len(rows) - _SHOWN} more" if len(rows) > _SHOWN else ""
            raise ConfigurationError(
                f"tables would be {verb} on which others depend: {named}. Nothing was changed",
                remedy=remedy,
            )


_OUR_TABLES = """
    WITH ours AS (
        SELECT t.oid, t.relname FROM pg_class t JOIN pg_namespace n ON n.oid = t.relnamespace
        WHERE n.nspname = %(schema)s AND t.relname = ANY(%(tables)s)
    )
"""
_ON_EMPTIED = """
    SELECT 'foreign key', c.conname, o.relname
    FROM pg_constraint c JOIN ours o ON o.oid = c.confrelid
    WHERE c.contype = 'f' AND c.conrelid NOT IN (SELECT oid FROM ours)
      AND c.conname NOT LIKE %(ours)s
    ORDER BY 2
"""
# A view depends by way of its rule; dlt's unique indexes are those of constraints.
_ON_DROPPED = """
    SELECT CASE v.relkind WHEN 'm' THEN 'materialized view' ELSE 'view' END, v.relname,
        o.relname
    FROM pg_depend d JOIN ours o ON o.oid = d.refobjid AND d.refclassid = 'pg_class'::regclass
    JOIN pg_rewrite r ON r.oid = d.objid AND d.classid = 'pg_rewrite'::regclass
    JOIN pg_class v ON v.oid = r.ev_class AND v.oid <> o.oid
    UNION SELECT 'foreign key', c.conname, o.relname
    FROM pg_constraint c JOIN ours o ON o.oid IN (c.confrelid, c.conrelid)
    WHERE c.contype = 'f' AND c.conname NOT LIKE %(ours)s
    UNION SELECT 'constraint', c.conname, o.relname
    FROM pg_constraint c JOIN ours o ON o.oid = c.conrelid WHERE c.contype IN ('c', 'p', 'x')
    UNION SELECT 'trigger', g.tgname, o.relname
    FROM pg_trigger g JOIN ours o ON o.oid = g.tgrelid WHERE NOT g.tgisinternal
    UNION SELECT 'policy', p.polname, o.relname
    FROM pg_policy p JOIN ours o ON o.oid = p.polrelid
    UNION SELECT 'publication', p.pubname, o.relname
    FROM pg_publication_rel r JOIN ours o ON o.oid = r.prrelid
    JOIN pg_publication p ON p.oid = r.prpubid
    UNION SELECT 'index', i.relname, o.relname
    FROM pg_index x JOIN ours o ON o.oid = x.indrelid JOIN pg_class i ON i.oid = x.indexrelid
    WHERE i.relname NOT LIKE %(ours)s
      AND NOT EXISTS (SELECT 1 FROM pg_constraint c WHERE c.conindid = i.oid)
    UNION SELECT CASE a.attgenerated WHEN '' THEN 'column' ELSE 'generated column' END,
        a.attname, o.relname
    FROM pg_attribute a JOIN ours o ON o.oid = a.attrelid
    WHERE a.attnum > 0 AND NOT a.attisdropped
      AND o.relname || '.' || a.attname <> ALL(%(known)s)
    ORDER BY 3, 1, 2
"""
