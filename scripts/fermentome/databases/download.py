"""Download files and pages: resumed, retried, from mirrors, and never half a file.

`web` makes the requests; this module decides what to ask for and whether to believe the answer.

In the folder of downloads lie

``<sha256>``
    a finished file; ``<sha256>.json`` says where it came from;
``<key>.part``, ``<key>.part.json``
    what has arrived of a file, and the server's marks of the version it belongs to. The key is the
    expected SHA-256, so that mirrors continue each other's work, or that of the URL. A process
    that downloads holds a lock (`fcntl.flock`) on the partial file.

A partial file is continued only when the rest belongs to the same file: the server confirms the
version (`If-Range`), or the SHA-256 of the whole is known. Otherwise the download starts again.
"""

from __future__ import annotations

import contextlib
import errno
import gzip
import hashlib
import json
import logging
import os
import re
import shutil
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote

import requests

from fermentome.databases.pages import Page, fetch_pages
from fermentome.databases.partial import Partial, Version, locked_partial, write_json
from fermentome.databases.progress import Progress
from fermentome.databases.web import (
    CHUNK,
    AttemptError,
    Settings,
    arriving,
    get,
    http_date,
    local_path,
    number,
    open_session,
    persist,
    redact,
    refusal,
    without_secrets,
    without_user,
)
from fermentome.errors import DownloadError

__all__ = [
    "Downloaded",
    "Page",
    "Progress",
    "Settings",
    "download",
    "fetch_pages",
    "file_name",
    "redact",
]

logger = logging.getLogger(__name__)

_GZIP_MAGIC = b"\x1f\x8b"
_GZIP_NAMES = (".gz", ".tgz", ".bgz")
#: Bytes unpacked between two looks at the free space.
_UNPACKED_AT_ONCE = 64 * 1024 * 1024

#: HTTP dates have no fractions of a second, so a file can change twice under one date. RFC 9110
#: 8.8.2.2 lets a date stand for a version when it lay well before the answer's own; the minute is
#: that of RFC 7232 2.2.2.
_OLD_ENOUGH = 60.0


@dataclass(frozen=True)
class Downloaded:
    """A finished file.

    Attributes
    ----------
    path
        Where it lies: ``<folder>/<sha256>``.
    name
        Its own name, as in the first address.
    url
        Address that gave it, without passwords; of a local file the name only.
    sha256, size
        Of the file as stored, `size` in bytes.
    date
        When the server says it was last changed, ``YYYY-MM-DD``, or empty: local files have none,
        since copying a file changes its date.
    """

    path: Path
    name: str
    url: str
    sha256: str
    size: int
    date: str


def download(
    urls: Sequence[str],
    folder: Path,
    *,
    sha256: str | None = None,
    size: int | None = None,
    name: str | None = None,
    progress: Progress | None = None,
    settings: Settings = Settings(),  # noqa: B008 (immutable)
) -> Downloaded:
    """Download one file from the first of its addresses that gives it.

    Parameters
    ----------
    urls
        Addresses of the same file, the preferred one first: http, https, file, or a local path.
    folder
        Folder of downloads; made if missing.
    sha256
        Expected checksum, in hexadecimal. A file that has another one is not kept.
    size
        Expected size in bytes.
    name
        Name of the file, for messages and the result; by default `file_name` of the first address.
    progress
        Shows how far it is; by default a line in the log now and then.
    settings
        Limits.

    Returns
    -------
    Downloaded
        If the file with this checksum is in `folder` already, no address is asked.

    Raises
    ------
    DownloadError
        No address gave the file (all are listed with what happened), the disk is full, or the
        folder cannot be written.
    """
    if not urls:
        raise DownloadError("no address to download from: give at least one URL or file")
    wanted = _Wanted(
        name=file_name(name or urls[0]),
        sha256=_checksum(sha256) if sha256 else None,
        size=size,
        folder=folder,
    )
    key = wanted.sha256 or _key(urls[0])
    progress = progress or Progress(every=settings.log_every)
    with _disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        if found := _finished(wanted, urls[0]):
            return found
        with locked_partial(folder, key) as partial:
            if found := _finished(wanted, urls[0]):  # another process was faster
                return found
            if lacking := _lacking(folder, (size or 0) - partial.size, settings):
                raise DownloadError(lacking)
            try:
                return _from_any(urls, wanted, partial, progress, settings)
            finally:
                progress.stop()


