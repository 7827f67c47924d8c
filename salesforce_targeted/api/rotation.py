"""Where a rotated refresh token survives a crash: one small file that only its owner can read.

Rules:
1. With rotation each refresh token works once. The new one is on disk before the old one's answer
   is used.
2. A token that the user sets anew wins over the file: the file says which configured token it
   follows (as a hash), and counts for that one only.

Source: Salesforce Help, "Refresh Token Rotation".
"""

import hashlib
import json
import logging
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_log = logging.getLogger(__name__)


class TokenFile:
    """The file of one app at one org."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path).expanduser()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Hold off other processes: two of them with one single-use token lock each other out.

        Where the platform or the folder offers no lock this does nothing.
        """
        try:
            import fcntl  # absent on Windows

            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle = os.open(f"{self.path}.lock", os.O_CREAT | os.O_RDWR, 0o600)
        except (ImportError, OSError):
            yield
            return
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    def newest(self, configured: str) -> str:
        """The token that follows the configured one, or that one itself."""
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
        """Write the new token, all or nothing; False (and a warning) where that is impossible."""
        content = json.dumps({"follows": _hash(configured), "refresh_token": token})
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            # mkstemp makes the file with mode 0600; replacing is atomic within a folder.
            handle, name = tempfile.mkstemp(dir=self.path.parent, prefix=self.path.name)
            try:
                with os.fdopen(handle, "w", encoding="utf-8") as file:
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())
                Path(name).replace(self.path)
            except OSError:
                with suppress(OSError):
                    Path(name).unlink()
                raise
        except OSError as error:
            _log.warning(
                "the new refresh token can't be stored at %s (%s): it is lost when we end",
                self.path,
                error.strerror,
            )
            return False
        return True


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
