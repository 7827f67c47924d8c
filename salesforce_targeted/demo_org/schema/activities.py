"""List which fields tasks, events and their relations have; data, no behaviour.

Source: Object Reference, "Task", "Event", "TaskWhoRelation", "EventWhoRelation"; the audit fields
of the relations exist though undocumented.
"""

from __future__ import annotations

from salesforce_targeted.demo_org.schema.fields import Entry, audit, field, fields, system

PRIORITIES = ("High", "Normal", "Low")
STATUSES = ("Not Started", "In Progress", "Completed", "Waiting on someone else", "Deferred")
EVENT_SUBJECTS = ("Call", "Email", "Meeting", "Send Letter/Quote", "Other")


def task() -> list[Entry]:
    """Return the fields of tasks, with the flags that hide them: IsArchived, IsDeleted."""
    return [
        field("Id", "id", nillable=False),
        field("WhoId", "reference", refers="Contact Lead"),
        field("WhatId", "reference", refers="Account Opportunity Visit__c"),
        system("WhoCount", "int"), system("WhatCount", "int"),
        field("Subject", "combobox", picklist=("Call", "Email", "Send Letter")),
        field("ActivityDate", "date"),
        field("Status", "picklist", picklist=STATUSES, nillable=False),
        field("Priority", "picklist", picklist=PRIORITIES, nillable=False),
        system("IsHighPriority", "boolean"),
        field("OwnerId", "reference", refers="Group User", nillable=False),
        field("Description", "textarea", 32_000), field("Type", "picklist", picklist=("Call",)),
        system("IsDeleted", "boolean"), system("AccountId", "reference", refers="Account"),
        system("IsClosed", "boolean"), *audit()[1:], system("IsArchived", "boolean"),
        field("CallDurationInSeconds", "int"), field("CallType", "picklist", 40),
        field("CallDisposition", length=255), field("CallObject", length=255),
        field("ReminderDateTime", "datetime"), field("IsReminderSet", "boolean"),
        system("RecurrenceActivityId", "reference", refers="Task"),
        field("IsRecurrence", "boolean"),
        *fields("RecurrenceStartDateOnly RecurrenceEndDateOnly", "date"),
        field("RecurrenceTimeZoneSidKey", "picklist", 40), field("RecurrenceType", "picklist", 40),
        *fields("RecurrenceInterval RecurrenceDayOfWeekMask RecurrenceDayOfMonth", "int"),
        *fields("RecurrenceInstance RecurrenceMonthOfYear RecurrenceRegeneratedType",
                "picklist", 40),
        field("TaskSubtype", "picklist", 40, picklist=("Task", "Email", "Call")),
        system("CompletedDateTime", "datetime"),
        field("Outcome__c", "picklist", picklist=("Reached", "Voicemail", "No answer")),
        field("Follow_Up__c", "boolean"),
    ]  # fmt: skip


def task_who_relation() -> list[Entry]:
    """Return the fields of relations: one row per contact (or lead) of a task."""
    return [
        field("Id", "id", nillable=False),
        system("RelationId", "reference", refers="Contact Lead", relationshipName="Relation"),
        system("TaskId", "reference", refers="Task", cascadeDelete=True),
        system("AccountId", "reference", refers="Account"),
        system("Type", "string", length=40), *audit(),
    ]  # fmt: skip


def event() -> list[Entry]:
    """Return the fields of events; IsArchived and IsDeleted hide them, they are never closed."""
    return [
        field("Id", "id", nillable=False),
        field("WhoId", "reference", refers="Contact Lead"),
        field("WhatId", "reference", refers="Account Opportunity Visit__c"),
        system("WhoCount", "int"), system("WhatCount", "int"),
        field("Subject", "combobox", picklist=EVENT_SUBJECTS),
        field("Location", length=255), field("IsAllDayEvent", "boolean"),
        field("ActivityDateTime", "datetime"), field("ActivityDate", "date"),
        field("DurationInMinutes", "int"),
        *fields("StartDateTime EndDateTime", "datetime"), system("EndDate", "date"),
        field("Description", "textarea", 32_000),
        system("AccountId", "reference", refers="Account"),
        field("OwnerId", "reference", refers="Calendar User", nillable=False),
        field("IsPrivate", "boolean"),
        field("ShowAs", "picklist", 40, picklist=("Busy", "OutOfOffice", "Free")),
        system("IsDeleted", "boolean"), *fields("IsChild IsGroupEvent", "boolean"),
        system("GroupEventType", "picklist", length=40, picklist=("0", "1", "2", "3")),
        *audit()[1:], system("IsArchived", "boolean"),
        system("RecurrenceActivityId", "reference", refers="Event"),
        *fields("IsRecurrence IsRecurrence2 IsReminderSet", "boolean"),
        field("ReminderDateTime", "datetime"),
        field("EventSubtype", "picklist", 40, picklist=("Event",)),
        field("Channel__c", "picklist", picklist=("On site", "Video", "Telefon")),
    ]  # fmt: skip


def event_who_relation() -> list[Entry]:
    """Return the fields of relations: one row per contact (or lead) of an event."""
    return [
        field("Id", "id", nillable=False),
        system("RelationId", "reference", refers="Contact Lead", relationshipName="Relation"),
        system("EventId", "reference", refers="Event", cascadeDelete=True),
        system("AccountId", "reference", refers="Account"),
        system("Type", "string", length=40), *audit(),
    ]  # fmt: skip
