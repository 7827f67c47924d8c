"""Which objects the demo org has and which fields each of them has; data, no behaviour.

Contact has exactly 105 fields beside the compound ones, as the org that the project grew from.
Source: Object Reference, "Contact", "Task", "TaskWhoRelation", "Lead", "User", "Account".
"""

from __future__ import annotations

from .fields import Entry, audit, field, fields, system

REGIONS = ("North", "South", "East", "West", "Überregional")
SPECIALTIES = ("Cardiology", "Oncology", "Neurology", "Pädiatrie", "Radiology", "Surgery")
SOURCES = ("Web", "Phone Inquiry", "Partner Referral", "Purchased List", "Other")
SALUTATIONS = ("Mr.", "Ms.", "Mrs.", "Dr.", "Prof.")
PRIORITIES = ("High", "Normal", "Low")
STATUSES = ("Not Started", "In Progress", "Completed", "Waiting on someone else", "Deferred")
TIERS = ("Gold", "Silver", "Bronze", "Platinum")


def _person_name() -> list[Entry]:
    return [
        field("LastName", length=80, nillable=False, compoundFieldName="Name"),
        field("FirstName", length=40, compoundFieldName="Name"),
        field("Salutation", "picklist", 40, picklist=SALUTATIONS, compoundFieldName="Name"),
        field("Name", length=121, nameField=True, nillable=False, createable=False,
              updateable=False),
    ]  # fmt: skip


def _address(kind: str) -> list[Entry]:
    whole = f"{kind}Address"
    return [
        field(f"{kind}Street", "textarea", compoundFieldName=whole),
        *fields(f"{kind}City:40 {kind}State:80 {kind}PostalCode:20 {kind}Country:80", "string",
                compoundFieldName=whole),
        *fields(f"{kind}Latitude {kind}Longitude", "double", precision=18, scale=15,
                compoundFieldName=whole),
        field(f"{kind}GeocodeAccuracy", "picklist", 40, picklist=("Address", "Block", "City"),
              compoundFieldName=whole),
        system(whole, "address"),
    ]  # fmt: skip


def contact() -> list[Entry]:
    """105 fields and three compound ones: MailingAddress, OtherAddress, Clinic_Location__c."""
    made = [field("Id", "id", nillable=False), system("IsDeleted", "boolean"),
            system("MasterRecordId", "reference", refers="Contact"),
            field("AccountId", "reference", refers="Account"), *_person_name()]  # fmt: skip
    made += [*_address("Other"), *_address("Mailing")]
    made += fields("Phone Fax MobilePhone HomePhone OtherPhone AssistantPhone", "phone")
    made += [
        field("ReportsToId", "reference", refers="Contact"),
        field("Email", "email", idLookup=True),
        *fields("Title:128 Department:80 AssistantName:40", "string"),
        field("LeadSource", "picklist", picklist=SOURCES),
        field("Birthdate", "date"),
        field("Description", "textarea", 32_000),
        field("OwnerId", "reference", refers="User", nillable=False),
        *fields("HasOptedOutOfEmail HasOptedOutOfFax DoNotCall HasPrivacyHold IsPriorityRecord",
                "boolean"),
        *(entry for entry in audit() if entry["name"] != "IsDeleted"),
        system("LastActivityDate", "date"),
        *(system(name, "datetime") for name in ("LastCURequestDate", "LastCUUpdateDate",
                                                "LastViewedDate", "LastReferencedDate")),
        field("EmailBouncedReason", length=255),
        field("EmailBouncedDate", "datetime"),
        system("IsEmailBounced", "boolean"),
        system("PhotoUrl", "url"),
        field("Jigsaw", length=20),
        system("JigsawContactId", "string", length=20),
        field("CleanStatus", "picklist", 40, picklist=("Matched", "Different", "Pending")),
        field("IndividualId", "reference", refers="Individual"),
        field("GenderIdentity", "picklist", picklist=("Male", "Female", "Nonbinary")),
        field("Pronouns", "picklist", picklist=("He/Him", "She/Her", "They/Them")),
        system("ContactSource", "picklist", picklist=("Web", "Import")),
    ]  # fmt: skip
    return made + _contact_custom()


