"""``--report-html``: a run as one self-contained page, readable on a phone, with nothing to fetch.

Headline numbers first, then detail. The plots are SVG by matplotlib (the extra ``html``); where
that is missing, the numbers stand in their tables alone. No values of records are on it: counts,
names of tables and fields, and the ids and errors of rejected records.
"""
