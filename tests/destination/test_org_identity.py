"""Which org a dataset is of: two never mix in one, whatever they are called."""

from __future__ import annotations

from pathlib import Path

import pytest

from salesforce_targeted.demo_org import DemoOrg
from salesforce_targeted.demo_org.http.server import DemoServer
from tests.support.script import OTHER_ORG, Script, ids, rows


@pytest.mark.brief(1)
@pytest.mark.parametrize("other", ["id", "host"])
def test_the_dataset_of_another_org_is_refused(
    org: DemoOrg,
    server: DemoServer,
    script: Script,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    other: str,
) -> None:
    """Two orgs never mix in one dataset: exit 2 with the remedy, whatever the working folder."""
    script()
    held = rows(tmp_path, "sf_contacts")
    if other == "id":  # as a sandbox has after a refresh
        org.org_id = OTHER_ORG
        monkeypatch.setenv("SALESFORCE_ACCESS_TOKEN", org.issue_token())
    else:  # a token that is a JWT does not tell the org's id
        org.sessions.add("a.json.token")
        monkeypatch.setenv("SALESFORCE_ACCESS_TOKEN", "a.json.token")
        monkeypatch.setenv("SALESFORCE_INSTANCE_URL", f"http://localhost:{server.port}")
    org.edit("Contact", org.active_ids()[0], LastName="Of the other org")
    refused = [script(), script("--pipelines-dir", "new")]
    elsewhere = script("--dataset", "other")

    assert [2, 2] == [ended.code for ended in refused]
    for ended in refused:
        assert "the dataset holds the org 127.0.0.1" in ended.out
        assert "Choose another --dataset or --destination" in ended.out
    assert held == rows(tmp_path, "sf_contacts")
    assert 0 == elsewhere.code
    assert set(org.active_ids()) == ids(tmp_path, "sf_contacts", dataset="other")


@pytest.mark.deep
def test_an_org_whose_my_domain_was_renamed_is_the_same(
    org: DemoOrg, server: DemoServer, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The id tells which org it is, not the host; afterwards the new host does where no id comes."""
    script()
    monkeypatch.setenv("SALESFORCE_INSTANCE_URL", f"http://localhost:{server.port}")
    renamed = script("--json")
    org.sessions.add("a.json.token")
    monkeypatch.setenv("SALESFORCE_ACCESS_TOKEN", "a.json.token")
    without_id = script("--json")

    assert [0, 0] == [renamed.code, without_id.code]
    assert [12, 12] == [ended.facts["contacts"]["unchanged"] for ended in (renamed, without_id)]
