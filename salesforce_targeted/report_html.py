"""``--report-html``: a run as one self-contained page, readable on a phone, with nothing to fetch.

Plots are SVG by matplotlib (the extra ``html``), drawn from the run's facts and from the tables.
"""

from __future__ import annotations

import io
import os
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from salesforce_targeted.api.errors import ConfigurationError
from salesforce_targeted.held import ACTIVE_CONTACTS, RELATIONS, SYNC_RUNS, Held
from salesforce_targeted.report import conservation

_RUNS_SHOWN = 20
_WEEKS_SHOWN = 52
_STYLE = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 60rem; padding: 1rem; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
table { border-collapse: collapse; } .wide { overflow-x: auto; }
td, th { padding: .2rem .8rem .2rem 0; text-align: left; vertical-align: top; }
svg { max-width: 100%; height: auto; background: #fff; border-radius: .4rem; }
.failed, .drift { color: #c22; } .done { color: #2a7; }
"""

Series = Sequence[tuple[str, float]]


def write(facts: Mapping[str, Any], held: Held, path: Path) -> Path:
    """Write the page, for the user alone (mode 0600); returns its path.

    Raises:
        ConfigurationError: matplotlib is not installed.
    """
    content = page(facts, _tables(held))
    opened = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(opened, "w", encoding="utf-8") as stream:
        stream.write(content)
    return path


def page(facts: Mapping[str, Any], plots: Mapping[str, Series]) -> str:
    """The page's HTML.

    Args:
        plots: Title to (label, value) pairs, drawn in this order after the calls of this run.
    """
    calls = facts["calls"]
    drawn = {
        "API calls, by kind": list(calls["by_kind"].items()),
        "API calls, foreseen and counted": [
            ("foreseen", calls["predicted"]),
            ("counted", calls["total"]),
        ],
        **plots,
    }
    closure = facts["closure"]
    summary = {
        "Mode": facts["mode"],
        "Seconds": f"{facts['seconds']:.1f}",
        "Contacts": conservation(facts["contacts"]),
        "Contacts held": f"{facts['contacts']['held'] or 0:,}",
        "Relations held": f"{facts['relations']['held'] or 0:,}",
        "Relations explained": f"{closure['relations_explained_pct'] or 0:.2f} %",
        "Tasks not plainly shown": ", ".join(
            f"{reason} {count:,}" for reason, count in closure["tasks_missing"].items()
        ),
        **({"Error": facts["error"]} if facts.get("error") else {}),
    }
    rejected = {
        f"{one['object']} {one['record_id']}": f"{one['field'] or '*'}: {one['error']}"
        for one in facts["rejected"]
    }
    parts = [
        f"<h1>Targeted contact sync <span class={facts['status']}>{facts['status']}</span></h1>",
        f"<p>{facts['started_at']:%Y-%m-%d %H:%M:%S} UTC</p>",
        _rows(summary),
        *(f"<h2>{escape(title)}</h2>{_bars(series)}" for title, series in drawn.items() if series),
    ]
    if facts["warnings"]:
        listed = "".join(f"<li>{escape(warning)}" for warning in facts["warnings"])
        parts.append(f"<h2>Warnings</h2><ul>{listed}</ul>")
    if rejected:
        parts.append(f"<h2>Rejected</h2>{_rows(rejected)}")
    body = "\n".join(parts)
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Targeted contact sync</title><style>{_STYLE}</style>\n{body}</html>\n"
    )


def _tables(held: Held) -> dict[str, Series]:
    """What the tables say: contacts by life stage, relations per week, the last runs."""
    stage = (
        "CASE WHEN gone_reason IS NOT NULL THEN gone_reason WHEN is_active THEN 'active'"
        " ELSE 'left' END"
    )
    stages = held.rows(ACTIVE_CONTACTS, [stage, "COUNT(*)"], group_by=stage)
    week = f"date_trunc('week', {held.name('CreatedDate')})"
    weeks = held.rows(RELATIONS, [week, "COUNT(*)"], f"{week} IS NOT NULL", group_by=week)
    runs = held.rows(SYNC_RUNS, ["started_at", "calls_total", "seconds"])
    last = sorted(runs, key=lambda row: row[0])[-_RUNS_SHOWN:]
    return {
        "Contacts by life stage": sorted((str(name), n) for name, n in stages),
        "Relations per week": [(f"{day:%Y-%m-%d}", n) for day, n in sorted(weeks)[-_WEEKS_SHOWN:]],
        "Seconds of the last runs": [(f"{at:%m-%d %H:%M}", seconds) for at, _, seconds in last],
        "Calls of the last runs": [(f"{at:%m-%d %H:%M}", calls) for at, calls, _ in last],
    }


def _bars(series: Series) -> str:
    """Horizontal bars as inline SVG."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ConfigurationError(
            "--report-html draws with matplotlib, which is not installed",
            remedy="pip install 'dlt-source-salesforce-targeted[html]'",
        ) from error
    figure = Figure(figsize=(8, 0.6 + 0.3 * len(series)), layout="constrained")
    axes = figure.subplots()
    positions = range(len(series))
    bars = axes.barh(positions, [value for _, value in series], color="#3b7dd8")
    axes.set_yticks(positions, [label for label, _ in series])
    axes.bar_label(bars, [f" {value:,.6g}" for _, value in series])
    axes.invert_yaxis()
    axes.margins(x=0.15)
    axes.spines[["top", "right", "bottom"]].set_visible(False)
    axes.xaxis.set_visible(False)
    drawn = io.StringIO()
    figure.savefig(drawn, format="svg", metadata={"Date": None})
    return drawn.getvalue()[drawn.getvalue().index("<svg") :]


def _rows(values: Mapping[str, str]) -> str:
    cells = "".join(f"<tr><th>{escape(name)}<td>{escape(value)}" for name, value in values.items())
    return f'<div class="wide"><table>{cells}</table></div>'
