"""The part of a file that has arrived so far, locked against other processes."""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import gzip
import hashlib
import io
import json
import logging
import os
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from fermentome.databases.web import CHUNK

__all__ = ["PARTIAL", "Partial", "Version", "locked_partial", "write_json"]

logger = logging.getLogger(__name__)

PARTIAL = ".part"


@dataclass(frozen=True)
class Version:
    """What the server says of the version of the file that the partial file belongs to.

    Attributes
    ----------
    url
        SHA-256 of the address: the partial file is no place for a password.
    validator
        ETag or date that stands for exactly these bytes, to be sent as `If-Range`; or empty.
    size
        Size of the whole, as sent.
    encoding
        ``Content-Encoding``, empty if none.
    date
        ``Last-Modified``, as ``YYYY-MM-DD``.
    """

    url: str
    validator: str = ""
    size: int | None = None
    encoding: str = ""
    date: str = ""


class Partial:
    """The part of a file that has arrived, locked against other processes."""

    def __init__(self, path: Path, file: io.FileIO) -> None:
        self.path = path
        self._file = file
        self._marks = path.with_name(path.name + ".json")
        self._hash = hashlib.sha256()
        self._hashed = 0
        self.size = os.fstat(file.fileno()).st_size
        self.version = self._read_marks()
        self.continued = False
        if self.size and self.version is None:
            self.clear()

    def digest(self) -> str:
        """SHA-256 of what is here; only what was there before this process is read for it."""
        if self._hashed < self.size:
            self._file.seek(self._hashed)
            while chunk := self._file.read(CHUNK):
                self._hash.update(chunk)
                self._hashed += len(chunk)
        return self._hash.hexdigest()

    def begin(self, version: Version) -> None:
        """Drop what is here and begin with a version of the file."""
        self.clear()
        # Marks come before bytes: there never are bytes of one version with another's marks.
        write_json(self._marks, dataclasses.asdict(version))
        self.version = version

    def clear(self) -> None:
        """Drop what is here."""
        if self.size:
            self._file.truncate(0)
        self._file.seek(0)
        self._marks.unlink(missing_ok=True)
        self._hash = hashlib.sha256()
        self._hashed = self.size = 0
        self.version = None
        self.continued = False

    def append(self, chunk: bytes) -> None:
        """Add what arrived."""
        if self._hashed < self.size:
            self.digest()
        self._file.seek(self.size)
        view = memoryview(chunk)
        while view:
            view = view[self._file.write(view) :]
        self._hash.update(chunk)
        self.size += len(chunk)
        self._hashed = self.size

    def first(self, count: int) -> bytes:
        """The first bytes."""
        self._file.seek(0)
        found: bytes = self._file.read(count)
        return found

    def unpacked(self) -> gzip.GzipFile:
        """What is here, unpacked with gzip."""
        self._file.seek(0)
        return gzip.GzipFile(fileobj=self._file)

    def move(self, path: Path) -> None:
        """Give the file its final name, all at once."""
        os.fsync(self._file.fileno())
        os.replace(self.path, path)
        self._marks.unlink(missing_ok=True)

    def _read_marks(self) -> Version | None:
        try:
            return Version(**json.loads(self._marks.read_text(encoding="utf-8")))
        except (FileNotFoundError, ValueError, TypeError):
            return None


@contextlib.contextmanager
def locked_partial(folder: Path, key: str) -> Iterator[Partial]:
    """The partial file of this key, to this process alone; removed if it ends up empty."""
    path = folder / f"{key}{PARTIAL}"
    with _open_locked(path) as file:
        partial = Partial(path, file)
        try:
            yield partial
        finally:
            if partial.size == 0 and _is_at(file, path):
                partial.clear()
                path.unlink(missing_ok=True)


def _open_locked(path: Path) -> io.FileIO:
    waits = False
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
        file = io.FileIO(descriptor, "r+")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if not waits:
                logger.info("%s: another process downloads this file; waiting for it", path)
            waits = True
            fcntl.flock(file, fcntl.LOCK_EX)
        if _is_at(file, path):
            return file
        file.close()  # finished or removed by the process that held it


def _is_at(file: io.FileIO, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def write_json(path: Path, content: Mapping[str, object]) -> None:
    """Write a small file all at once: other processes see it whole or not at all."""
    fresh = path.with_name(f"{path.name}.{secrets.token_hex(8)}.new")
    fresh.write_text(json.dumps(content), encoding="utf-8")
    os.replace(fresh, path)
