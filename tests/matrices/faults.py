"""Every misfortune on every kind of call: in a first run and a later one, once and for ever."""

from __future__ import annotations

import logging
import multiprocessing
import os
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import TYPE_CHECKING

from tests.matrices.clock import hurry
from tests.matrices.table import Findings, Table

if TYPE_CHECKING:
    from tests.matrices.misfortune import Verdict

# (column, whether in a later run, [(misfortune, whether it stays)]): what one process tries at once.
Bundle = tuple[str, bool, list[tuple[str, bool]]]
_IN_A_BUNDLE = 20
_TITLES = {
    (False, False): "Faults that strike one call and pass, in a first run",
    (True, False): "Faults that strike one call and pass, in a later run",
    (False, True): "Faults that stay, in a first run",
    (True, True): "Faults that stay, in a later run",
}
LEGEND = """\
complete     everything the org shows is held, with the org's values; +n: n billed calls more
rejected n   the same, but for n records that could not be read: named in sf_rejected_records, warned
stopped n    exit code n (1 failed, 2 settings), one paragraph with the remedy; nothing held was lost
partial 3    exit code 3: the calls are spent, what came is loaded, the next run goes on
             after each of those, the next run without the fault was complete
not met      no such call was made
BROKEN       a promise was broken; see the list
·            cannot befall this kind of call"""


def findings(every: int, tell: Callable[[str], None]) -> Findings:
    """Try them all, or each so manieth of a column."""
    bundles = list(_bundles(every))
    wanted = sum(len(trials) for _, _, trials in bundles)
    verdicts: list[Verdict] = []
    for batch in played(bundles):
        verdicts += batch
        for v in batch:  # half an hour of work is not lost with an interrupt
            tell(f"faults: {v.trial}: {v.word} {' '.join(v.broken)}{v.error}")
        tell(f"faults: {len(verdicts)} of {wanted}")
    return _found(verdicts)


def played(bundles: Iterable[Bundle]) -> Iterator[list[Verdict]]:
    """Yield what became of each bundle of trials, as they end; in processes where pauses cost nothing."""
    context = multiprocessing.get_context("spawn")  # a fork would copy the servers' locks
    workers = (os.cpu_count() or 1) + 1  # one of them waits, as a rule
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_begin_quietly) as pool:
        for done in as_completed([pool.submit(_try_out, bundle) for bundle in bundles]):
            yield done.result()


def _bundles(every: int) -> Iterator[Bundle]:
    from tests.matrices.calls import KINDS

    for number, kind in enumerate(KINDS):
        for later in kind.runs:
            trials = [(name, stays) for name in kind.actions for stays in (False, True)]
            trials = trials[(2 * number + later) % every :: every]
            for at in range(0, len(trials), _IN_A_BUNDLE):
                yield kind.title, later, trials[at : at + _IN_A_BUNDLE]


def _begin_quietly() -> None:
    """In a new process, before anything of ours is imported there."""
    hurry()
    logging.disable(logging.CRITICAL)
    os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"


def _try_out(bundle: Bundle) -> list[Verdict]:
    from tests.matrices.calls import KINDS
    from tests.matrices.misfortune import Ground

    title, later, trials = bundle
    (kind,) = (kind for kind in KINDS if kind.title == title)
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        os.environ["DLT_DATA_DIR"] = str(Path(folder, "dlt"))
        ground = Ground(Path(folder, "ground"), kind, later=later)
        verdicts = [ground.try_out(action, stays=stays) for action, stays in trials]
        ground.close()
        os.chdir("/")
    return verdicts


def _found(verdicts: list[Verdict]) -> Findings:
    from salesforce_targeted.demo_org.faults.faults import ACTIONS
    from tests.matrices.calls import KINDS

    titles = [kind.title for kind in KINDS]
    tables = {key: Table(title, titles, "misfortune") for key, title in _TITLES.items()}
    order = list(ACTIONS)
    for v in sorted(verdicts, key=lambda v: order.index(v.trial.action)):
        trial = v.trial
        tables[trial.later, trial.stays].put(trial.action, trial.kind.title, v.word)
    broken = [f"{v.trial}: {sentence}" for v in verdicts for sentence in v.broken]
    broken += [f"{v.trial}: no such call was made" for v in verdicts if not v.struck]
    kinds = Counter(v.word.split(" ")[0] for v in verdicts)
    figures = ", ".join(f"{count} {word}" for word, count in kinds.most_common())
    tried = {v.trial.action for v in verdicts}
    totals = f"{len(verdicts)} faults tried, {len(tried)} misfortunes: {figures}"
    return Findings("faults", list(tables.values()), LEGEND, totals, broken)
