"""Limits so small that a dozen ids cross every boundary."""

from dataclasses import replace

from salesforce_targeted.api.limits import DOCUMENTED

TINY = replace(
    DOCUMENTED,
    ids_per_collection=3,
    rows_per_query_page=4,
    groups_per_query=4,
    soql_chars=2_000,
    literal_chars=60,
    uri_bytes=1_000,
    header_bytes=300,
    ids_per_query=2,
    composite_subrequests=3,
    composite_queries=2,
    bulk_rows_per_page=4,
    bulk_result_pages=2,
)
