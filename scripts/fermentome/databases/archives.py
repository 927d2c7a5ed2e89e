"""Archives: a database in one file, and files of others taken apart without harm.

`pack` writes an uncompressed tar. What is large in a database (sketches, hash tables, gzip files)
hardly gets smaller by compression, and gzip would take an hour of one core for 100 GB. Without it
packing runs at the speed of the disk, the bytes depend on the content alone, not on the version of
a compression library, and any system has a program that reads the file.

`unpack` trusts nothing: everything is checked before it is written, and a refused archive leaves
nothing behind.
"""

from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import lzma
import os
import re
import secrets
import shutil
import stat
import tarfile
import unicodedata
import zipfile
import zlib
from pathlib import Path, PurePosixPath
from typing import IO, NoReturn, Protocol

from fermentome.databases.manifest import MANIFEST, list_files
from fermentome.errors import ArchiveError

__all__ = ["SUFFIXES", "is_archive", "pack", "unpack"]

SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".zip", ".gz")

#: An archive may grow to so many times its size, or to `SMALL` bytes, whichever is more. Genomes
#: and tables grow 3 to 20 times; what is made to fill a disk grows 1000 times.
MOST_EXPANSION = 200
SMALL = 256 * 1024 * 1024
MOST_MEMBERS = 1_000_000
#: Names and comments of a tar member are read in one go; real ones take a few hundred bytes.
LONGEST_HEADER = 1024 * 1024
BLOCK = 1024 * 1024
LONGEST_SHOWN = 120
_DRIVE = re.compile(r"[A-Za-z]:")
#: What the modules of the standard library raise on damaged archives.
_DAMAGED = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    gzip.BadGzipFile,
)


_Stream = gzip.GzipFile | bz2.BZ2File | lzma.LZMAFile | io.BufferedReader


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


# --- packing --------------------------------------------------------------------------------------


def pack(folder: Path, target: Path, top: str) -> None:
    """Write the files of a folder to a tar file, the same bytes for the same content.

    Parameters
    ----------
    folder
        Plain files and folders only.
    target
        File to write; it appears when it is complete.
    top
        Folder that all files have in the archive. The manifest, if there is one, comes first.

    Raises
    ------
    ArchiveError
        If the file exists already or cannot be written.
    """
    if target.exists():
        raise ArchiveError(f"{target}: exists already; delete it or name another file")
    files = list_files(folder)
    if (folder / MANIFEST).exists():
        files.insert(0, MANIFEST)
    partial = target.with_name(f"{target.name}.partial")
    try:
        _need_space(target.parent, sum((folder / file).stat().st_size for file in files))
        # Exclusive: two exports to one file do not mix.
        with partial.open("xb") as handle:
            try:
                _write_tar(folder, files, handle, top)
                partial.replace(target)
            except BaseException:
                partial.unlink(missing_ok=True)
                raise
    except FileExistsError:
        raise ArchiveError(
            f"{partial}: exists; another export writes it, or died: delete it then"
        ) from None
    except OSError as error:
        raise ArchiveError(
            f"{error.filename or target}: {error.strerror}; write the archive elsewhere"
        ) from error


