"""What a terminal shows and a pipe does not: colour, marks, the live progress; and no stream breaks."""

from __future__ import annotations

import io
import logging
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from salesforce_targeted.cli import screen
from salesforce_targeted.demo_org.http.server import DemoServer
from tests.support.script import ROOT, SCRIPT, command, process, session_of

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo-terminal")
COLOUR = re.compile(r"\x1b\[[0-9;]*[1-9][0-9;]*m")
SEQUENCE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
Watched = Callable[..., str]


@pytest.fixture
def watched(server: DemoServer, tmp_path: Path) -> Watched:
    """Provide the script on a real terminal of 80 columns; all that was written to it."""
    import fcntl
    import pty
    import struct
    import termios

    def run(*argv: str, **environ: str) -> str:
        ours = ("SALESFORCE_", "NO_COLOR", "FORCE_COLOR", "TERM", "COLUMNS", "LINES")
        clean = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        clean |= session_of(server) | {"TERM": "xterm-256color", "PYTHONPATH": str(ROOT)} | environ
        reader, terminal = pty.openpty()
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        process = subprocess.Popen(
            [sys.executable, str(SCRIPT), *argv],
            cwd=tmp_path, env=clean, stdin=terminal, stdout=terminal, stderr=terminal,
        )  # fmt: skip
        os.close(terminal)
        written = b""
        while True:
            try:
                part = os.read(reader, 65_536)
            except OSError:  # Linux: the other end is closed
                break
            if not part:
                break
            written += part
        os.close(reader)
        process.wait(60)
        return written.decode("utf-8", "replace")

    return run


def lines(shown: str) -> list[str]:
    """Return the lines of an output without the sequences that colour it or move the cursor."""
    return re.split(r"[\r\n]+", SEQUENCE.sub("", shown))


def test_a_sync_on_a_terminal(watched: Watched) -> None:
    """A live line for each step, log lines above it whole, and a coloured verdict."""
    shown = watched()
    plain = lines(shown)

    for step in ("reading from the org", "loading"):
        assert step in shown
    assert "\x1b[2K" in shown  # the live line is wiped
    assert re.search(r"^\d\d:\d\d:\d\d Contact: 12 of 12$", "\n".join(plain), re.MULTILINE)
    assert "\x1b[1;32mdone\x1b[0m in " in shown
    assert max(len(line) for line in plain if "━" not in line) <= 80


@pytest.mark.deep
def test_a_checklist_on_a_terminal(watched: Watched) -> None:
    """Marks in place of words, and every line within the width."""
    shown = watched("--test")
    plain = [line for line in lines(shown) if line.startswith(("✓", "!", "✗"))]

    assert 16 == len({line.split("  ")[0] for line in plain})
    assert "\x1b[32m✓\x1b[0m" in shown
    assert all(len(line) <= 80 for line in lines(shown))


@pytest.mark.deep
@pytest.mark.parametrize("argv", [("--test",), ()], ids=str)
def test_no_color_is_honoured(watched: Watched, argv: tuple[str, ...]) -> None:
    """NO_COLOR on a terminal: not one colour."""
    coloured = set(re.findall(r"\x1b\[([0-9;]*)m", watched(*argv, NO_COLOR="1")))

    # Bold and dim are no colours.
    assert set() == {
        code for style in coloured for code in style.split(";") if code not in {"", "0", "1", "2"}
    }


@pytest.mark.deep
def test_a_dumb_terminal_gets_plain_lines(watched: Watched) -> None:
    """TERM=dumb: no sequence at all, and log lines as in a file."""
    shown = watched(TERM="dumb")

    assert "\x1b" not in shown
    assert "INFO Contact: 12 of 12" in shown


def test_json_on_a_terminal_is_json(watched: Watched) -> None:
    """Nothing is drawn next to it."""
    shown = watched("--json", "--count")

    assert "\x1b" not in shown
    assert 1 == sum(line.startswith("{") for line in lines(shown))


