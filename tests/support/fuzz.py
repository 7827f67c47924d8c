"""Bytes and values that no well-behaved org sends, for tests that are given many of them.

Bounded and the same in every run; ``FUZZ_EXAMPLES=20000`` tries as many new ones per test instead.
"""

import json
import os

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from salesforce_targeted.api.models import Response
from tests.api.conftest import SAMPLES, load_sample

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "0"))


def fuzzed(usual):
    """So many examples, the same ones each time; or as many new ones as FUZZ_EXAMPLES says."""
    return settings(
        max_examples=EXAMPLES or usual,
        derandomize=not EXAMPLES,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )


CASES = sorted(path.parent.name for path in SAMPLES.glob("*/body"))
BODIES = [load_sample(case).body for case in CASES]
DEEP = b'[{"a":' * 3_000
TOKENS = st.sampled_from(
    [b"null", b"true", b"{}", b"[]", b"[[", b"]", b"}", b'"', b'""', b",", b":", b"\\", b"\\u0000", b"\\ud800",
     b"\\ud83d\\ude00", b"1e999", b"-1e999", b"NaN", b"-Infinity", b"-0", b"1.5", b"9" * 30, b"9" * 5_000, b"\x00",
     b"\xff", b"\xed\xa0\x80", b"\xef\xbb\xbf", b"\xe2\x80\xa8", b"\xc2\x85", b"\x0b", b"\r", b"\n", b"\r\n", b"<html>",
     b"<title>\xff</title>", b'"records":', b'"done":false', b'"totalSize":-1', b'"nextRecordsUrl":"/"', b'"fields":{}',
     b'"attributes":[]', b'"errorCode":', b'"httpStatusCode":"200"', b'"referenceId":"r0"', b'"compositeResponse":', DEEP,
     "٧".encode(), "²".encode(), b"=", b'="', b"''"]
)  # fmt: skip


@st.composite
def altered(draw, bodies):
    """One of the bodies, with pieces cut out, put in, doubled and exchanged."""
    body = draw(st.sampled_from(bodies))
    for _ in range(draw(st.integers(0, 4))):
        start = draw(st.integers(0, len(body)))
        end = min(len(body), start + draw(st.sampled_from([0, 0, 1, 2, 7, 60, 10_000])))
        put = draw(TOKENS | st.binary(max_size=4) | st.just(body[start:end] * 2))
        body = body[:start] + put + body[end:]
    return body


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["records", "done", "totalSize", "nextRecordsUrl", "id", "Id", "state", "compositeResponse",
                         "referenceId", "httpStatusCode", "attributes", "resultPages", "resultUrl", "fields", "body",
                         "errorCode", "message", "apiVersion", "numberRecordsProcessed", "error", "error_description",
                         "access_token", "instance_url", "sObjects", "name", "count", "version"]), inner, max_size=5),
    max_leaves=12,
)  # fmt: skip
ANSWERS = (
    st.binary(max_size=60) | altered(BODIES) | JSON.map(lambda value: json.dumps(value).encode())
)
HEADERS = st.fixed_dictionaries(
    {},
    optional={
        name: st.text(max_size=12) | st.sampled_from(["null", "api-usage=1/2", "api-usage=9999999999/-1", "²", "1e3", "text/csv", "TEXT/HTML", "٣"])
        for name in ("Sforce-NumberOfRecords", "Sforce-Locator", "Sforce-Limit-Info", "Content-Type", "Retry-After")
    },
)  # fmt: skip
RESPONSES = st.builds(Response, st.integers(100, 999), HEADERS, ANSWERS)
