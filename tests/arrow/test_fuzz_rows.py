"""Whatever stands in a page or a record, it becomes a table, or is refused or rejected as documented."""

import pyarrow as pa
from hypothesis import example, given
from hypothesis import strategies as st

from salesforce_targeted.arrow.from_csv import csv_texts, from_csv
from salesforce_targeted.arrow.from_json import from_records
from tests.support.fields import ONE_OF_EACH, records
from tests.support.fuzz import JSON, altered, fuzzed

CSV = [
    b'"Id","Text","Long","Flag","Int","Double","Day","Moment","Time","Odd"\n'
    b'"003","a ""b"" \r\n c","\xc3\xbc,","true","-7","1.5E7","1700-01-01","2024-02-29T23:59:59.999Z","23:59:59.999Z","x"\n'
    b'"004","","","","","","","","",""\n',
    b'"Id","Text","Long","Flag","Int","Double","Day","Moment","Time","Odd"\n',
    b'"Id"\n"003"\n',
    b"",
]
CELLS = st.sampled_from(
    ["", "0", "1.5", "-0", "1E400", "NaN", "nan", "inf", "true", "TRUE", "0000-00-00", "0001-01-01", "4000-12-31", "99999-01-01",
     "-0044-03-15", "2024-02-30", "2024-02-29T25:00:00Z", "2024-02-29T23:59:60.000Z", "2024-02-29", "24:00:00.000Z", "9" * 400,
     "\0", "\x0b", "\u2028", "null", "-", "+1", "0x10", "1_000", " 1", "12:00"]
) | st.text(st.characters(exclude_categories=["Cs"]), max_size=6)  # fmt: skip


@fuzzed(100)
@given(st.binary(max_size=200) | altered(CSV))
@example(b'"Id","Text"\n"\xff","x"\n')
@example(CSV[0] * 2)
@example(CSV[0][:-1])
def test_a_page_of_csv_is_a_table_or_an_arrow_error(page):
    """Its documented error, whatever the page is."""
    try:
        batch = from_csv(csv_texts(page, ONE_OF_EACH), ONE_OF_EACH)
    except pa.ArrowException:
        return
    assert ONE_OF_EACH.schema == batch.table.schema
    batch.table.validate(full=True)


@fuzzed(75)
@given(st.lists(st.lists(CELLS, min_size=9, max_size=9), max_size=4))
def test_any_cell_is_loaded_or_rejected(rows):
    """Well-formed CSV with any cells: every row comes, every value is there, null or rejected."""
    lines = [ONE_OF_EACH.fields, *([f"{n:018}", *row] for n, row in enumerate(rows))]
    page = "".join(
        ",".join('"' + value.replace('"', '""') + '"' for value in line) + "\n" for line in lines
    )
    batch = from_csv(csv_texts(page.encode(), ONE_OF_EACH), ONE_OF_EACH)
    batch.table.validate(full=True)
    refused = {(r.record_id, r.field) for r in batch.rejected}

    assert [f"{n:018}" for n in range(len(rows))] == batch.table.column("id").to_pylist()
    for number, row in enumerate(rows):
        for column, text in zip(ONE_OF_EACH.items[1:], row, strict=True):
            held = batch.table.column(column.name)[number].as_py()
            empty = not text.replace("\0", "") if pa.types.is_string(column.type) else not text
            assert (held is None) == (empty or (f"{number:018}", column.field) in refused)


VALUES = JSON | CELLS | st.integers(min_value=2**62) | st.text(max_size=3)


@fuzzed(100)
@given(st.lists(st.dictionaries(st.sampled_from(ONE_OF_EACH.fields[1:]), VALUES), max_size=4))
def test_any_record_is_loaded_or_rejected(values):
    """Records of any JSON: every record is a row; what can't be a value is rejected alone."""
    rows = [{"Id": f"{n:018}", **value} for n, value in enumerate(values)]
    batch = from_records(rows, ONE_OF_EACH)
    batch.table.validate(full=True)
    refused = [(r.record_id, r.field) for r in batch.rejected]

    assert [row["Id"] for row in rows] == batch.table.column("id").to_pylist()
    assert len(refused) == len(set(refused))
    assert [] == [r for r in batch.rejected if not isinstance(r.payload, str)]


@fuzzed(40)
@given(st.lists(records, max_size=3), st.data())
def test_true_records_survive_a_stranger(rows, data):
    """A record of nonsense among true ones changes nothing of theirs."""
    true = [{"Id": f"{n:018}", **row} for n, row in enumerate(rows)]
    strange = {
        "Id": "stranger",
        **data.draw(st.dictionaries(st.sampled_from(ONE_OF_EACH.fields[1:]), VALUES)),
    }
    alone = from_records(true, ONE_OF_EACH).table
    mixed = from_records([*true, strange], ONE_OF_EACH).table

    assert alone.equals(mixed.slice(0, len(true)).combine_chunks())
