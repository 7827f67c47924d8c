"""List the fields of contacts, accounts and users, and what other objects share; no behaviour.

Contact has exactly 105 fields without the compound ones, as the org that the project grew from.
Source: Object Reference, "Contact", "User", "Account".
"""

from __future__ import annotations

from salesforce_targeted.demo_org.schema.fields import Entry, audit, field, fields, system

REGIONS = ("North", "South", "East", "West", "Überregional")
SPECIALTIES = ("Cardiology", "Oncology", "Neurology", "Pädiatrie", "Radiology", "Surgery")
SOURCES = ("Web", "Phone Inquiry", "Partner Referral", "Purchased List", "Other")
SALUTATIONS = ("Mr.", "Ms.", "Mrs.", "Dr.", "Prof.")
LANGUAGES = ("English", "Deutsch", "Français", "日本語")
TIERS = ("Gold", "Silver", "Bronze", "Platinum")


def person_name() -> list[Entry]:
    """Return LastName, FirstName, Salutation and the Name that is made of them."""
    return [
        field("LastName", length=80, nillable=False, compoundFieldName="Name"),
        field("FirstName", length=40, compoundFieldName="Name"),
        field("Salutation", "picklist", 40, picklist=SALUTATIONS, compoundFieldName="Name"),
        field("Name", length=121, nameField=True, nillable=False, createable=False,
              updateable=False),
    ]  # fmt: skip


def address(kind: str) -> list[Entry]:
    """Return an address's parts and its compound field; *kind* is empty for a lead's."""
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
    """Return 105 fields and three compound ones: two addresses and Clinic_Location__c."""
    entries = [field("Id", "id", nillable=False), system("IsDeleted", "boolean"),
            system("MasterRecordId", "reference", refers="Contact"),
            field("AccountId", "reference", refers="Account"), *person_name()]  # fmt: skip
    entries += [*address("Other"), *address("Mailing")]
    entries += fields("Phone Fax MobilePhone HomePhone OtherPhone AssistantPhone", "phone")
    entries += [
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
    return entries + _contact_custom()


def _contact_custom() -> list[Entry]:
    return [
        field("NPI__c", length=10, externalId=True, unique=True, idLookup=True),
        field("Is_Physician__c", "boolean"),
        field("Active__c", "boolean"),
        field("Region__c", "picklist", picklist=REGIONS),
        field("Specialty__c", "picklist", picklist=SPECIALTIES),
        field("Interests__c", "multipicklist", picklist=SPECIALTIES),
        field("Languages__c", "multipicklist", picklist=LANGUAGES),
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


def account() -> list[Entry]:
    """Return the fields of accounts, with the tier that a contact's formula shows."""
    return [
        field("Id", "id", nillable=False), system("IsDeleted", "boolean"),
        system("MasterRecordId", "reference", refers="Account"),
        field("Name", length=255, nameField=True, nillable=False),
        field("Type", "picklist", picklist=("Hospital", "Practice", "Clinic")),
        field("ParentId", "reference", refers="Account"),
        *address("Billing"), field("Phone", "phone"), field("Website", "url"),
        field("Industry", "picklist", picklist=("Healthcare", "Insurance")),
        field("AnnualRevenue", "currency", scale=0), field("NumberOfEmployees", "int"),
        field("Description", "textarea", 32_000),
        field("OwnerId", "reference", refers="User", nillable=False),
        field("Tier__c", "picklist", picklist=TIERS), *audit()[1:],
    ]  # fmt: skip


def user() -> list[Entry]:
    """Return the fields of users; they are never deleted, so no IsDeleted."""
    return [
        field("Id", "id", nillable=False),
        field("Username", length=80, nillable=False, unique=True, idLookup=True),
        *person_name()[:2], person_name()[3],
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


def user_permission_access() -> list[Entry]:
    """Return two of the some 400 permissions that a real org names here."""
    return [
        field("Id", "id", nillable=False),
        system("PermissionsApiEnabled", "boolean"), system("PermissionsViewAllData", "boolean"),
    ]  # fmt: skip