def file_name(url: str) -> str:
    """Name for the file at an address: the last part of its path, in letters that are safe.

    Examples
    --------
    >>> file_name("https://example.org/data/genomes%20v2.tar.gz?download=1")
    'genomes_v2.tar.gz'
    >>> file_name("https://example.org/")
    'download'
    """
    path = url
    if "://" in url:
        path = unquote(re.split("[?#]", url)[0].partition("://")[2].partition("/")[2])
    last = path.rstrip("/").rpartition("/")[2]
    # 255 bytes is the longest name on common file systems.
    return re.sub(r"[^A-Za-z0-9._+-]", "_", last).lstrip(".")[-200:] or "download"


@dataclass(frozen=True)
class _Wanted:
    """The file to have at the end."""

    name: str
    sha256: str | None
    size: int | None
    folder: Path

    def path(self, sha256: str) -> Path:
        return self.folder / sha256


def _origin(url: str) -> str:
    """What a manifest may say of an address: nothing secret, and no folder of this machine."""
    with contextlib.suppress(AttemptError):
        if path := local_path(url):
            return path.name
    return redact(url)


def _finished(wanted: _Wanted, first: str) -> Downloaded | None:
    """The file, if it is here already and undamaged."""
    if wanted.sha256 is None:
        return None
    path = wanted.path(wanted.sha256)
    try:
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return None
    if sha256 != wanted.sha256:
        logger.warning("%s: the file has changed since it was downloaded; fetching it anew", path)
        return None
    try:
        source = json.loads(_source_of(path).read_text(encoding="utf-8"))
        url, date = str(source["url"]), str(source["date"])
    except (FileNotFoundError, ValueError, TypeError, KeyError):
        url, date = _origin(first), ""
    return Downloaded(path, wanted.name, url, sha256, path.stat().st_size, date)


def _source_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.json")


def _from_any(
    urls: Sequence[str],
    wanted: _Wanted,
    partial: Partial,
    progress: Progress,
    settings: Settings,
) -> Downloaded:
    if partial.size and wanted.sha256 and wanted.sha256 == partial.digest():
        # Complete, but the process was stopped before it could say so.
        date = partial.version.date if partial.version else ""
        return _finish(partial, wanted, _origin(urls[0]), date, settings)
    told = []
    with open_session() as session:
        for url in urls:
            try:
                found = _from_one(session, url, wanted, partial, progress, settings)
            except AttemptError as failure:
                reason = without_secrets(failure.reason, url)
                logger.warning("%s: %s", redact(url), reason)
                told.append(f"\n  {redact(url)}: {reason}")
            else:
                logger.info("%s: %d bytes from %s", wanted.name, found.size, found.url)
                return found
    kept = ""
    if any(_resuming(partial, url, wanted) for url in urls):
        kept = f"; {partial.size} bytes have arrived, and the next attempt goes on from there"
    else:
        partial.clear()
    raise DownloadError(
        f"{wanted.name}: could not be downloaded.{''.join(told)}\n"
        f"What to do: see the reasons above, then try again{kept}. Behind a proxy, set "
        "https_proxy. Or fetch the file by hand, here or on another machine, and give it to "
        "`fermentome db fetch FILE`."
    )


def _from_one(
    session: requests.Session,
    url: str,
    wanted: _Wanted,
    partial: Partial,
    progress: Progress,
    settings: Settings,
) -> Downloaded:
    local = local_path(url)
    if local is not None:
        _copy(local, wanted, partial, progress, settings)
        return _finish(partial, wanted, local.name, "", settings)

    def attempt() -> Downloaded:
        try:
            _transfer(session, url, wanted, partial, progress, settings)
            date = partial.version.date if partial.version else ""
            return _finish(partial, wanted, redact(url), date, settings)
        finally:
            progress.stop()

    return persist(attempt, redact(url), settings, lambda: partial.size)