def _contact_custom() -> list[Entry]:
    return [
        field("NPI__c", length=10, externalId=True, unique=True, idLookup=True),
        field("Is_Physician__c", "boolean"),
        field("Active__c", "boolean"),
        field("Region__c", "picklist", picklist=REGIONS),
        field("Specialty__c", "picklist", picklist=SPECIALTIES),
        field("Interests__c", "multipicklist", picklist=SPECIALTIES),
        field("Languages__c", "multipicklist", picklist=("English", "Deutsch", "Français", "日本語")),
        field("Degree__c", length=40),
        field("Practice_Name__c", length=255),
        field("Notes__c", "textarea", 131_072),
        field("Short_Bio__c", "textarea", 255),
        field("Website__c", "url"),
        field("Second_Email__c", "email"),
        field("Pager__c", "phone"),
        field("Nickname__c", "combobox", picklist=("Doc", "Boss")),
        field("Badge_Number__c", "encryptedstring", 20, maskType="lastFour", mask="X"),
        field("Score__c", "double", precision=18, scale=4),
        field("Huge_Number__c", "double", precision=18, scale=0),
        field("Visits__c", "double", precision=5, scale=0),
        field("Rank__c", "int"),
        field("Total_Calls__c", "int"),
        field("Annual_Budget__c", "currency", precision=16, scale=2),
        field("Fee__c", "currency", precision=10, scale=2),
        field("Response_Rate__c", "percent", precision=5, scale=2),
        field("Market_Share__c", "percent", precision=18, scale=10),
        field("First_Contact__c", "date"),
        field("License_Expires__c", "date"),
        field("Last_Visit__c", "datetime"),
        field("Consent_Given__c", "datetime"),
        field("Office_Opens__c", "time"),
        field("Office_Closes__c", "time"),
        field("Clinic_Location__Latitude__s", "double", scale=6,
              compoundFieldName="Clinic_Location__c"),
        field("Clinic_Location__Longitude__s", "double", scale=6,
              compoundFieldName="Clinic_Location__c"),
        field("Clinic_Location__c", "location"),
        field("Preferred_Rep__c", "reference", refers="User"),
        field("Referred_By__c", "reference", refers="Contact"),
        field("Full_Label__c", length=1300, calculated=True,
              calculatedFormula='LastName & " / " & TEXT(Region__c)'),
        field("Visits_Doubled__c", "double", precision=18, scale=2, calculated=True,
              calculatedFormula="Visits__c * 2"),
        field("Account_Tier__c", length=1300, calculated=True,
              calculatedFormula="TEXT(Account.Tier__c)"),
        field("Is_Valuable__c", "boolean", calculated=True, calculatedFormula="Score__c > 50"),
        field("External_Key__c", length=36, externalId=True, caseSensitive=True),
    ]  # fmt: skip


def lead() -> list[Entry]:
    """Leads: enough of them to tell one from a contact."""
    return [
        field("Id", "id", nillable=False), system("IsDeleted", "boolean"),
        system("MasterRecordId", "reference", refers="Lead"), *_person_name(),
        *fields("Title:128 Company:255 City:40 State:80 Country:80", "string"),
        *fields("Phone MobilePhone", "phone"), field("Email", "email"),
        field("LeadSource", "picklist", picklist=SOURCES),
        field("Status", "picklist", picklist=("Open", "Working", "Closed"), nillable=False),
        field("OwnerId", "reference", refers="Group User", nillable=False),
        field("IsConverted", "boolean"), field("Description", "textarea", 32_000),
        *audit()[1:],
    ]  # fmt: skip


def account() -> list[Entry]:
    """Accounts: parents for AccountId, with the tier that a contact's formula shows."""
    return [
        field("Id", "id", nillable=False), system("IsDeleted", "boolean"),
        system("MasterRecordId", "reference", refers="Account"),
        field("Name", length=255, nameField=True, nillable=False),
        field("Type", "picklist", picklist=("Hospital", "Practice", "Clinic")),
        field("ParentId", "reference", refers="Account"),
        *_address("Billing"), field("Phone", "phone"), field("Website", "url"),
        field("Industry", "picklist", picklist=("Healthcare", "Insurance")),
        field("AnnualRevenue", "currency", scale=0), field("NumberOfEmployees", "int"),
        field("Description", "textarea", 32_000),
        field("OwnerId", "reference", refers="User", nillable=False),
        field("Tier__c", "picklist", picklist=TIERS), *audit()[1:],
    ]  # fmt: skip


def user() -> list[Entry]:
    """Users: never deleted, so no IsDeleted."""
    return [
        field("Id", "id", nillable=False),
        field("Username", length=80, nillable=False, unique=True, idLookup=True),
        *_person_name()[:2], _person_name()[3],
        *fields("CompanyName:80 Division:80 Department:80 Title:80", "string"),
        field("Email", "email", 128, nillable=False), *fields("Phone MobilePhone", "phone"),
        field("Alias", length=8, nillable=False), field("CommunityNickname", length=40),
        field("IsActive", "boolean"),
        *fields("TimeZoneSidKey LocaleSidKey LanguageLocaleKey EmailEncodingKey", "picklist", 40),
        field("UserRoleId", "reference", refers="UserRole"),
        field("ProfileId", "reference", refers="Profile"),
        system("UserType", "picklist", picklist=("Standard", "AutomatedProcess")),
        field("EmployeeNumber", length=20), system("LastLoginDate", "datetime"),
        *audit(deletable=False),
    ]  # fmt: skip


def task() -> list[Entry]:
    """Tasks, with the flags that hide them: IsArchived, IsDeleted."""
    return [
        field("Id", "id", nillable=False),
        field("WhoId", "reference", refers="Contact Lead"),
        field("WhatId", "reference", refers="Account"),
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
    """One row per contact (or lead) of a task; the audit fields exist though undocumented."""
    return [
        field("Id", "id", nillable=False),
        system("RelationId", "reference", refers="Contact Lead", relationshipName="Relation"),
        system("TaskId", "reference", refers="Task", cascadeDelete=True),
        system("AccountId", "reference", refers="Account"),
        system("Type", "string", length=40), *audit(),
    ]  # fmt: skip
