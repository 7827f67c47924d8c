"""The org by itself: ``python -m salesforce_targeted.demo_org``."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import requests


@contextmanager
def killed_at_last(process: subprocess.Popen[str]) -> Iterator[None]:
    """Whatever fails, the process ends."""
    try:
        yield
    finally:
        process.kill()


def test_it_prints_where_it_is_and_how_to_sign_in():
    """The printed token opens the printed address; Ctrl-C ends it."""
    command = [sys.executable, "-m", "salesforce_targeted.demo_org", "--port", "0",
               "--contacts", "100", "--active", "5", "--relations", "20"]  # fmt: skip
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True,
    ) as process, killed_at_last(process):  # fmt: skip
        lines = [process.stdout.readline() for _ in range(7)]
        text = "".join(lines)
        url = re.search(r"http://127\.0\.0\.1:\d+", text)[0]
        token = re.search(r"token (\S+)", text)[1]
        with requests.Session() as session:
            session.trust_env = False
            answer = session.get(
                f"{url}/services/data/v64.0/limits",
                headers={"Authorization": f"Bearer {token}"},
                timeout=10,
            )
        process.send_signal(signal.SIGINT)
        process.wait(timeout=10)

    assert 200 == answer.status_code
    assert "export SALESFORCE_LOGIN_URL=" + url in text
    assert 0 == process.returncode
