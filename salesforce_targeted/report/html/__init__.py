"""``--report-html``: a run as one self-contained page, readable on a phone, with nothing to fetch.

``page`` fills ``templates/page.html``: headline numbers first, then detail. Bars and columns are
HTML and CSS. No values of records are on it: counts, names of tables and fields, and the ids and
errors of rejected records.
"""
