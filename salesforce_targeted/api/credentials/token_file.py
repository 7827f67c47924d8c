"""Keep a rotated refresh token over a crash: one small file that only its owner can read.

Rules:
1. With rotation each refresh token works once. The new one is on disk before the response
   that brought it is used.
2. A new token that the user sets wins over the file: the file says which configured token it
   follows (as a hash), and counts for that one only.
3. Of several processes with one token one signs in at a time, and the next one uses what that one
   was given. They wait for each other: a sign-in takes a second.
4. A warning that a new token can't be kept comes before the old one is spent.

Source: Salesforce Help, "Refresh Token Rotation".
"""

import errno
import hashlib
import json
import logging
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock

_log = logging.getLogger(__name__)


class TokenFile:
    """Be the file of one app at one org."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Hold off other processes: two of them with one single-use token lock each other out.

        Where the folder offers no lock this does nothing.
        """
        lock = FileLock(f"{self.path}.lock", mode=0o600, fallback_to_soft=False,
                        preserve_lock_file=True)  # fmt: skip
        with suppress(OSError):  # a folder that can't be made, a file system without locks
            self._make_folder()
            lock.acquire()
        try:
            yield
        finally:
            lock.release()

    def warn_if_unwritable(self) -> None:
        """Warn while the configured token still works: a rotated one would be lost."""
        if trouble := self.trouble():
            _log.warning(
                "a new refresh token can't be stored at %s (%s): should Salesforce rotate it, it is"
                " lost when we end. Set refresh_token_file to a path that can be written",
                self.path,
                trouble,
            )

    def trouble(self) -> str:
        """Say why a new token can't be written, in the system's words; "" where it can."""
        try:
            self._make_folder()
            if self.path.is_dir():
                return os.strerror(errno.EISDIR)
            with tempfile.TemporaryFile(dir=self.path.parent):
                return ""
        except OSError as error:
            return "" if self._writes_in_place() else error.strerror or type(error).__name__

    def newest(self, configured: str) -> str:
        """Return the token that follows the configured one, or that one itself."""
        try:
            held = json.loads(self.path.read_text("utf-8"))
            follows, token = held["follows"], held["refresh_token"]
        except FileNotFoundError:
            return configured
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            _log.warning("%s can't be read: the configured refresh token is used", self.path)
            return configured
        return token if follows == _hash(configured) and isinstance(token, str) else configured

    def keep(self, configured: str, token: str) -> bool:
        """Write the new token; return False (and warn) where it can't be."""
        content = json.dumps({"follows": _hash(configured), "refresh_token": token})
        try:
            self._make_folder()
            # mkstemp makes the file with mode 0600; replacing is atomic within a folder, and so the
            # first choice.
            handle, name = tempfile.mkstemp(dir=self.path.parent, prefix=self.path.name)
            try:
                with os.fdopen(handle, "w", encoding="utf-8") as file:
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())
                Path(name).replace(self.path)
                _settle(self.path.parent)
            except OSError:
                with suppress(OSError):
                    Path(name).unlink()
                raise
        except OSError as error:
            if self._writes_in_place():
                with suppress(OSError):  # another user's
                    self.path.chmod(0o600)
                with suppress(OSError):
                    self.path.write_text(content, "utf-8")
                    return True
            _log.warning(
                "the new refresh token can't be stored at %s (%s): it is lost when we end",
                self.path,
                error.strerror,
            )
            return False
        return True

    def _writes_in_place(self) -> bool:
        """Tell whether the file is there, and may be written if not replaced.

        So it is where a container mounts the file alone, or where its folder is another user's.
        """
        return self.path.is_file() and os.access(self.path, os.W_OK)

    def _make_folder(self) -> None:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)


def _settle(folder: Path) -> None:
    """Let the move reach the disk: after a power cut the spent token would be back."""
    with suppress(OSError):  # Windows can't open a folder, some file systems can't write it down
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
