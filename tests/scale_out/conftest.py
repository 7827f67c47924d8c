"""Two configured orgs on Dagster, for each test a platform of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from salesforce_targeted.demo_org.http.server import DemoServer

if TYPE_CHECKING:
    from tests.scale_out.dagster_runs import Platform


@pytest.fixture
def platform(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Platform]:
    """Two orgs are configured; neither has credentials yet."""
    from tests.scale_out.dagster_runs import Platform  # needs Dagster, which is an extra

    platform = Platform(monkeypatch, tmp_path)
    yield platform
    platform.instance.dispose()


@pytest.fixture
def emea(platform: Platform, server: DemoServer) -> Platform:
    """Provide the tiny org, to be signed in to as ``emea``."""
    from tests.scale_out.dagster_runs import signed_in

    for name, value in signed_in("emea", server).items():
        platform.set(name, value)
    return platform
