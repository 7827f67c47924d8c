"""Stories of orgs that are unlike the usual one, as they were reported: part B of the field reports."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from salesforce_targeted.demo_org import DemoOrg
from tests.matrices.stage import DONE, WRONG_USE, Stage

Play = Callable[[DemoOrg], Stage]


def no_view_setup(play: Play) -> Iterator[str]:
    """B1: our user may see neither ``limits`` nor ``limits/recordCount``."""
    stage = play(DemoOrg.tiny())
    stage.org.traits.view_setup = False
    for command in ("--sign-in", "--test", "--count", ""):
        ended = stage.run(*command.split())
        if ended.code:
            yield f"{command or 'sync'}: exit {ended.code}"


def bulk_jobs_are_spent(play: Play) -> Iterator[str]:
    """B2: others made the day's 10,000 Bulk jobs, and Bulk is forced."""
    stage = play(DemoOrg.tiny())
    stage.org.traits.bulk_jobs_used = 10_000
    ended = stage.run("--api", "bulk")
    if "Bulk" not in ended.message:
        yield f"exit {ended.code}: {ended.message}"


def too_many_fields_at_once(play: Play) -> Iterator[str]:
    """B3: more than 60 fields of a record are refused."""
    stage = play(DemoOrg.tiny())
    stage.org.traits.most_fields = 60
    stage.ok()
    yield from stage.differences()


def aggregates_that_time_out(play: Play) -> Iterator[str]:
    """B4: no query with GROUP BY ends in time from the second run on."""
    stage = play(DemoOrg(3_000, 1_000, 2_600))
    stage.ok()
    stage.org.traits.aggregates_left = 0
    stage.org.log_task([stage.org.active_ids()[0]])
    stage.ok()
    yield from stage.differences()


def many_fields_and_deleted_contacts(play: Play) -> Iterator[str]:
    """B5: 500 fields, and 60 active contacts that are deleted; the calls of a repeat."""
    stage = play(DemoOrg(1_000, 200))
    for number in range(400):
        stage.org.add_field("Contact", f"A_name_as_long_as_those_that_admins_give_{number}__c")
    stage.org.relations_outlive_contacts = True
    for contact in stage.org.active_ids()[:60]:
        stage.org.delete_contact(contact)
    stage.ok()
    stage.org.reset_calls()
    stage.ok()
    if stage.org.billed > 12:
        yield f"a repeat costs {stage.org.billed} calls"


def a_session_dies_between_pages(play: Play) -> Iterator[str]:
    """B7: its query locator dies with it; the app can sign in again."""
    stage = play(DemoOrg(3_000, 1_000, 2_600))
    org = stage.org
    stage.environ = {
        "SALESFORCE_LOGIN_URL": stage.url,
        "SALESFORCE_CLIENT_ID": org.client_id,
        "SALESFORCE_CLIENT_SECRET": org.client_secret,
    }
    org.traits.locators_of_session = True
    stage.before("/query/", org.expire_sessions)
    stage.ok()
    yield from stage.differences()


def result_pages_in_lower_case(play: Play) -> Iterator[str]:
    """B8: Bulk names its next list of pages ``resultpages``."""
    stage = play(DemoOrg(50_002, 50_002, 50_007, lead_relations=3))
    stage.org.traits.lower_case_pages = True
    stage.org.bulk_page_rows = 5_000
    ended = stage.run("--api", "bulk", "--only", "contact", fields='["LastName"]')
    if (held := stage.count("sf_contacts")) < 50_002:
        yield f"exit {ended.code}, {held:,} of 50,002 contacts are held: {ended.message}"


def settings_under_the_pipelines_name(play: Play) -> Iterator[str]:
    """B17: ``id_column`` stands in the section of the pipeline."""
    stage = play(DemoOrg.tiny())
    stage.configure(
        "config.toml",
        '[targeted_contacts.sources.salesforce_targeted]\nid_column = "salesforce_id"\n',
    )
    stage.ok()
    if not stage.count("sf_contacts", "salesforce_id LIKE '003%'"):
        yield "id_column is not obeyed"


def secrets_with_a_byte_order_mark(play: Play) -> Iterator[str]:
    """B18: an editor put it before ``.dlt/secrets.toml``."""
    stage = play(DemoOrg.tiny())
    stage.environ = {}
    text = f'instance_url = "{stage.url}"\naccess_token = "{stage.token}"\n'
    stage.configure("secrets.toml", f"\ufeff[sources.salesforce_targeted.credentials]\n{text}")
    ended = stage.run()
    if ended.code and "byte order mark" not in ended.message:
        yield f"exit {ended.code}: {ended.message}"


def dates_that_are_none(play: Play) -> Iterator[str]:
    """B19: a duration, a time of day and a word are no dates."""
    stage = play(DemoOrg.tiny())
    for text in ("P7D", "12:00", "now"):
        ended = stage.run("--since", text)
        if ended.code != WRONG_USE:
            how = "is taken for a date" if ended.code == DONE else ended.message
            yield f"{text}: exit {ended.code}, {how}"


def a_file_named_as_the_dataset(play: Play) -> Iterator[str]:
    """B20: DuckDB calls the catalog of ``salesforce.prod.duckdb`` as the dataset is called."""
    stage = play(DemoOrg.tiny())
    stage.environ["DESTINATION__DUCKDB__CREDENTIALS"] = "duckdb:///salesforce.prod.duckdb"
    ended = stage.run()
    if (ended.code, stage.org.billed) != (WRONG_USE, 0):
        yield f"exit {ended.code} after {stage.org.billed} calls: {ended.message}"


STORIES = {
    "B1": no_view_setup,
    "B2": bulk_jobs_are_spent,
    "B3": too_many_fields_at_once,
    "B4": aggregates_that_time_out,
    "B5": many_fields_and_deleted_contacts,
    "B7": a_session_dies_between_pages,
    "B8": result_pages_in_lower_case,
    "B17": settings_under_the_pipelines_name,
    "B18": secrets_with_a_byte_order_mark,
    "B19": dates_that_are_none,
    "B20": a_file_named_as_the_dataset,
}