def _copy(
    path: Path, wanted: _Wanted, partial: Partial, progress: Progress, settings: Settings
) -> None:
    try:
        # Asked before it is opened: opening a named pipe would wait for a writer.
        if not path.is_file():
            what = "a folder" if path.is_dir() else "no file" if path.exists() else "no such file"
            raise AttemptError(f"{what}: give the path of a file")
        source = path.open("rb")
    except OSError as error:
        raise AttemptError(f"cannot be read: {error.strerror}") from None
    with source:
        size = os.fstat(source.fileno()).st_size
        _check_size(size, wanted)
        partial.clear()
        if lacking := _lacking(wanted.folder, size, settings):
            raise AttemptError(lacking)
        progress.start(wanted.name, size, 0)
        while chunk := _read_local(source):
            partial.append(chunk)
            progress.advance(len(chunk))


def _read_local(file: BinaryIO) -> bytes:
    try:
        return file.read(CHUNK)
    except OSError as error:
        raise AttemptError(f"cannot be read: {error.strerror}") from None


def _transfer(
    session: requests.Session,
    url: str,
    wanted: _Wanted,
    partial: Partial,
    progress: Progress,
    settings: Settings,
) -> None:
    """Make one request that brings the partial file to its full size."""
    headers = {"Accept-Encoding": "identity", **_resuming(partial, url, wanted)}
    with get(session, url, headers, settings) as response:
        version = _version_of(response, url)
        if response.status_code in (200, 206) and not version.encoding:
            _check_size(version.size, wanted)
        if response.status_code == 200:
            partial.begin(version)
        elif "Range" not in headers:
            raise refusal(response)
        elif response.status_code == 416:
            _check_complete(response, wanted, partial)
            partial.continued = True
            return
        elif response.status_code == 206:
            _check_fits(response, version, partial)
            partial.continued = True
        else:
            raise refusal(response)
        known = partial.version or version
        if lacking := _lacking(wanted.folder, (known.size or 0) - partial.size, settings):
            raise AttemptError(lacking)
        progress.start(wanted.name, known.size, partial.size)
        limit = None if known.encoding else wanted.size
        for chunk in arriving(response, settings):
            partial.append(chunk)
            progress.advance(len(chunk))
            if limit is not None and partial.size > limit:
                partial.clear()
                raise AttemptError(f"longer than the {limit} bytes that were expected")
    _check_whole(response, known.size, wanted, partial)


def _resuming(partial: Partial, url: str, wanted: _Wanted) -> dict[str, str]:
    """Headers that ask for the rest only; none where the rest could be of another file."""
    version = partial.version
    if partial.size == 0 or version is None:
        return {}
    rest = {"Range": f"bytes={partial.size}-"}
    if version.validator and version.url == _key(url):
        return {**rest, "If-Range": version.validator}
    return rest if wanted.sha256 is not None else {}


def _version_of(response: requests.Response, url: str) -> Version:
    headers = response.headers
    encoding = headers.get("Content-Encoding", "").strip().lower()
    changed = http_date(headers.get("Last-Modified"))
    return Version(
        url=_key(url),
        validator=_validator(headers),
        size=_told_size(response),
        encoding="" if encoding == "identity" else encoding,
        date=changed.date().isoformat() if changed else "",
    )


def _validator(headers: Mapping[str, str]) -> str:
    """What stands for exactly these bytes (RFC 9110 13.1.5): a strong ETag, or an old date."""
    etag = headers.get("ETag")
    if etag is not None:
        return etag if etag.startswith('"') else ""
    changed, now = http_date(headers.get("Last-Modified")), http_date(headers.get("Date"))
    if changed and now and (now - changed).total_seconds() >= _OLD_ENOUGH:
        return headers["Last-Modified"]
    return ""


