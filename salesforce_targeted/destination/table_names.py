"""Name the tables: what each holds, and of which object."""

from __future__ import annotations

from salesforce_targeted.target import CONTACT

CONTACTS, ACTIVE_CONTACTS = CONTACT.table, CONTACT.life_table
RELATIONS, TASKS, USERS = "sf_taskwhorelations", "sf_activities", "sf_users"
# Table to the object whose records it holds.
OBJECTS = {CONTACTS: "Contact", TASKS: "Task", USERS: "User", RELATIONS: "TaskWhoRelation"}
REJECTED_RECORDS, SYNC_RUNS = "sf_rejected_records", "sf_sync_runs"
# Tables of the source of contacts.
OF_CONTACTS = (*OBJECTS, ACTIVE_CONTACTS, REJECTED_RECORDS, SYNC_RUNS)
# dlt names the schema of a source after the source.
SCHEMA_NAME = "salesforce_targeted"
