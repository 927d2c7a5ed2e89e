"""The store: where databases are kept, shared between runs and users.

Below its root::

    objects/<2 digits>/<id>/     the databases by the id of their manifest; never changed
    names/<name>/<version>       relative links to them
    staging/<token>/             what is being made, with <token>.lock held as long as it is
    downloads/                   sources, finished and partial
    locks/                       one file per key of `Store.lock`

A database is made in ``staging``, checked, moved to ``objects`` by one rename and named by
another, so that a reader sees all of it or nothing. All of the store lies on one file system.
Rights follow the umask and the group of the root: for a store shared by a group, make the root
with ``mkdir -m 2775``.

The module itself needs the standard library only: the workflow imports it while it is parsed.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import logging
import os
import re
import secrets
import shutil
import socket
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from fermentome.databases.manifest import (
    MANIFEST,
    Manifest,
    check_files,
    list_files,
    read_manifest,
)
from fermentome.errors import DatabaseError, ManifestError

__all__ = [
    "Collected",
    "Entry",
    "Store",
    "copy_file",
    "default_root",
    "is_reference",
    "split_reference",
]

logger = logging.getLogger(__name__)

#: Marks a folder as a store, so that nobody's own folder is taken for one.
MARKER = "fermentome-store"
LAYOUT = "1"
FOLDERS = ("objects", "names", "staging", "downloads", "locks")
#: The lock under which objects come and go.
CONTENT_LOCK = "content"
#: Partial downloads that nobody went on with for so long are taken for abandoned.
PARTIAL_DAYS = 7.0
DAY = 86_400
_NAME = re.compile(r"[a-z0-9][a-z0-9-]*")
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_ID = re.compile(r"[0-9a-f]{64}")
_FINISHED = re.compile(r"[0-9a-f]{64}(\.json(\.[0-9a-f]{16}\.new)?)?")
_PARTIAL = re.compile(
    r"[0-9a-f]{64}(\.part(\.unpacked|\.json(\.[0-9a-f]{16}\.new)?)?|\.address\.json)"
)
_TOKEN = re.compile(r"\d{10,}-\d+-[0-9a-f]{16}")


def default_root() -> Path:
    """Root of the store where none is named.

    ``$FERMENTOME_STORE``, else ``$XDG_DATA_HOME/fermentome``, else
    ``~/.local/share/fermentome``.
    """
    if named := os.environ.get("FERMENTOME_STORE"):
        return Path(named).expanduser()
    # A relative XDG_DATA_HOME is invalid by the XDG Base Directory Specification.
    shared = Path(os.environ.get("XDG_DATA_HOME") or "")
    return (shared if shared.is_absolute() else Path.home() / ".local/share") / "fermentome"


def split_reference(reference: str) -> tuple[str, str | None]:
    """Name and version, if it has one, of ``name`` or ``name@version``.

    Raises
    ------
    DatabaseError
        If it is neither.

    >>> split_reference("gtdb@r220"), split_reference("uhgg")
    (('gtdb', 'r220'), ('uhgg', None))
    """
    name, at, version = reference.partition("@")
    if not _NAME.fullmatch(name) or (at and not _VERSION.fullmatch(version)):
        raise DatabaseError(
            f"{reference!r} names no database; expected NAME or NAME@VERSION, the name of small"
            " letters, digits and '-', the version of letters, digits, '.', '_' and '-'"
        )
    return name, version if at else None


def is_reference(text: str) -> bool:
    """Whether a text has the form ``name`` or ``name@version``; says nothing about a store."""
    try:
        split_reference(text)
    except DatabaseError:
        return False
    return True


@dataclass(frozen=True)
class Entry:
    """A database of a store.

    Attributes
    ----------
    size
        Bytes of all its files.
    path
        ``names/<name>/<version>`` of the store.
    """

    name: str
    version: str
    id: str
    kind: str
    size: int
    path: Path
    engine: str
    memory_mb: int

    @property
    def reference(self) -> str:
        """``name@version``."""
        return f"{self.name}@{self.version}"


@dataclass(frozen=True)
class Collected:
    """Something that `Store.collect` removed, or would.

    Attributes
    ----------
    what
        Kind of thing, in words.
    size
        Bytes on disk.
    kept
        Why it was left; empty if it is gone, or would be.
    """

    path: Path
    what: str
    size: int
    kept: str = ""


class Store:
    """A folder of databases, see the module.

    Nothing is made before something is to be kept: reading works on a file system that cannot
    be written to.
    """

    def __init__(self, root: str | os.PathLike[str] | None = None) -> None:
        self.root = Path(os.path.abspath(default_root() if root is None else Path(root)))

    def __repr__(self) -> str:
        return f"Store({str(self.root)!r})"

    @property
    def downloads(self) -> Path:
        """Folder of finished and partial downloads; made where the store can be written to."""
        with contextlib.suppress(DatabaseError):
            self._prepare()
        return self.root / "downloads"

    # --- reading ----------------------------------------------------------------------------------

    def names(self) -> list[tuple[str, str]]:
        """(name, version) of everything under ``names``, sorted, whole or not."""
        folder = self.root / "names"
        with self._explained(folder):
            return [
                (name, version)
                for name in _listed(folder)
                for version in _listed(folder / name)
                if _NAME.fullmatch(name) and _VERSION.fullmatch(version)
            ]

    def path_of(self, reference: str) -> Path:
        """Folder of a database of the store, by ``name`` or ``name@version``.

        Returns
        -------
        Path
            ``names/<name>/<version>``, a link to the folder.

        Raises
        ------
        DatabaseError
            If it is not there or its link leads nowhere, or if there are several versions and
            none is named.
        """
        name, version = self.resolve(reference)
        path = self.root / "names" / name / version
        if not (path / MANIFEST).is_file():
            raise DatabaseError(
                f"{path}: leads to no database. `fermentome db verify {name}@{version}` says how it"
                " is had again"
            )
        return path

    def resolve(self, reference: str) -> tuple[str, str]:
        """Name and version of a reference, whether its link leads anywhere or not.

        Raises
        ------
        DatabaseError
            If there is no such name, or there are several versions and none is named.
        """
        name, version = split_reference(reference)
        versions = [found for other, found in self.names() if other == name]
        if version is None and len(versions) > 1:
            raise DatabaseError(
                f"{reference}: {self.root} holds several versions; write one of"
                f" {', '.join(f'{name}@{found}' for found in versions)}"
            )
        if version is None and versions:
            version = versions[0]
        if version is None or version not in versions:
            others = f"; there: {', '.join(f'{name}@{v}' for v in versions)}" if versions else ""
            raise DatabaseError(
                f"{reference}: no such database in {self.root}{others}. `fermentome db list` shows"
                " what there is and what `fermentome db fetch` gets"
            )
        return name, version

    def __contains__(self, reference: str) -> bool:
        """Whether the store holds a database of that name, in whichever version if none is named.

        One whose link leads nowhere is not held.
        """
        name, version = split_reference(reference)
        return any(
            other == name
            and version in (None, found)
            and (self.folder_of(f"{name}@{found}") / MANIFEST).is_file()
            for other, found in self.names()
        )

    def folder_of(self, reference: str) -> Path:
        """Folder that a database has, or would have: ``names/<name>/<version>``."""
        name, version = split_reference(reference)
        return self.root.joinpath("names", name, *([version] if version else []))

    def databases(self) -> list[Entry]:
        """Databases that can be read, by name and version; others are logged.

        Their files are not checked: that is what ``fermentome db verify`` does.
        """
        entries = []
        for name, version in self.names():
            path = self.root / "names" / name / version
            try:
                entries.append(self._entry(read_manifest(path), path))
            except ManifestError as error:
                logger.warning("%s@%s: %s", name, version, error)
        return entries

    def entry(self, reference: str) -> Entry:
        """A database of the store; raises as `path_of`, and if its manifest cannot be read."""
        path = self.path_of(reference)
        return self._entry(read_manifest(path), path)

    @staticmethod
    def _entry(manifest: Manifest, path: Path) -> Entry:
        return Entry(
            name=manifest.name,
            version=manifest.version,
            id=manifest.id,
            kind=manifest.kind,
            size=manifest.size,
            path=path,
            engine=manifest.engine,
            memory_mb=manifest.memory_mb,
        )

    def object_of(self, identity: str) -> Path:
        """Folder in which a database with that id lies, or would lie."""
        return self.root / "objects" / identity[:2] / identity

    # --- writing ----------------------------------------------------------------------------------

    @contextlib.contextmanager
    def staging(self) -> Iterator[Path]:
        """Yield an empty folder of the store in which a database can be made.

        What is left of it at the end is removed. If the process is killed, it stays for
        `collect`, and is visible to nobody else.
        """
        self._prepare()
        parent = self.root / "staging"
        folder, handle = self._new_staging(parent)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            with contextlib.suppress(OSError):
                _lock_of(folder).unlink()
            handle.close()

    def _new_staging(self, parent: Path) -> tuple[Path, IO[str]]:
        while True:
            folder = parent / f"{int(time.time()):010d}-{os.getpid()}-{secrets.token_hex(8)}"
            with self._explained(folder):
                handle = _lock_of(folder).open("x", encoding="utf-8")
                _flock(handle, parent, wait=True)
                # `collect` may have taken the file for abandoned between the two lines.
                if os.fstat(handle.fileno()).st_nlink == 0:
                    handle.close()
                    continue
                folder.mkdir()
                return folder, handle

    def add(
        self,
        folder: Path,
        *,
        replace: bool = False,
        check: Callable[[Path, Manifest], None] | None = None,
    ) -> Entry:
        """Take a finished database into the store and give it its name.

        Parameters
        ----------
        folder
            A folder with a manifest. Within `staging` it is moved; one from elsewhere is copied
            and left as it is.
        replace
            Whether its name may be taken from another database, which runs may have used.
        check
            Raises a `DatabaseError` if the folder, whose files are those of its manifest, cannot
            be used. This module itself knows nothing of the content of files.

        Returns
        -------
        Entry
            If the same database is there already and undamaged, that one.

        Raises
        ------
        ManifestError, DatabaseError
            If the folder is not what its manifest says, its name is that of another database, or
            the store cannot be written to.
        """
        folder = Path(os.path.abspath(folder))
        if (self.root / "staging") not in folder.parents:
            with self.staging() as inner:
                copy = inner / "copy"
                with self._explained(copy):
                    _copy(folder, copy)
                try:
                    return self.add(copy, replace=replace, check=check)
                except DatabaseError as error:
                    # The copy is gone in a moment.
                    raise type(error)(str(error).replace(str(copy), str(folder))) from error
        manifest = read_manifest(folder)
        list_files(folder)
        problems = check_files(folder, manifest)
        if problems:
            first = problems[0]
            more = f" and {len(problems) - 1} more" if problems[1:] else ""
            raise DatabaseError(
                f"{first.path}: {first.what}{more}; the database was not taken into the store"
            )
        if check is not None:
            check(folder, manifest)
        with self._explained(folder):
            # The outermost folder of staging shows what the umask, or an ACL, leaves of the rights.
            made = folder.relative_to(self.root / "staging").parts[0]
            rights = stat.S_IMODE((self.root / "staging" / made).stat().st_mode)
            _finish(folder, rights)
            return self._publish(folder, manifest, replace)

    def _publish(self, folder: Path, manifest: Manifest, replace: bool) -> Entry:
        place = self.object_of(manifest.id)
        with self.lock(CONTENT_LOCK):
            present = place.is_dir()
        # Outside the lock, since it reads every file. What vanishes meanwhile is put back below,
        # and what was put back by others is looked at again.
        damaged = present and not _is_whole(place, manifest)
        with self.lock(CONTENT_LOCK):
            if not replace:
                self._refuse_other(manifest)
            place.parent.mkdir(parents=True, exist_ok=True)
            if damaged and place.is_dir() and not _is_whole(place, manifest):
                logger.warning("%s: damaged, replaced by the one that was added", place)
                with self.staging() as trash:
                    place.rename(trash / "damaged")
            if not place.is_dir():
                folder.rename(place)
                _sync(place.parent)
            path = self._link(manifest, place)
        return self._entry(manifest, path)

    def _refuse_other(self, manifest: Manifest) -> None:
        """Raise if the name of a database is that of another one.

        A link that somebody edited, or one to a manifest that was, names nothing that runs used.
        """
        path = self.root / "names" / manifest.name / manifest.version
        try:
            other = read_manifest(path)
        except ManifestError:
            return
        is_named = other.reference == manifest.reference and path.resolve().name == other.id
        if is_named and other.id != manifest.id:
            raise DatabaseError(
                f"{manifest.reference}: is stored already with id {other.id}, this one has"
                f" {manifest.id}; runs may have used the stored one. Take another version, or say"
                " --replace"
            )

    def _link(self, manifest: Manifest, place: Path) -> Path:
        path = self.root / "names" / manifest.name / manifest.version
        target = os.path.join("..", "..", place.relative_to(self.root))
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_symlink() and os.readlink(path) == target:
            return path
        if path.is_symlink() and path.exists():
            logger.warning("%s: now names another database, %s", path, manifest.id)
        # In staging, where nobody takes it for a name and `collect` finds it.
        fresh = self.root / "staging" / f"{path.parent.name}-{secrets.token_hex(8)}.link"
        fresh.symlink_to(target)
        fresh.replace(path)
        _sync(path.parent)
        return path

    @contextlib.contextmanager
    def lock(self, key: str) -> Iterator[None]:
        """Hold a lock between processes, on this machine and, where they share it, on others.

        Whoever makes or drops a database holds ``lock("name@version")``. A process that dies
        gives its locks back.
        """
        self._prepare()
        path = self.root / "locks" / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.lock"
        with self._explained(path):
            handle = _open_lock(path)
        with handle:
            with self._explained(path):
                if not _flock(handle, self.root, wait=False):
                    logger.info("waiting for %s, which works on %s", _holder(path), key)
                    _flock(handle, self.root, wait=True)
                _sign(handle)
            yield

    def _prepare(self) -> None:
        """Make the folders of the store where they are missing.

        Raises
        ------
        DatabaseError
            If the root holds other things than a store, one of another layout, or cannot be made.
        """
        with self._explained(self.root):
            self.root.mkdir(parents=True, exist_ok=True)
            marker = self.root / MARKER
            foreign = sorted({*os.listdir(self.root)} - {MARKER, *FOLDERS})
            if not marker.exists() and foreign:
                raise DatabaseError(
                    f"{self.root}: is not empty (it holds {foreign[0]!r}) and no store; name a new"
                    " or an empty folder by --store or $FERMENTOME_STORE"
                )
            with contextlib.suppress(FileExistsError), marker.open("x") as handle:
                handle.write(LAYOUT)
            # Empty for the moment in which another process makes it.
            if (found := marker.read_text()) not in (LAYOUT, ""):
                raise DatabaseError(
                    f"{self.root}: layout {found[:20]!r} of the store, this version of Fermentome"
                    f" knows {LAYOUT!r}; use a newer Fermentome or another store"
                )
            for name in FOLDERS:
                (self.root / name).mkdir(exist_ok=True)

    @contextlib.contextmanager
    def _explained(self, path: Path) -> Iterator[None]:
        """Say what an error of the file system means for the store."""
        try:
            yield
        except OSError as error:
            if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
                advice = "ask for the rights to that place, or name another store by --store"
            elif error.errno in (errno.ENOSPC, errno.EDQUOT):
                advice = "make room, for instance with `fermentome db gc`, or use --store elsewhere"
            else:
                advice = "name another store by --store or $FERMENTOME_STORE"
            raise DatabaseError(f"{error.filename or path}: {error.strerror}; {advice}") from error

    # --- removing ---------------------------------------------------------------------------------

    def collect(
        self,
        names: Sequence[str] = (),
        dry_run: bool = False,
        *,
        downloads: bool = False,
        partial_days: float = PARTIAL_DAYS,
    ) -> list[Collected]:
        """Remove what nobody needs any more.

        That is: databases without a name, what killed processes left in ``staging``, and partial
        downloads. What another process holds a lock of is left, and so is everything that the
        store did not make.

        Parameters
        ----------
        names
            Databases to drop too, as ``name`` or ``name@version``.
        dry_run
            Only say what would be removed.
        downloads
            Remove finished downloads too. They are needed again only to build a database anew.
        partial_days
            Age, in days, from which a partial download is removed.

        Raises
        ------
        DatabaseError
            If a name is not in the store; then nothing is removed.
        """
        dropped = [self.resolve(reference) for reference in names]
        if not (self.root / "objects").is_dir():
            return []
        with self._explained(self.root), contextlib.ExitStack() as stack:
            trash = None if dry_run else stack.enter_context(self.staging())
            found = self._collect_objects(dropped, trash)
            found += self._collect_staging(trash)
            found += self._collect_downloads(trash, downloads, partial_days)
        return found

    def _collect_objects(
        self, dropped: Sequence[tuple[str, str]], trash: Path | None
    ) -> list[Collected]:
        found = []
        with contextlib.ExitStack() as stack:
            free = []
            for name, version in dict.fromkeys(dropped):
                key = f"{name}@{version}"
                if trash is None or stack.enter_context(self._try_lock(key)):
                    free.append((name, version))
                else:
                    path = self.root / "names" / name / version
                    found.append(Collected(path, f"database {key}", 0, "another process uses it"))
            if trash is not None:
                stack.enter_context(self.lock(CONTENT_LOCK))
            targets = {
                self._target(name, version): f"database {name}@{version}" for name, version in free
            }
            for name, version in free:
                path = self.root / "names" / name / version
                if not os.path.lexists(path):  # dropped by another process meanwhile
                    continue
                if not path.is_symlink():
                    found.append(Collected(path, "name", 0, "it is no link that the store made"))
                    continue
                if not path.exists():
                    found.append(Collected(path, "name without a database", 0))
                if trash is not None:
                    path.unlink()
                    with contextlib.suppress(OSError):
                        path.parent.rmdir()
            kept = {self._target(*pair) for pair in self.names() if pair not in free}
            for identity in self._objects():
                if identity not in kept:
                    what = targets.get(identity, "database without a name")
                    found.append(_remove(self.object_of(identity), what, trash))
        return found

    def _objects(self) -> list[str]:
        """Ids of everything under ``objects`` that has the form of what `add` makes."""
        return [
            identity
            for start in _listed(self.root / "objects")
            for identity in _listed(self.root / "objects" / start)
            if _ID.fullmatch(identity) and identity.startswith(start)
        ]

    def _target(self, name: str, version: str) -> str:
        """Id that a name leads to; empty where it is no link."""
        try:
            return os.path.basename(os.readlink(self.root / "names" / name / version))
        except OSError as error:
            if error.errno in (errno.EINVAL, errno.ENOENT):
                return ""
            raise

    def _collect_staging(self, trash: Path | None) -> list[Collected]:
        found = []
        parent = self.root / "staging"
        for name in _listed(parent):
            path = parent / name
            if trash is not None and name in (trash.name, _lock_of(trash).name):
                continue
            if name.endswith(".lock") and _TOKEN.fullmatch(name.removesuffix(".lock")):
                found += _collect_abandoned(path, trash)
                continue
            orphan = _TOKEN.fullmatch(name) and not _lock_of(path).exists()
            # Between two steps of a living process for a moment; for longer only if it died.
            if (orphan or name.endswith(".link")) and _age(path) > DAY:
                found.append(_remove(path, "abandoned work", trash))
        return found

    def _collect_downloads(
        self, trash: Path | None, finished: bool, partial_days: float
    ) -> list[Collected]:
        found = []
        # As `fermentome.databases.download` lays them down.
        folder = self.root / "downloads"
        # Whoever fetches holds a lock, and nothing says which of the downloads are its own.
        busy = finished and any(map(_is_locked, (self.root / "locks").glob("*.lock")))
        for name in _listed(folder):
            path = folder / name
            if _FINISHED.fullmatch(name):
                if busy:
                    found.append(Collected(path, "finished download", 0, "a database is fetched"))
                elif finished:
                    found.append(_remove(path, "finished download", trash))
            elif _PARTIAL.fullmatch(name) and _age(path) > partial_days * DAY:
                if _is_locked(folder / f"{name[:64]}.part"):
                    found.append(Collected(path, "partial download", 0, "is being downloaded"))
                else:
                    found.append(_remove(path, "partial download", trash))
        return found

    @contextlib.contextmanager
    def _try_lock(self, key: str) -> Iterator[bool]:
        path = self.root / "locks" / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.lock"
        with self._explained(path):
            handle = _open_lock(path)
        with handle:
            with self._explained(path):
                taken = _flock(handle, self.root, wait=False)
            yield taken


# --- files ----------------------------------------------------------------------------------------


def _listed(folder: Path) -> list[str]:
    """Names in a folder, sorted; none where it is not there.

    One that cannot be read is an error: what is named there would be taken for nameless.
    """
    try:
        return sorted(os.listdir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return []


def _lock_of(staging: Path) -> Path:
    return staging.with_name(f"{staging.name}.lock")


def _open_lock(path: Path) -> IO[str]:
    """Open a file to lock; one that belongs to somebody else need not be writable."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
        return os.fdopen(descriptor, "r+", encoding="utf-8")
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS) or not path.exists():
            raise
        return path.open(encoding="utf-8")