def _write_tar(folder: Path, files: list[str], handle: IO[bytes], top: str) -> None:
    with tarfile.open(fileobj=handle, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for file in files:
            path = folder / file
            # Only name and size are told; owner, rights and time are those of TarInfo.
            member = tarfile.TarInfo(f"{top}/{file}")
            member.size = path.stat().st_size
            member.mode = 0o644
            with path.open("rb") as content:
                archive.addfile(member, content)
    handle.flush()
    os.fsync(handle.fileno())


def _need_space(folder: Path, size: int) -> None:
    free = shutil.disk_usage(folder).free
    if size > free:
        raise ArchiveError(
            f"{folder}: {free:,} bytes are free, {size:,} are needed; make room or use another disk"
        )


# --- unpacking ------------------------------------------------------------------------------------


def is_archive(path: Path) -> bool:
    """Whether a file is an archive by its name.

    >>> is_archive(Path("k2_standard.tar.gz")), is_archive(Path("host.fa"))
    (True, False)
    """
    return path.name.lower().endswith(SUFFIXES)


def unpack(archive: Path, folder: Path, *, most_bytes: int | None = None) -> None:
    """Unpack an archive into a new or empty folder, all of it or nothing.

    What it is is told by its content: tar, plain or compressed with gzip, bzip2 or xz; zip; or a
    single compressed file, which gets the archive's name without its last extension. If all
    members lie in one folder, that folder is left out.

    Parameters
    ----------
    most_bytes
        Bytes that come out at most; by default `MOST_EXPANSION` times the size of the archive.

    Raises
    ------
    ArchiveError
        Naming the archive and the member, if a member has an absolute name, one that leads
        outside, holds control characters or differs from another's in case only; stands twice;
        is a link, a device or a sparse file; if more comes out than allowed; or the archive is
        damaged.
    """
    try:
        size = archive.stat().st_size
        existed = folder.exists()
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise ArchiveError(f"{folder}: is not empty; unpack into a new folder")
    except OSError as error:
        raise ArchiveError(f"{error.filename}: {error.strerror}") from error
    limit = max(MOST_EXPANSION * size, SMALL) if most_bytes is None else most_bytes
    writer = _Writer(archive, folder, limit)
    try:
        _unpack_any(archive, writer)
        if not writer.files:
            raise ArchiveError(f"{archive}: holds no file")
        _leave_out_top(folder)
    except BaseException as error:
        _clear(folder)
        if not existed:
            folder.rmdir()
        _explain(error, archive)
        raise


def _clear(folder: Path) -> None:
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink()


def _leave_out_top(folder: Path) -> None:
    """Move the content of a single folder up into its place."""
    inner = list(folder.iterdir())
    if len(inner) != 1 or not inner[0].is_dir():
        return
    # Under another name first: what is moved may be called like the folder itself.
    top = inner[0].rename(folder / f".{secrets.token_hex(8)}")
    for path in list(top.iterdir()):
        path.rename(folder / path.name)
    top.rmdir()


def _explain(error: BaseException, archive: Path) -> None:
    """Raise what an error means for the archive, if it is one of reading or writing."""
    if isinstance(error, _DAMAGED):
        raise ArchiveError(
            f"{archive}: is damaged or cut off ({error}); copy or download it again"
        ) from error
    if isinstance(error, NotImplementedError | RuntimeError):  # zipfile: method, encryption
        raise ArchiveError(f"{archive}: cannot be read ({error})") from error
    if isinstance(error, OSError):
        raise ArchiveError(
            f"{archive}: {error.strerror or error}"
            f"{f' ({_short(error.filename)})' if error.filename else ''}; nothing was unpacked"
        ) from error


def _short(name: object) -> str:
    """A name as it stands in a message: whoever made the archive chose its length."""
    text = os.fsdecode(name) if isinstance(name, bytes | os.PathLike) else str(name)
    return repr(text) if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]!r}..."


def _unpack_any(archive: Path, writer: _Writer) -> None:
    with archive.open("rb") as raw:
        start = raw.read(8)
    if start.startswith(b"PK"):
        _unpack_zip(archive, writer)
        return
    with contextlib.closing(_decompressed(archive, start)) as stream:
        guard = _Guard(stream, archive, writer.limit)
        if _is_tar(guard.read(tarfile.BLOCKSIZE)):
            stream.seek(0)
            _unpack_tar(archive, _Guard(stream, archive, writer.limit), writer)
            return
        if isinstance(stream, io.BufferedReader):
            raise ArchiveError(
                f"{archive}: is no archive; expected {', '.join(SUFFIXES)}, or the folder itself"
            )
        stream.seek(0)
        name = archive.name.rpartition(".")[0] or archive.name
        writer.write(name, _Guard(stream, archive, writer.limit))


def _decompressed(archive: Path, start: bytes) -> _Stream:
    if start.startswith(b"\x1f\x8b"):
        return gzip.open(archive, "rb")
    if start.startswith(b"BZh"):
        return bz2.open(archive, "rb")
    if start.startswith(b"\xfd7zXZ\0"):
        return lzma.open(archive, "rb")
    return archive.open("rb")


def _is_tar(block: bytes) -> bool:
    """Whether a file begins with the header of a tar member; old tars have no magic word."""
    try:
        tarfile.TarInfo.frombuf(block, tarfile.ENCODING, "surrogateescape")
    except tarfile.HeaderError:
        return False
    return True


class _Guard(io.RawIOBase):
    """A decompressed stream that ends in an error when too much comes out of it."""

    def __init__(self, stream: _Stream, archive: Path, limit: int) -> None:
        self._stream = stream
        self._archive = archive
        # Headers and padding of the members come on top of their content.
        self._limit = limit + limit // 10 + LONGEST_HEADER
        #: What was read last.
        self.last = b""

    def read(self, size: int | None = -1) -> bytes:
        """Read a part; all in one go is refused, since it would fill the memory."""
        if size is None or size < 0 or size > LONGEST_HEADER:
            raise ArchiveError(
                f"{self._archive}: a member's name or comment is longer than {LONGEST_HEADER:,}"
                " bytes; it is not unpacked"
            )
        if self._stream.tell() + size > self._limit:
            _refuse_size(self._archive, self._limit)
        self.last = self._stream.read(size)
        return self.last

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        if offset > self._limit:
            _refuse_size(self._archive, self._limit)
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        return self._stream.tell()


def _refuse_size(archive: Path, limit: int) -> NoReturn:
    raise ArchiveError(
        f"{archive}: more than {limit:,} bytes come out of it; it is not unpacked, since it may be"
        " made to fill the disk. If it is what it should be, unpack it yourself and give the folder"
    )


