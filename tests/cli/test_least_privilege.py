"""A user with the permissions that ``--test`` names as needed, and no others, can use every command."""

from __future__ import annotations

from pathlib import Path

import pytest

from salesforce_targeted.demo_org import DemoOrg
from tests.support.script import Script, ids

COMMANDS = ("--sign-in", "--test", "--count", "--plan", "", "--verify", "--full", "--api bulk")
NEEDED = (
    "API Enabled", "Read on Contact", "Read Access to the fields of Contact", "Access Activities",
    "View All Data",
)  # fmt: skip
# The permission that is missing -> how --test and a sync end, and the check that says it.
WITHOUT = {
    "API Enabled": (1, 1, "API enabled"),
    "Read on Contact": (1, 1, "Contact"),
    "Read Access to the fields of Contact": (0, 0, None),
    "Access Activities": (1, 1, "Task"),
    "View All Data": (1, 1, "relations"),
    "View All Users": (0, 0, "User"),
    "View Setup and Configuration": (0, 0, None),
}
OPTIONAL = tuple(name for name in WITHOUT if name not in NEEDED)


def test_the_needed_permissions_are_enough(org: DemoOrg, script: Script, tmp_path: Path) -> None:
    """Each command in turn ends with 0, and what their sync loads is complete."""
    named = script("--test", "--json").facts["permissions"]
    needed = {p["name"] for p in named if p["needed"]}
    org.permit_only(needed)
    active = set(org.active_ids())
    ended = {command: script(*command.split(), "--json") for command in COMMANDS}

    assert set(NEEDED) == needed
    assert {0} == {run.code for run in ended.values()}, ended
    assert {"done"} == {run.facts["status"] for run in ended.values()}
    assert active == ids(tmp_path, "sf_contacts")


@pytest.mark.brief(2)
@pytest.mark.parametrize("missing", WITHOUT)
def test_a_missing_permission_is_named_with_what_it_costs(
    org: DemoOrg, script: Script, missing: str
) -> None:
    """``--test`` says which it is; a sync ends as the table of permissions says."""
    org.permit_only(set(WITHOUT) - {missing})
    test = script("--test", "--json")
    synced = script("--json")
    of_test, of_sync, check = WITHOUT[missing]
    permission = {p["name"]: p for p in test.facts["permissions"]}[missing]

    assert (of_test, of_sync) == (test.code, synced.code), synced.facts.get("error")
    # Whether a field is hidden from a user or not there at all, the org does not tell.
    assert permission["granted"] is (None if "fields" in missing else False)
    assert permission["needed"] == (missing in NEEDED)
    assert ("fail" in permission["without"] or "refuses" in permission["without"]) == (of_sync != 0)
    if check is not None:
        (line,) = [line for line in test.facts["checks"] if line["name"] == check]
        assert (of_test == 0, True) == (line["ok"], bool(line["remedy"]))
