"""What an extraction keeps in memory, and until when: ids by the million."""

from __future__ import annotations

import gc
from collections.abc import Callable

import pytest

from salesforce_targeted import salesforce_targeted
from salesforce_targeted.arrow.batch import EVERY_RECORD
from salesforce_targeted.arrow.id_set import IdSet
from salesforce_targeted.demo_org import DemoOrg
from tests.conftest import Synced


@pytest.fixture
def ids_kept() -> Callable[[], set[str]]:
    """Provide what returns the ids of all sets that the test has made."""

    def sets() -> dict[int, IdSet]:
        return {id(kept): kept for kept in gc.get_objects() if isinstance(kept, IdSet)}

    before = sets()  # of other tests, whose errors may keep them
    return lambda: {id_ for at, kept in sets().items() if at not in before for id_ in kept}


def test_the_load_has_the_room_of_the_ids(synced: Synced, ids_kept: Callable[[], set[str]]) -> None:
    """Extracted, the source is still there while dlt loads; what its stages found is not."""
    source = salesforce_targeted(synced.credentials)
    synced.pipeline.extract(source)

    assert ids_kept() <= {EVERY_RECORD}


def test_relations_are_forgotten_once_they_are_compared(
    org: DemoOrg, synced: Synced, ids_kept: Callable[[], set[str]]
) -> None:
    """There are more of them than of anything else, and no stage asks for them again."""
    kept: list[set[str]] = []
    source = salesforce_targeted(synced.credentials)
    source.contact.add_map(lambda rows: kept.append(ids_kept()) or rows)
    synced.pipeline.extract(source)

    assert {*org.active_ids()} <= kept[0]
    assert not {*org.rows("TaskWhoRelation")} & kept[0]