class _Writer:
    """Writes the members of an archive below a folder, after looking at them."""

    def __init__(self, archive: Path, folder: Path, limit: int) -> None:
        self.archive = archive
        self.folder = folder
        self.limit = limit
        self.files = 0
        self._free = shutil.disk_usage(folder).free
        self._written = 0
        self._members = 0
        #: Name as it came and whether it is a folder, by the name that every disk tells apart.
        self._seen: dict[str, tuple[str, bool]] = {}

    def refuse(self, name: str, why: str) -> NoReturn:
        """Refuse the archive for a member."""
        raise ArchiveError(f"{self.archive}: member {_short(name)} {why}; nothing was unpacked")

    def announce(self, name: str, size: int) -> None:
        """Look at a member's name and at the size that it says it has, before anything else."""
        self._members += 1
        if self._members > MOST_MEMBERS:
            self.refuse(name, f"is one of more than {MOST_MEMBERS:,}")
        if size < 0:
            self.refuse(name, f"says that it has {size} bytes")
        self._check_size(size)
        if not name.strip("/") or name.startswith("/") or _DRIVE.match(name):
            self.refuse(name, "has an absolute name, or none")
        if ".." in name.split("/"):
            self.refuse(name, "leads outside the folder by '..'")
        if not name.isprintable() or "\\" in name:
            self.refuse(name, "has control characters or a backslash in its name")
        last = PurePosixPath(name).name
        if last != MANIFEST and last.casefold() == MANIFEST:
            self.refuse(name, f"would be {MANIFEST} where capitals do not count")

    def make_folder(self, name: str) -> None:
        """Make a folder; it may stand in the archive more than once."""
        path = PurePosixPath(name)
        for folder in [*reversed(path.parents), path]:
            self._enter(str(folder), is_folder=True)
        (self.folder / path).mkdir(parents=True, exist_ok=True)

    def write(self, name: str, content: _Readable) -> None:
        """Write a file; never over another, never more than allowed."""
        path = PurePosixPath(name)
        self.make_folder(str(path.parent))
        self._enter(str(path), is_folder=False)
        with (self.folder / path).open("xb") as out:
            while block := content.read(BLOCK):
                self._check_size(len(block))
                self._written += len(block)
                out.write(block)
        self.files += 1

    def _check_size(self, more: int) -> None:
        total = self._written + more
        if total > self.limit:
            _refuse_size(self.archive, self.limit)
        if total > self._free:
            raise ArchiveError(
                f"{self.archive}: {self._free:,} bytes are free in {self.folder}, {total:,} or more"
                " are needed; make room or use another disk"
            )

    def _enter(self, path: str, *, is_folder: bool) -> None:
        # Two names that differ in case or in the form of an accent are one file on some disks.
        key = unicodedata.normalize("NFC", path).casefold()
        known = key in self._seen
        other, was_folder = self._seen.setdefault(key, (path, is_folder))
        if other != path:
            self.refuse(path, f"is the same file as {_short(other)} where capitals do not count")
        if known and not (is_folder and was_folder):
            self.refuse(path, "stands twice")


def _unpack_tar(archive: Path, stream: _Guard, writer: _Writer) -> None:
    with tarfile.open(fileobj=stream, mode="r:") as tar:
        for member in tar:
            writer.announce(member.name, member.size)
            if member.isdir():
                writer.make_folder(member.name)
            elif member.isreg() and not member.issparse():
                # Python's own checks besides; Pythons before 3.11.4 lack them.
                if hasattr(tarfile, "data_filter"):
                    tarfile.data_filter(member, str(writer.folder))
                content = tar.extractfile(member)
                assert content is not None  # only of links and devices
                writer.write(member.name, content)
            else:
                writer.refuse(member.name, f"is {_tar_type(member)}")
    # A damaged header in the middle looks to tarfile like the end, which is a block of zeros.
    if len(stream.last) != tarfile.BLOCKSIZE or stream.last.strip(b"\0"):
        raise ArchiveError(f"{archive}: is damaged or cut off; copy or download it again")


def _tar_type(member: tarfile.TarInfo) -> str:
    if member.issym() or member.islnk():
        return f"a link to {_short(member.linkname)}"
    if member.issparse():
        return "a sparse file"
    return "a device or something else that is no file"


def _unpack_zip(archive: Path, writer: _Writer) -> None:
    with zipfile.ZipFile(archive) as zipped:
        for member in zipped.infolist():
            # Cut at a zero byte in `filename`, whole in `orig_filename`.
            writer.announce(member.orig_filename, member.file_size)
            kind = stat.S_IFMT(member.external_attr >> 16)
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                what = "a link" if kind == stat.S_IFLNK else "a device"
                writer.refuse(member.filename, f"is {what}")
            if member.is_dir():
                writer.make_folder(member.filename)
                continue
            with zipped.open(member) as content:
                writer.write(member.filename, content)
