"""Draw the active contacts by account, of what targeted_contacts.py has loaded.

    python pipelines/targeted_contacts.py --demo
    python pipelines/active_contacts_by_account.py --label practice_name__c

Needs matplotlib, which comes with the extra "html".
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path

import dlt
from dlt.common.destination.exceptions import DestinationUndefinedEntity
from dlt.pipeline.exceptions import CannotRestorePipelineException

PIPELINE_NAME = "targeted_contacts"
# The accounts themselves are not held: a field of their contacts may say what they are called.
QUERY = """
SELECT COALESCE(MAX({label}), c.account_id, 'no account') AS account, COUNT(*) AS active_contacts
FROM {contacts} AS c
JOIN {lives} AS a ON a.contact_id = c.{key}
WHERE a.is_active
GROUP BY c.account_id
ORDER BY active_contacts DESC, account
LIMIT {most}
"""


def accounts(
    pipeline: dlt.Pipeline, label: str = "account_id", most: int = 20, key: str = "id"
) -> list[tuple[str, int]]:
    """Return the accounts with the most active contacts, the fullest first.

    Args:
        label: The column of ``sf_contacts`` that tells what an account is called.
        key: What Salesforce's ``Id`` is called in the tables (``id_column``).
    """
    with pipeline.sql_client() as client:
        statement = QUERY.format(
            label=f"c.{client.escape_column_name(label)}",
            contacts=client.make_qualified_table_name("sf_contacts"),
            lives=client.make_qualified_table_name("sf_active_contacts"),
            key=client.escape_column_name(key),
            most=most,
        )
        return [(str(name), int(count)) for name, count in client.execute_sql(statement) or ()]


def draw(found: Sequence[tuple[str, int]], path: Path) -> None:
    """Bars, the fullest account on top, as whatever the file's name ends in (.svg, .png, .pdf)."""
    from matplotlib.figure import Figure  # a second that --help need not wait

    figure = Figure(figsize=(8, 1 + 0.3 * len(found)), layout="constrained")
    axes = figure.subplots()
    # Two accounts may have the same name: a bar each.
    bars = axes.barh(range(len(found)), [count for _, count in found], color="#2a78b8")
    axes.set_yticks(range(len(found)), [name for name, _ in found])
    axes.bar_label(bars, padding=3)
    axes.invert_yaxis()
    axes.set_title("Active contacts by account")
    axes.xaxis.set_visible(False)
    axes.spines[["top", "right", "bottom"]].set_visible(False)
    figure.savefig(path)


def main(argv: Sequence[str] | None = None) -> int:
    """Read, print and draw.

    Returns:
        0 done, 1 nothing was loaded yet, 2 wrong use.
    """
    asked = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    asked.add_argument("--label", default="account_id", help="column of sf_contacts (account_id)")
    asked.add_argument("--most", type=int, default=20, help="how many accounts (20)")
    asked.add_argument("--output", type=Path, default=Path("active_contacts_by_account.svg"))
    asked.add_argument("--pipelines-dir", help="dlt's working folder")
    args = asked.parse_args(argv)
    try:
        pipeline = dlt.attach(PIPELINE_NAME, pipelines_dir=args.pipelines_dir)
    except CannotRestorePipelineException:
        print("Nothing is loaded yet: run targeted_contacts.py first.", file=sys.stderr)
        return 1
    columns = pipeline.default_schema.tables.get("sf_contacts", {}).get("columns", {})
    if columns and args.label not in columns:
        nearest = get_close_matches(args.label, columns)
        asked.error(f"--label: sf_contacts has no column {args.label}; perhaps {nearest or 'id'}?")
    try:
        found = accounts(pipeline, args.label, args.most)
    except DestinationUndefinedEntity:
        found = []
    if not found:
        print(f"The dataset of the last run, {pipeline.dataset_name}, holds no active contacts.",
              file=sys.stderr)  # fmt: skip
        return 1
    for name, count in found:
        print(f"{count:6,}  {name}")
    try:
        draw(found, args.output)
    except (OSError, ValueError) as error:  # a folder that is not there, an ending that is none
        asked.error(f"--output {args.output}: {error}")
    print(f"drawn in {args.output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