def _flock(handle: IO[str], folder: Path, *, wait: bool) -> bool:
    """Lock a file exclusively; whether it is, which is certain with `wait`."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno in (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP):
            raise DatabaseError(
                f"{folder}: this file system has no locks ({error.strerror}), so that two writers"
                " would not see each other; put the store elsewhere by --store or"
                " $FERMENTOME_STORE, or mount the file system with locks"
            ) from error
        raise
    return True


def _sign(handle: IO[str]) -> None:
    """Write into a lock who holds it. It is only told; the lock does not depend on it."""
    if handle.writable():
        handle.seek(0)
        handle.truncate()
        handle.write(f"process {os.getpid()} on {socket.gethostname()}")
        handle.flush()


def _holder(path: Path) -> str:
    with contextlib.suppress(OSError, UnicodeDecodeError):
        return path.read_text(encoding="utf-8") or "another process"
    return "another process"


def _copy(folder: Path, target: Path) -> None:
    """Copy the files of a database and nothing else of it: no rights, no dates."""
    read_manifest(folder)
    target.mkdir()
    for file in (MANIFEST, *list_files(folder)):
        (target / file).parent.mkdir(parents=True, exist_ok=True)
        copy_file(folder / file, target / file)


def copy_file(source: Path, target: Path) -> None:
    """Copy a file; an error for want of room names the target."""
    try:
        shutil.copyfile(source, target)
    except OSError as error:
        # Python names the file that was read from, which is on another disk perhaps.
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise OSError(error.errno, error.strerror, os.fspath(target)) from error
        raise


def _finish(folder: Path, rights: int) -> None:
    """Make files read-only for all who have the `rights` to the folder, and see them to disk."""
    for path in [folder, *folder.rglob("*")]:
        status = path.lstat()
        if status.st_uid == os.geteuid():
            wanted = rights & (0o777 if stat.S_ISDIR(status.st_mode) else 0o444)
            special = stat.S_IMODE(status.st_mode) & ~0o777
            path.chmod(wanted | special)
        _sync(path)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        # Some network file systems cannot do it for folders.
        with contextlib.suppress(OSError):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _is_whole(place: Path, manifest: Manifest) -> bool:
    try:
        found = read_manifest(place)
    except ManifestError:
        return False
    return found.id == manifest.id and not check_files(place, found)


def _age(path: Path) -> float:
    """Seconds since a file was last written to."""
    try:
        return time.time() - path.lstat().st_mtime
    except FileNotFoundError:
        return 0.0


def _is_locked(path: Path) -> bool:
    """Whether a living process holds a lock on a file."""
    try:
        handle = path.open(encoding="utf-8")
    except OSError:
        return False
    with handle:
        return not _flock(handle, path.parent, wait=False)


def _size(path: Path) -> int:
    if path.is_symlink() or not path.is_dir():
        return path.lstat().st_size if os.path.lexists(path) else 0
    return sum(inner.lstat().st_size for inner in path.rglob("*") if not inner.is_dir())


def _collect_abandoned(lock: Path, trash: Path | None) -> list[Collected]:
    """Remove the staging folder of a lock that no living process holds."""
    folder = lock.with_name(lock.name.removesuffix(".lock"))
    try:
        handle = lock.open(encoding="utf-8")
    except OSError:
        return []
    with handle:
        # Free and gone: its owner has just cleaned up.
        if not _flock(handle, lock.parent, wait=False) or not os.fstat(handle.fileno()).st_nlink:
            return []
        found = [_remove(folder, "abandoned work", trash)] if folder.exists() else []
        if trash is not None and not any(item.kept for item in found):
            lock.unlink(missing_ok=True)
        return found


def _remove(path: Path, what: str, trash: Path | None) -> Collected:
    """Move something out of sight, to go with `trash`; only measure it where there is none."""
    size = _size(path)
    if trash is None:
        return Collected(path, what, size)
    try:
        path.rename(trash / f"{secrets.token_hex(8)}")
    except FileNotFoundError:
        pass
    except OSError as error:
        return Collected(path, what, size, f"not removed: {error.strerror}")
    return Collected(path, what, size)