@pytest.mark.deep
@pytest.mark.parametrize("argv", [("--plan",), ()], ids=str)
def test_a_pipe_gets_neither_colour_nor_live_lines(
    server: DemoServer, tmp_path: Path, argv: tuple[str, ...]
) -> None:
    """Stdout and stderr in pipes: plain lines, no space at an end, no wrapping."""
    ended = process(*argv, cwd=tmp_path, environ={**session_of(server), "COLUMNS": "40"})

    assert "\x1b" not in ended.out + ended.err
    assert "━" not in ended.err
    assert [] == [line for line in ended.out.splitlines() if line != line.rstrip()]
    assert max(map(len, ended.out.splitlines())) > 40


@pytest.mark.deep
def test_force_color_colours_a_pipe(server: DemoServer, tmp_path: Path) -> None:
    """FORCE_COLOR=1, as a CI's log may want."""
    tested = process("--test", cwd=tmp_path, environ={**session_of(server), "FORCE_COLOR": "1"})

    assert 0 == tested.code
    assert COLOUR.search(tested.out)


@pytest.mark.deep
@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_stream_that_can_not_say_it_all(
    server: DemoServer, tmp_path: Path, encoding: str
) -> None:
    """Characters that it lacks become "?"; the run goes on, and marks are words."""
    environ = {**session_of(server), "PYTHONIOENCODING": encoding, "FORCE_COLOR": "1"}
    helped = process("--help", cwd=tmp_path, environ=environ)
    tested = process("--test", cwd=tmp_path, environ=environ)
    synced = process("--report-dir", "w\u0142asne", cwd=tmp_path, environ=environ)
    refused = process("--since", "\u2026", cwd=tmp_path, environ=environ)

    assert [0, 0, 0, 2] == [ended.code for ended in (helped, tested, synced, refused)]
    assert "ok  \x1b[0m sign-in" in tested.out
    assert "w?asne/targeted_contacts_" in synced.out
    assert "is not a date" in refused.err


@pytest.mark.brief(1)
@pytest.mark.parametrize(
    ("around", "code", "message"),
    [
        ("exec {} 2>&-", 0, ""),
        ("exec {} >/dev/full", 1, "No space left on device"),
        ("mkdir gone && cd gone && rmdir ../gone && exec {}", 2, "the current folder was removed"),
    ],
    ids=["stderr closed", "stdout full", "folder gone"],
)
def test_a_shell_that_gives_no_stream_or_no_folder(
    server: DemoServer, tmp_path: Path, around: str, code: int, message: str
) -> None:
    """The exit code is that of the work, or of the mistake: no other one, and no traceback."""
    ended = command(
        "sh",
        "-c",
        around.format(f"{sys.executable} {SCRIPT} --count"),
        cwd=tmp_path,
        environ=session_of(server),
    )

    assert code == ended.code, ended.out + ended.err
    assert message in ended.err
    assert "Exception ignored" not in ended.err


@pytest.mark.deep
@pytest.mark.parametrize(
    ("argv", "with_stderr", "code"),
    [
        ((), False, 0),
        (("--json",), False, 0),
        ((), True, 0),
        (("--destination", "nosuch"), True, 2),
    ],
    ids=str,
)
def test_a_reader_that_has_gone(
    server: DemoServer, tmp_path: Path, argv: tuple[str, ...], with_stderr: bool, code: int
) -> None:
    """In front of ``| true``: the exit code is that of the load, and nothing is said of the pipe."""
    reader, writer = os.pipe()
    os.close(reader)
    ended = subprocess.run(
        [sys.executable, str(SCRIPT), *argv],
        cwd=tmp_path,
        env={**os.environ, **session_of(server), "PYTHONPATH": str(ROOT)},
        stdout=writer,
        stderr=writer if with_stderr else subprocess.PIPE,
        check=False,
    )
    os.close(writer)

    assert code == ended.returncode, ended.stderr
    assert with_stderr or b"pipe" not in ended.stderr.lower()


def test_a_log_line_that_fails_ends_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """Logging's own rule: a record that can't be formatted is reported, not raised."""
    stream = io.StringIO()
    logger = logging.getLogger("a terminal's")
    logger.setLevel(logging.INFO)
    logger.propagate = False
    logger.addHandler(screen.ConsoleHandler(screen.console(stream)))
    logger.info("%d", "no number")
    logger.warning("said [bold]as it is[/bold]")

    assert "said [bold]as it is[/bold]\n" == stream.getvalue().split("x ")[-1].lstrip()
    assert "no number" in capsys.readouterr().err
