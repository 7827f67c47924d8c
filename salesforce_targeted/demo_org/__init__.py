"""A pretend Salesforce org on 127.0.0.1: a stranger that shares no code with what it tests.

It refuses what Salesforce refuses, with its codes and words, and bends for no client::

    org = DemoOrg(contacts=600_000, active=817, relations=2392, seed=7)
    with serve(org) as server:
        ...  # server.url, server.token; org.calls, org.edit(…), org.faults.add(Fault(…))

How faithful it is. *Modelled* is documented or recorded; *assumed* is [K] of the project's
reference of Salesforce behaviour: a guess: a client must survive either behaviour.

=====================  =========================================================================
modelled               sign-in by password, client credentials, JWT bearer (RS256), refresh token
                       with rotation; SOAP login up to v64.0; session expiry; versions 31.0-68.0;
                       UserPermissionAccess, of which two of the permissions
                       query, queryAll, queryMore with cursors of two days, batchSize, parents
                       one step up; WHERE, GROUP BY, HAVING, ORDER BY, LIMIT, OFFSET, FIELDS(),
                       aggregates; refusal of more than 2,000 groups, of semi-joins on activities,
                       of OFFSET over 2,000, of quoted dates; 414 and 431 in HTML
                       sObject Collections by POST and GET, composite, composite/batch, describe,
                       limits, recordCount, one record by id, Sforce-Limit-Info, gzip, chunks,
                       Date by the org's own clock
                       Bulk 2.0 query jobs, results by locator, resultPages, abort, delete; 409 for
                       another version; TaskWhoRelation and EventWhoRelation refused, and absent
                       without Shared Activities
                       relations that vanish with their task or event, merges of contacts, leads,
                       accounts, conversion of leads, the recycle bin with what goes along (the
                       contacts and opportunities of an account), stamps of whole seconds that many
                       rows share, late commits, silent formulas
                       contacts, leads, accounts, users, tasks, events and their relations,
                       opportunities (closed and won by their stage), a custom object (Visit__c)
off by default         an org that moves between calls, parts and pages (``moves``), [K]: pages of
                       one cursor that overlap or leave gaps; every version of every row is kept
                       (``versions``) once it does
                       permissions, limits and habits of other orgs, each with its source in
                       ``storage/traits.py``: no API Enabled, View Setup or View All Data, a user
                       with some permissions only (``permit_only``), Bulk jobs spent or
                       without an object, too many fields, aggregates or stamps that time out,
                       locators of
                       one session, ``resultpages``, tokens as JWTs, an older newest version,
                       fields of newer versions, expired passwords; 842 fields (``widen``)
assumed [K]            relations of an archived task are hidden from query; relations of a hidden
                       task are not (as the project's first org showed), those of a deleted
                       contact are (``relations_outlive_contacts`` turns that round)
                       undeleting brings relations back with their old stamps; logging a task or
                       an event does not stamp its people; a merge keeps one relation per activity
                       queryAll on relations is query; semi-joins on them are refused;
                       EventWhoRelation is as TaskWhoRelation in all of this, and in AccountId and
                       the audit fields, which its page does not name
                       a lookup (Visit__c, Opportunity.ContactId, WhatId) is cleared when what it
                       names is deleted, which moves SystemModstamp only, and comes back with it
                       (``lookups_outlive_parents``: it goes on naming it); converting a lead moves
                       its relations, with their ids, to the contact
                       Collections: request order, null for deleted, 400 for another object's ids
                       every request to a billed path is billed, refused ones too, except at the
                       daily limit; resultPages name ``resultUrl``; gzip only if asked for
                       a cursor drops rows that went away since, and shows newer values
                       a Bulk job shows the org of its creation; exact texts of INVALIDJOBSTATE,
                       INVALIDLOCATOR, VERSION_MISMATCH, GONE, filters that a field does not allow,
                       writes (403 INSUFFICIENT_ACCESS_OR_READONLY), statements too long; SOAP
                       login after v64.0 (UNSUPPORTED_API_VERSION); the figures of ``Latency``
                       a record that can't be read costs a response all the others (``poisons``)
                       date literals are in UTC, as if that were the user's time zone; texts sort
                       by code point without case, not by locale
not modelled           writes of any kind; Bulk 1.0; child subqueries, TYPEOF, semi-joins that are
                       allowed, date functions, paths of two steps, LIKE escapes, fiscal and
                       calendar range literals; getUpdated, getDeleted, search, Tooling; record
                       types, several currencies; sharing beyond hide and show; encryption masks;
                       invitees (EventRelation), child events, recurrence, WhoId and WhatId that a
                       deleted event loses, activities that go with their only person, roles and
                       products of opportunities, childRelationships of describe;
                       PK chunking; the 20-second rule of concurrent calls; TLS
=====================  =========================================================================

Clients that took it for Salesforce: simple-salesforce 1.12.10 and jsforce 3 (``tests/demo_org``),
airbyte-source-salesforce (check, discover, read by Bulk and REST) and singer's tap-salesforce
2.8.1 (REST) by hand.
"""

from salesforce_targeted.demo_org.faults.faults import Fault
from salesforce_targeted.demo_org.faults.latency import Latency
from salesforce_targeted.demo_org.http.server import DemoServer, serve

from .org import DemoOrg

__all__ = ["DemoOrg", "DemoServer", "Fault", "Latency", "serve"]