def _told_size(response: requests.Response) -> int | None:
    """Size of the whole file, as the server tells it."""
    if response.status_code != 200:
        return _content_range(response)[1]
    if "Transfer-Encoding" in response.headers:
        return None
    return number(response.headers.get("Content-Length"))


def _content_range(response: requests.Response) -> tuple[int | None, int | None]:
    """First byte that is sent and size of the whole, each None where it is not told."""
    found = re.fullmatch(
        r"bytes (?:(\d+)-\d+|\*)/(\d+|\*)", response.headers.get("Content-Range", "").strip()
    )
    return (number(found[1]), number(found[2])) if found else (None, None)


def _check_fits(response: requests.Response, version: Version, partial: Partial) -> None:
    """Refuse a part that is not the rest of what is here, and drop what is here."""
    before = partial.version
    assert before is not None  # it was asked for the rest
    same = version.url == before.url
    fits = (
        _content_range(response)[0] == partial.size
        and version.encoding == before.encoding
        and (version.size is None or before.size is None or version.size == before.size)
        and not (same and version.validator and version.validator != before.validator)
    )
    if not fits:
        partial.clear()
        raise AttemptError("what the server sends does not continue what is here", again=True)


def _check_complete(response: requests.Response, wanted: _Wanted, partial: Partial) -> None:
    """Tell from «range not satisfiable» whether everything is here already."""
    assert partial.version is not None
    before = partial.version.size
    total = _content_range(response)[1]
    # Two different sizes from one server need a checksum to decide.
    complete = total == partial.size and (before in (None, total) or wanted.sha256 is not None)
    if not complete and not (total is None and before == partial.size):
        partial.clear()
        raise AttemptError("the server's file is shorter than what is here", again=True)


def _check_whole(
    response: requests.Response, told: int | None, wanted: _Wanted, partial: Partial
) -> None:
    if told is not None and partial.size < told:
        raise AttemptError(f"cut off after {partial.size} of {told} bytes", again=True)
    if partial.size == 0 and wanted.size != 0:
        raise AttemptError("the answer is empty", again=True)
    if told is None and not response.raw.chunked and wanted.sha256 is None and wanted.size is None:
        logger.warning(
            "%s: the server does not tell the size, and no checksum is known: whether the file is "
            "complete cannot be seen",
            wanted.name,
        )


def _check_size(told: int | None, wanted: _Wanted) -> None:
    if told is not None and wanted.size is not None and told != wanted.size:
        raise AttemptError(
            f"another file: {told} bytes, but {wanted.size} were expected; it was replaced since "
            "its size was written down, or the server answers with something else"
        )


def _finish(
    partial: Partial, wanted: _Wanted, url: str, date: str, settings: Settings
) -> Downloaded:
    """Give a complete file its final name, if it is the right one."""
    packed = _is_packed(partial, wanted)
    if not packed:
        sha256, size = partial.digest(), partial.size
        _check_content(sha256, size, partial, wanted)
        path = wanted.path(sha256)
        partial.move(path)
    else:
        unpacked = partial.path.with_name(f"{partial.path.name}.unpacked")
        try:
            sha256, size = _unpack(partial, unpacked, wanted, settings)
            _check_content(sha256, size, partial, wanted)
            path = wanted.path(sha256)
            os.replace(unpacked, path)
        finally:
            unpacked.unlink(missing_ok=True)
        partial.clear()
    write_json(_source_of(path), {"url": url, "date": date})
    return Downloaded(path, wanted.name, url, sha256, size, date)


def _check_content(sha256: str, size: int, partial: Partial, wanted: _Wanted) -> None:
    """Refuse, and drop, a file with another checksum or size."""
    if wanted.sha256 in (None, sha256) and wanted.size in (None, size):
        return
    start = partial.first(200).lstrip().lower()
    page = "; it is a web page" if start.startswith((b"<!doctype html", b"<html")) else ""
    # Put together from several answers, a wrong whole says little about the last of them.
    again = partial.continued
    partial.clear()
    if wanted.sha256 not in (None, sha256):
        expected, found = f"sha256 {wanted.sha256}", f"{sha256} ({size} bytes{page})"
        raise AttemptError(f"wrong checksum: expected {expected}, found {found}", again=again)
    expected, found = f"{wanted.size} bytes", f"{size}{page}"
    raise AttemptError(f"wrong size: expected {expected}, found {found}", again=again)


