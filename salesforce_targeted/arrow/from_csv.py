"""CSV pages of Bulk results become a batch of Arrow rows, the same as of JSON records.

Source: Bulk API 2.0 Developer Guide, "Get Results for a Query Job" (UTF-8, every value quoted, an
empty value is null).
"""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv as pa_csv

from salesforce_targeted.api.readers import as_utf8
from salesforce_targeted.arrow.batch import Batch, one_chunk
from salesforce_targeted.arrow.columns import Columns
from salesforce_targeted.arrow.values import array_of_text, batch_of


def csv_texts(page: bytes, columns: Columns) -> pa.Table:
    """Read a page of Bulk results as texts, by API name.

    Args:
        page: CSV with a header row of API names; line ends inside values are data.

    Raises:
        pa.ArrowException: the page is not CSV with these columns: it was cut or is not ours. (A
            page cut inside its last value reads as whole: ``bulk_readers`` sees that.)
    """
    try:
        return pa_csv.read_csv(
            pa.BufferReader(page),
            # One block: a value of 131,072 characters may not straddle two.
            read_options=pa_csv.ReadOptions(block_size=max(len(page), 1), use_threads=False),
            parse_options=pa_csv.ParseOptions(newlines_in_values=True),
            convert_options=pa_csv.ConvertOptions(
                column_types=dict.fromkeys(columns.fields, pa.string()),
                include_columns=columns.fields,
                null_values=[""],  # only the empty value: "NA" and "null" are values
                strings_can_be_null=True,
                quoted_strings_can_be_null=True,
            ),
        )
    except pa.ArrowInvalid:
        if (repaired := as_utf8(page)) == page:
            raise
        return csv_texts(repaired, columns)


def from_csv(texts: pa.Table, columns: Columns, among: pa.Array | None = None) -> Batch:
    """Turn what ``csv_texts`` read into a batch.

    Args:
        among: Take the rows of these ids only; the others cost next to nothing.
    """
    if among is not None:
        texts = texts.filter(pc.is_in(texts.column(columns.key.field), value_set=among))
    raw = {name: one_chunk(texts.column(name)) for name in columns.fields}
    return batch_of(columns, raw, array_of_text)
