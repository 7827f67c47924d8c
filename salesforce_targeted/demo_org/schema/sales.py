"""List which fields leads, opportunities and a custom object have; data, no behaviour.

Source: Object Reference, "Lead", "Opportunity", "Custom Objects".
"""

from __future__ import annotations

from salesforce_targeted.demo_org.schema.core import SALUTATIONS, SOURCES, address, person_name
from salesforce_targeted.demo_org.schema.fields import Entry, audit, field, fields, system

INDUSTRIES = ("Healthcare", "Insurance", "Pharma", "Öffentlicher Dienst")
RATINGS = ("Hot", "Warm", "Cold")
# Stage to (closed, won, probability, forecast category).
STAGES = {
    "Prospecting": (False, False, 10, "Pipeline"),
    "Needs Analysis": (False, False, 20, "Pipeline"),
    "Proposal/Price Quote": (False, False, 75, "BestCase"),
    "Negotiation/Review": (False, False, 90, "Forecast"),
    "Closed Won": (True, True, 100, "Closed"),
    "Closed Lost": (True, False, 0, "Omitted"),
}
VISIT_STATUSES = ("Planned", "Done", "Cancelled")


def lead() -> list[Entry]:
    """Leads: people who are no contacts yet, with what their conversion leaves behind."""
    return [
        field("Id", "id", nillable=False), system("IsDeleted", "boolean"),
        system("MasterRecordId", "reference", refers="Lead"), *person_name(),
        field("Title", length=128), field("Company", length=255, nillable=False), *address(""),
        *fields("Phone MobilePhone Fax", "phone"), field("Email", "email", idLookup=True),
        field("Website", "url"), system("PhotoUrl", "url"),
        field("Description", "textarea", 32_000),
        field("LeadSource", "picklist", picklist=SOURCES),
        field("Status", "picklist", picklist=("Open", "Working", "Closed"), nillable=False),
        field("Industry", "picklist", picklist=INDUSTRIES),
        field("Rating", "picklist", picklist=RATINGS),
        field("AnnualRevenue", "currency", scale=0), field("NumberOfEmployees", "int"),
        field("OwnerId", "reference", refers="Group User", nillable=False),
        *fields("HasOptedOutOfEmail HasOptedOutOfFax DoNotCall", "boolean"),
        system("IsConverted", "boolean"), system("ConvertedDate", "date"),
        system("ConvertedAccountId", "reference", refers="Account"),
        system("ConvertedContactId", "reference", refers="Contact"),
        system("ConvertedOpportunityId", "reference", refers="Opportunity"),
        field("IsUnreadByOwner", "boolean"), *audit()[1:], system("LastActivityDate", "date"),
        *(system(name, "datetime") for name in ("LastViewedDate", "LastReferencedDate")),
        system("LastTransferDate", "date"), field("Jigsaw", length=20),
        system("JigsawContactId", "string", length=20),
        field("CleanStatus", "picklist", 40, picklist=("Matched", "Different", "Pending")),
        field("EmailBouncedReason", length=255), field("EmailBouncedDate", "datetime"),
        field("IndividualId", "reference", refers="Individual"),
        field("Lead_Score__c", "double", precision=5, scale=1),
        field("Interest__c", "multipicklist", picklist=("Geräte", "Service", "Training")),
    ]  # fmt: skip


def opportunity() -> list[Entry]:
    """Opportunities: whether one is closed or won follows from its stage; none is ever merged."""
    return [
        field("Id", "id", nillable=False), system("IsDeleted", "boolean"),
        field("AccountId", "reference", refers="Account"), field("IsPrivate", "boolean"),
        field("Name", length=120, nameField=True, nillable=False),
        field("Description", "textarea", 32_000),
        field("StageName", "picklist", picklist=tuple(STAGES), nillable=False),
        field("Amount", "currency"), field("Probability", "percent", precision=3, scale=0),
        system("ExpectedRevenue", "currency"), field("TotalOpportunityQuantity", "double"),
        field("CloseDate", "date", nillable=False),
        field("Type", "picklist", picklist=("New Customer", "Existing Customer - Upgrade")),
        field("NextStep", length=255), field("LeadSource", "picklist", picklist=SOURCES),
        system("IsClosed", "boolean"), system("IsWon", "boolean"),
        system("ForecastCategory", "picklist", length=40, nillable=False,
               picklist=("Omitted", "Pipeline", "BestCase", "Forecast", "Closed")),
        field("ForecastCategoryName", "picklist",
              picklist=("Omitted", "Pipeline", "Best Case", "Commit", "Closed")),
        field("CampaignId", "reference", refers="Campaign"),
        system("HasOpportunityLineItem", "boolean"),
        field("Pricebook2Id", "reference", refers="Pricebook2"),
        field("OwnerId", "reference", refers="User", nillable=False), *audit()[1:],
        system("LastActivityDate", "date"), system("PushCount", "int"),
        *(system(name, "int") for name in ("FiscalQuarter", "FiscalYear")),
        system("Fiscal", "string", length=6),
        field("ContactId", "reference", refers="Contact", updateable=False),
        *(system(name, "datetime") for name in ("LastViewedDate", "LastReferencedDate")),
        *(system(name, "boolean") for name in ("HasOpenActivity", "HasOverdueTask")),
        field("Competitors__c", "multipicklist", picklist=("Acme", "Globex", "Hölzer & Söhne")),
        field("Order_Number__c", length=8),
    ]  # fmt: skip


def visit() -> list[Entry]:
    """Return a custom object's fields: visits, with two lookups that may be empty."""
    return [
        field("Id", "id", nillable=False),
        field("OwnerId", "reference", refers="Group User", nillable=False),
        system("IsDeleted", "boolean"),
        system("Name", "string", length=80, nameField=True, nillable=False, autoNumber=True,
               idLookup=True),
        *audit()[1:], system("LastActivityDate", "date"),
        *(system(name, "datetime") for name in ("LastViewedDate", "LastReferencedDate")),
        field("Contact__c", "reference", refers="Contact"),
        field("Account__c", "reference", refers="Account"),
        field("Status__c", "picklist", picklist=VISIT_STATUSES, restrictedPicklist=True),
        field("Visit_Date__c", "date"), field("Starts_At__c", "time"),
        field("Next_Visit__c", "datetime"),
        field("Minutes__c", "double", precision=4, scale=0),
        field("Is_Long__c", "boolean", calculated=True, calculatedFormula="Minutes__c > 45"),
        field("Topics__c", "multipicklist", picklist=("Pricing", "Studie", "Training")),
        field("Samples__c", "double", precision=6, scale=0),
        field("Cost__c", "currency", precision=10, scale=2),
        field("Satisfaction__c", "percent", precision=5, scale=2),
        field("Follow_Up_Needed__c", "boolean"), field("Notes__c", "textarea", 32_768),
        field("Report_Link__c", "url"), field("Greeted_As__c", "picklist", picklist=SALUTATIONS),
    ]  # fmt: skip