def _is_packed(partial: Partial, wanted: _Wanted) -> bool:
    """Whether the server packed the file for the way only, though it was asked not to.

    ``Content-Encoding: gzip`` is also what many servers say of a file that is stored as ``.gz``
    (Apache's ``AddEncoding x-gzip .gz``), and some say it of a file that is not packed at all. The
    checksum decides; without one, a ``.gz`` file was packed for the way if it is packed twice.
    """
    encoding = partial.version.encoding if partial.version else ""
    if not encoding or partial.digest() == wanted.sha256:
        return False
    if encoding not in ("gzip", "x-gzip"):
        partial.clear()
        raise AttemptError(f"the server packs the file ({encoding!r}), though it was asked not to")
    if partial.first(2) != _GZIP_MAGIC:
        return False
    if not wanted.name.lower().endswith(_GZIP_NAMES):
        return True
    try:
        with partial.unpacked() as inside:
            return inside.read(2) == _GZIP_MAGIC
    except (EOFError, OSError, zlib.error):
        return False


def _unpack(partial: Partial, path: Path, wanted: _Wanted, settings: Settings) -> tuple[str, int]:
    """Unpack what was packed for the way; checksum and size of what came out."""
    digest, size, checked = hashlib.sha256(), 0, 0
    with path.open("wb") as file, partial.unpacked() as inside:
        while chunk := _unpacked_chunk(inside, partial):
            if wanted.size is not None and size > wanted.size:
                break
            if size >= checked:  # a few bytes can become terabytes
                if lacking := _lacking(path.parent, _UNPACKED_AT_ONCE, settings):
                    raise AttemptError(lacking)
                checked = size + _UNPACKED_AT_ONCE
            file.write(chunk)
            digest.update(chunk)
            size += len(chunk)
        file.flush()
        os.fsync(file.fileno())
    return digest.hexdigest(), size


def _unpacked_chunk(inside: gzip.GzipFile, partial: Partial) -> bytes:
    try:
        return inside.read(CHUNK)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        partial.clear()
        raise AttemptError(f"packed by the server, and damaged ({error})", again=True) from None


def _lacking(folder: Path, needed: int, settings: Settings) -> str:
    """What to say if the disk has less than `needed` bytes to spare; empty if it has them."""
    free = shutil.disk_usage(folder).free
    if free >= needed + settings.spare:
        return ""
    # A server need not tell the size of a file.
    wanted = f"{needed} bytes are needed" if needed > 0 else "a file of unknown size comes"
    return (
        f"{folder}: not enough space: {wanted}, and {settings.spare} are to stay "
        f"free, but {free} are free; make room, or put the store on another disk by --store or "
        "$FERMENTOME_STORE"
    )


@contextlib.contextmanager
def _disk_errors(folder: Path) -> Iterator[None]:
    """Say of errors of the file system what to do about them."""
    try:
        yield
    except OSError as error:
        where, why = error.filename or folder, error.strerror or str(error)
        elsewhere = "put the store elsewhere by --store or $FERMENTOME_STORE"
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            why = f"no space left ({why})"
            advice = f"make room and try again, what has arrived is kept, or {elsewhere}"
        elif error.errno in (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP):
            advice = f"the file system has no locks: {elsewhere}"
        else:
            advice = f"make it a folder that can be written to, or {elsewhere}"
        raise DownloadError(f"{where}: cannot be written: {why}; {advice}") from error


def _key(url: str) -> str:
    return hashlib.sha256(without_user(url).encode()).hexdigest()


def _checksum(text: str) -> str:
    """SHA-256 in lower case."""
    found = text.strip().lower()
    if not re.fullmatch("[0-9a-f]{64}", found):
        raise DownloadError(f"{text!r} is no SHA-256: expected 64 hexadecimal digits")
    return found
