"""Fetch a database into the store: by name, or from a folder, an archive or a URL.

Whatever it is, it is made in the staging of the store under a lock of its own, gets a manifest
that names every source, and appears all at once. What is stored already is checked and, if it is
whole, left alone: nothing is downloaded twice.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import re
import shutil
import tarfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from fermentome.databases.adopt import (
    adopt,
    copy_in,
    match_lineages,
    place,
    read_md5_list,
    recognise,
)
from fermentome.databases.archives import SUFFIXES, unpack
from fermentome.databases.download import (
    Downloaded,
    Progress,
    Settings,
    download,
    file_name,
    redact,
)
from fermentome.databases.manifest import (
    MANIFEST,
    Manifest,
    Source,
    check_files,
    list_files,
    read_manifest,
    sha256_of,
    write_manifest,
)
from fermentome.databases.memory import reckon_memory
from fermentome.databases.registry import Preset, Registry, SourceFile, load_registry
from fermentome.databases.store import Entry, Store, is_reference, split_reference
from fermentome.databases.verify import ContentError, check_content
from fermentome.defaults import WORKFLOW
from fermentome.errors import DatabaseError, DownloadError, FermentomeError

__all__ = ["MIRROR_VARIABLE", "Request", "fetch", "mirrored"]

logger = logging.getLogger(__name__)

#: Environment variable with the address of a mirror that stands for all hosts.
MIRROR_VARIABLE = "FERMENTOME_MIRROR"
REPOSITORY = "repository:"
ROOT = WORKFLOW.parent
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


@dataclass(frozen=True)
class Request:
    """How a database is fetched.

    Attributes
    ----------
    store
        Where to.
    progress
        Shows how far a download is.
    mirror
        Folder or address that stands for every host; empty for none.
    settings
        Limits of a download.
    threads
        For databases that are built from what is fetched.
    replace
        Whether what is stored is fetched again, and its name given to what comes.
    """

    store: Store
    progress: Progress | None = None
    mirror: str = ""
    settings: Settings = field(default_factory=Settings)
    threads: int = 1
    replace: bool = False

    def add(self, folder: Path, *, replace: bool | None = None) -> Entry:
        """Take a finished folder into the store, if its content can be used."""
        replace = self.replace if replace is None else replace
        return self.store.add(folder, replace=replace, check=check_content)

    def download(
        self,
        urls: Sequence[str],
        *,
        sha256: str = "",
        size: int | None = None,
        name: str | None = None,
    ) -> Downloaded:
        """Download one file into the store's folder of downloads.

        A file whose checksum nobody publishes is remembered by its address until the database is
        there, so that a fetch that failed later on does not download it again.
        """
        folder = self.store.downloads
        note = folder / f"{hashlib.sha256(urls[0].encode()).hexdigest()}.address.json"
        noted = "" if sha256 else _noted(note, folder)
        ask = partial(
            download,
            mirrored(urls, self.mirror),
            folder,
            size=size,
            name=name or file_name(urls[0]),
            progress=self.progress,
            settings=self.settings,
        )
        try:
            found = ask(sha256=sha256 or noted or None)
        except DownloadError:
            if not noted:
                raise
            # The file here is damaged, and the source gives another one by now.
            note.unlink(missing_ok=True)
            found = ask()
        if not sha256:
            with contextlib.suppress(OSError):
                note.write_text(json.dumps({"sha256": found.sha256}), encoding="utf-8")
        return found

    def forget(self, urls: Sequence[str], found: Downloaded) -> None:
        """Remove a finished download."""
        folder = self.store.downloads
        note = folder / f"{hashlib.sha256(urls[0].encode()).hexdigest()}.address.json"
        for path in (note, found.path, found.path.with_name(f"{found.path.name}.json")):
            with contextlib.suppress(OSError):
                path.unlink()


def _noted(note: Path, folder: Path) -> str:
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        sha256 = str(json.loads(note.read_text(encoding="utf-8"))["sha256"])
        if (folder / sha256).is_file():
            return sha256
    return ""


def fetch(
    reference: str,
    store: Store,
    *,
    name: str | None = None,
    version: str | None = None,
    kind: str | None = None,
    engine: str | None = None,
    licence: str = "",
    description: str = "",
    progress: Progress | None = None,
    mirror: str | None = None,
    threads: int = 1,
    replace: bool = False,
    registry: Registry | None = None,
    settings: Settings | None = None,
) -> Entry:
    """Bring a database into the store.

    Parameters
    ----------
    reference
        Name of a preset, with or without version; a folder, with or without a manifest; an
        archive; the URL of an archive, of a file, or of a folder that has a manifest (ending
        with ``/`` or ``/manifest.yaml``).
    name, version, kind, engine, licence, description
        Of a database without a manifest. `kind` and `engine` may be left out where the files
        tell them.
    progress
        Shows how far a download is; by default a line in the log now and then.
    mirror
        Folder or address of an institute's mirror that stands for every host: files are looked
        for as ``MIRROR/host/path/file`` (as ``wget --force-directories`` lays them down) and as
        ``MIRROR/file``, and nowhere else. By default ``$FERMENTOME_MIRROR``.
    threads
        For databases that are built from what is fetched.
    replace
        Whether to fetch again what is stored, and to give its name to what comes. Without it
        another database under the name of a stored one is refused.
    registry
        Presets; by default those of the repository.
    settings
        Limits of a download.

    Returns
    -------
    Entry
        The database in the store; if it was there already and is whole, nothing is downloaded.

    Raises
    ------
    DatabaseError
        If it cannot be had, is not what it should be, or cannot be kept.
    """
    request = Request(
        store=store,
        progress=progress,
        mirror=os.environ.get(MIRROR_VARIABLE, "") if mirror is None else mirror,
        settings=settings or Settings(),
        threads=threads,
        replace=replace,
    )
    own = _Own(name, version, kind, engine, licence, description)
    if _ADDRESS.match(reference):
        return _fetch_url(reference, request, own)
    path = Path(reference)
    if is_reference(reference):
        presets = registry or load_registry()
        # A preset's name is no folder's, unless the folder is written with its path (./gtdb).
        if presets.knows(reference) or not path.exists():
            own.refuse(
                reference, "a database that is known by name has a name and a kind of its own"
            )
            return _fetch_known(reference, presets, request)
    if path.is_dir():
        return _fetch_folder(path, request, own)
    if path.is_file():
        return _fetch_file(path, request, own)
    raise DatabaseError(
        f"{reference}: no file or folder, no URL (http, https or file), and no name of a database;"
        " `fermentome db list --presets` shows the names"
    )


# --- what the user says of a database without a manifest ------------------------------------------


@dataclass(frozen=True)
class _Own:
    name: str | None
    version: str | None
    kind: str | None
    engine: str | None
    licence: str
    description: str

    def refuse(self, what: str, why: str) -> None:
        """Raise if anything was said that will not be used."""
        said = {"--name": self.name, "--version": self.version, "--kind": self.kind}
        given = [option for option, value in said.items() if value is not None]
        if given:
            raise DatabaseError(f"{what}: {why}; leave out {' and '.join(given)}")

    def reference(self, what: str) -> tuple[str, str]:
        """Name and version, both of which must have been said.

        Raises
        ------
        DatabaseError
            If one is missing or is no name.
        """
        if self.name is None or self.version is None:
            raise DatabaseError(
                f"{what}: holds no {MANIFEST}, so that nobody knows what it is called; say --name"
                " and --version (and --kind, where the files do not tell it)"
            )
        split_reference(f"{self.name}@{self.version}")
        return self.name, self.version


# --- presets --------------------------------------------------------------------------------------


def _fetch_known(reference: str, registry: Registry, request: Request) -> Entry:
    store = request.store
    wanted = _wanted(reference, registry, store)
    # Without the lock, for which the store would have to be writable.
    entry = None if request.replace else _stored(wanted, store)
    if entry is not None:
        return entry
    if wanted in store:
        if not registry.knows(wanted):
            damaged = "" if request.replace else "is damaged, and "
            raise DatabaseError(
                f"{wanted}: {damaged}is known to this store only; `fermentome db verify"
                f" {wanted}` says what is wrong and how to mend it"
            )
        why = "--replace was given" if request.replace else "is damaged"
        logger.warning("%s: %s, so it is fetched again", wanted, why)
    preset = registry.find(wanted)
    with store.lock(wanted):
        # Another process may have been faster.
        entry = None if request.replace else _stored(wanted, store)
        return entry or _fetch_preset(preset, request)


def _wanted(reference: str, registry: Registry, store: Store) -> str:
    """Name and version that a reference means: what is stored goes before the default version.

    A run that names a database without its version uses the one that is stored.
    """
    name, version = split_reference(reference)
    if version is not None:
        return reference
    versions = [found for other, found in store.names() if other == name]
    default = registry.find(name).version if registry.knows(name) or not versions else ""
    if not versions or default in versions:
        return f"{name}@{default}"
    name, version = store.resolve(name)
    if default:
        logger.info("%s: %s is stored; for another write its version, as %s@%s", *(
            name, f"{name}@{version}", name, default,
        ))  # fmt: skip
    return f"{name}@{version}"


def _fetch_preset(preset: Preset, request: Request) -> Entry:
    if preset.warning:
        logger.warning("%s: %s (%s)", preset.reference, preset.warning, preset.page)
    if preset.note:
        logger.info("%s: %s", preset.reference, preset.note)
    with request.store.staging() as staging:
        _need_space(preset, request.store)
        folder = staging / "database"
        folder.mkdir()
        if preset.recipe is not None:
            # It needs this module, and tools that fetching files does not.
            from fermentome.databases.recipes import follow

            follow(preset, folder, request)
            return request.add(folder, replace=True)
        with _downloads(preset, request) as taken:
            sources = [*_place_all(preset, folder, staging, taken)]
            found = match_lineages(folder) if preset.engine == "sylph" else {}
            stamp(preset, folder, sources, parameters={**preset.parameters, **found})
            # What is stored under the name of a preset and is here is damaged.
            return request.add(folder, replace=True)


def stamp(
    preset: Preset,
    folder: Path,
    sources: Sequence[Source],
    tools: Mapping[str, str] | None = None,
    parameters: Mapping[str, Any] | None = None,
) -> Manifest:
    """Write the manifest of a preset whose files are complete.

    Parameters
    ----------
    tools, parameters
        What the index files were made with; by default nobody knows the tools, and the
        parameters are those that the registry states.
    """
    sizes = {file: (folder / file).stat().st_size for file in list_files(folder)}
    return write_manifest(
        folder,
        name=preset.name,
        version=preset.version,
        kind=preset.kind,
        engine=preset.engine,
        description=preset.description,
        licence=preset.licence,
        sources=sources,
        tools=tools or {},
        parameters=preset.parameters if parameters is None else parameters,
        memory_mb=preset.stated_memory_mb or reckon_memory(preset.engine, sizes),
    )


def _stored(reference: str, store: Store) -> Entry | None:
    """The database of the store, if it is there and whole."""
    try:
        path = store.path_of(reference)
        manifest = read_manifest(path)
        problems = check_files(path, manifest)
    except DatabaseError as error:
        logger.debug("%s: %s", reference, error)
        return None
    if problems:
        logger.warning("%s: %s", problems[0].path, problems[0].what)
        return None
    return next(item for item in store.databases() if item.reference == manifest.reference)


@dataclass(frozen=True)
class _Taken:
    item: SourceFile
    found: Downloaded
    sums: Mapping[str, str]


@contextlib.contextmanager
def _downloads(preset: Preset, request: Request) -> Iterator[list[_Taken]]:
    """Yield the files of a preset; they are removed once the database is in the store."""
    taken = []
    for item in preset.files:
        sums = _md5_list(item, request)
        try:
            found = _download_item(item, request)
        except DownloadError as error:
            if not item.optional:
                raise
            logger.warning("%s\n%s: goes on without it", error, preset.reference)
            continue
        name = file_name(item.urls[0])
        if name in sums:
            _check_md5(found.path, sums[name], name)
            sums = {}
        taken.append(_Taken(item, found, sums))
    try:
        yield taken
    except ContentError:
        # Kept, they would be taken for good again.
        _forget(taken, request)
        raise
    _forget(taken, request)


def _forget(taken: Sequence[_Taken], request: Request) -> None:
    for one in taken:
        for url in _addresses(one.item.urls):
            request.forget([url], one.found)


def _addresses(urls: Sequence[str]) -> list[str]:
    """Addresses to download from; files of the repository as paths."""
    return [
        str(ROOT / url.removeprefix(REPOSITORY)) if url.startswith(REPOSITORY) else url
        for url in urls
    ]


def _download_item(item: SourceFile, request: Request) -> Downloaded:
    """Download a file of a preset; one with another MD5 sum is had from the next mirror."""
    if not item.md5:
        return request.download(_addresses(item.urls), sha256=item.sha256, size=item.size)
    reasons = []
    # One after the other: only so is it known which one gave the wrong file.
    for url in _addresses(item.urls):
        try:
            found = request.download([url], size=item.size)
        except DownloadError as error:
            reasons.append(str(error))
            continue
        try:
            _check_md5(found.path, item.md5, found.url)
            return found
        except DownloadError as error:
            request.forget([url], found)
            reasons.append(str(error))
    raise DownloadError("\n".join(reasons))


def _check_md5(path: Path, expected: str, name: str) -> None:
    with path.open("rb") as handle:
        digest = hashlib.file_digest(handle, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    if digest != expected:
        raise DownloadError(
            f"{name}: MD5 is {digest}, the source publishes {expected}: the file was damaged on its"
            " way or has changed; fetch it again later, or tell the maintainers of the registry"
        )


def _md5_list(item: SourceFile, request: Request) -> Mapping[str, str]:
    if not item.md5_list:
        return {}
    urls = _addresses([item.md5_list])
    try:
        found = request.download(urls)
    except DownloadError as error:
        logger.warning("%s: cannot be had, so the files are not compared with it", error)
        return {}
    sums = read_md5_list(found.path.read_text(encoding="utf-8", errors="replace"))
    request.forget(urls, found)
    return sums


def _place_all(
    preset: Preset, folder: Path, staging: Path, taken: Sequence[_Taken]
) -> Iterator[Source]:
    for number, one in enumerate(taken):
        if one.item.unpack:
            unpacked = staging / f"unpacked-{number}"
            unpack(one.found.path, unpacked)
            for name, digest in one.sums.items():
                if (unpacked / name).is_file():
                    _check_md5(unpacked / name, digest, name)
            layout = recognise(
                _names_in(unpacked), preset.reference, kind=preset.kind, engine=preset.engine
            )
            adopt(unpacked, folder, layout, ours=True)
            shutil.rmtree(unpacked)
        else:
            place(one.found.path, folder / one.item.target, ours=True)
        yield Source(
            # Of all mirrors, the same: the manifest does not depend on which one was up.
            url=_source_name(one.item.urls[0]),
            release=one.item.release,
            date=one.item.date or one.found.date,
            licence=one.item.licence,
            sha256=one.found.sha256,
            size=one.found.size,
        )


def _source_name(url: str) -> str:
    return url.removeprefix(REPOSITORY).rpartition("/")[2] if url.startswith(REPOSITORY) else url


def _need_space(preset: Preset, store: Store) -> None:
    """Refuse to begin what cannot end for want of room on the disk."""
    wanted = (preset.download_bytes or 0) + round((preset.disk_gb or 0) * 1e9)
    here = sum(path.stat().st_size for path in store.downloads.glob("*.part"))
    free = shutil.disk_usage(store.root).free
    if wanted - here > free:
        raise DatabaseError(
            f"{preset.reference}: needs {wanted / 1e9:.1f} GB while it is fetched, {store.root} has"
            f" {free / 1e9:.1f} GB left; make room, for instance with `fermentome db gc`, or name a"
            " store on another disk by --store"
        )


# --- folders, archives, URLs ----------------------------------------------------------------------


def _fetch_folder(
    path: Path,
    request: Request,
    own: _Own,
    sources: Sequence[Source] = (),
    ours: bool = False,
    where: str = "",
) -> Entry:
    """Take in a folder; `where` is what the user calls it."""
    where = where or str(path)
    if (path / MANIFEST).is_file():
        manifest = read_manifest(path)
        own.refuse(where, f"its {MANIFEST} says that it is {manifest.reference}")
        with request.store.lock(manifest.reference):
            return request.add(path)
    name, version = own.reference(where)
    with (
        request.store.lock(f"{name}@{version}"),
        request.store.staging() as staging,
        _named(staging / "database", where),
    ):
        folder = staging / "database"
        folder.mkdir()
        layout = recognise(_names_in(path), where, kind=own.kind, engine=own.engine)
        for left in layout.left:
            logger.info("%s: %s: left out, no file of such a database", where, left)
        adopt(path, folder, layout, ours=ours)
        parameters = match_lineages(folder) if layout.engine == "sylph" else {}
        sizes = {file: (folder / file).stat().st_size for file in list_files(folder)}
        write_manifest(
            folder,
            name=name,
            version=version,
            kind=layout.kind,
            engine=layout.engine,
            description=own.description or f"Made from {', '.join(sorted(layout.files.values()))}",
            licence=own.licence or "not stated",
            sources=sources or _local_sources(path, sorted(set(layout.files.values())), own),
            tools={},
            parameters=parameters,
            memory_mb=reckon_memory(layout.engine, sizes),
        )
        return request.add(folder)


@contextlib.contextmanager
def _named(folder: Path, where: str) -> Iterator[None]:
    """Let errors name what the user knows in place of a folder of the staging."""
    try:
        yield
    except FermentomeError as error:
        text = str(error)
        if str(folder) not in text:
            raise
        text = text.replace(f"{folder}/", f"{where}: ").replace(str(folder), where)
        raise type(error)(text) from error


def _names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.is_file())


def _local_sources(folder: Path, names: Sequence[str], own: _Own) -> list[Source]:
    return [_local_source(folder / name, own) for name in names]


def _local_source(path: Path, own: _Own) -> Source:
    return Source(
        url=path.name, licence=own.licence, sha256=sha256_of(path), size=path.stat().st_size
    )


def _fetch_file(path: Path, request: Request, own: _Own) -> Entry:
    source = _local_source(path, own)
    return _fetch_piece(path, path.name, source, request, own, ours=False)


def _fetch_piece(
    path: Path, name: str, source: Source, request: Request, own: _Own, *, ours: bool
) -> Entry:
    """Take in one file: an archive, or the only file of a database."""
    with request.store.staging() as staging:
        folder = staging / "unpacked"
        where = str(path) if path.name == name else source.url
        if _holds_files(path):
            with _named(path, where):
                unpack(path, folder)
        elif name.lower().endswith(_ARCHIVES):
            raise ContentError(
                f"{where}: is no archive, whatever its name says: {_beginning(path)}; copy or"
                " download it again"
            )
        else:
            folder.mkdir()
            try:
                (folder / name).symlink_to(path.resolve())
            except OSError as error:
                raise DatabaseError(f"{where}: {error.strerror}") from error
        with _named(folder / name, where), _named(folder, where):
            return _fetch_folder(folder, request, own, [source], ours=ours, where=where)


def _beginning(path: Path) -> str:
    """What a file begins with, in words."""
    with path.open("rb") as handle:
        start = handle.read(40)
    if not start:
        return "it is empty"
    page = start.lstrip().lower().startswith((b"<!doctype", b"<html"))
    return f"it {'is a web page and ' if page else ''}begins with {start!r}"


def _holds_files(path: Path) -> bool:
    """Whether a file is an archive of several, by its content."""
    try:
        return zipfile.is_zipfile(path) or tarfile.is_tarfile(path)
    except OSError as error:
        raise DatabaseError(f"{path}: cannot be read ({error.strerror})") from error


def _fetch_url(url: str, request: Request, own: _Own) -> Entry:
    if url.endswith(("/", f"/{MANIFEST}")):
        return _fetch_remote_folder(url.removesuffix(MANIFEST), request, own)
    # Said before anything is downloaded, where it is sure that there will be no manifest.
    if own.name or own.version or not file_name(url).lower().endswith(_ARCHIVES):
        name, version = own.reference(redact(url))
        entry = None if request.replace else _stored(f"{name}@{version}", request.store)
        if entry is not None and _is_made_of(entry, url):
            return entry
    with request.store.lock(redact(url)):
        found = request.download([url])
        source = Source(
            url=found.url,
            date=found.date,
            licence=own.licence,
            sha256=found.sha256,
            size=found.size,
        )
        try:
            entry = _fetch_piece(found.path, file_name(url), source, request, own, ours=True)
        except ContentError:
            request.forget([url], found)
            raise
        request.forget([url], found)
        return entry


#: Endings of archives that hold several files, a manifest perhaps among them.
_ARCHIVES = tuple(suffix for suffix in SUFFIXES if suffix != ".gz")


def _is_made_of(entry: Entry, url: str) -> bool:
    return [source.url for source in read_manifest(entry.path).sources] == [redact(url)]


def _fetch_remote_folder(url: str, request: Request, own: _Own) -> Entry:
    """Fetch a folder by its manifest, which names all of its files with their checksums."""
    own.refuse(redact(url), f"its {MANIFEST} says what it is")
    with request.store.lock(redact(url)), request.store.staging() as staging:
        folder = staging / "database"
        folder.mkdir()
        first = request.download([url + MANIFEST])
        copy_in(first.path, folder / MANIFEST)
        request.forget([url + MANIFEST], first)
        manifest = read_manifest(folder)
        entry = _stored(manifest.reference, request.store)
        if entry is not None and entry.id == manifest.id:
            return entry
        taken = []
        for file, record in manifest.files.items():
            address = url + quote(file)
            found = request.download([address], sha256=record.sha256, size=record.size)
            target = folder / file
            target.parent.mkdir(parents=True, exist_ok=True)
            copy_in(found.path, target, ours=True)
            taken.append((address, found))
        with _named(folder, redact(url)):
            entry = request.add(folder)
        for address, found in taken:
            request.forget([address], found)
        return entry


# --- mirrors --------------------------------------------------------------------------------------


def mirrored(urls: Sequence[str], mirror: str) -> list[str]:
    """Addresses on a mirror that stands for every host.

    Parameters
    ----------
    urls
        Addresses of one file, or paths on this machine, which no mirror replaces.
    mirror
        Folder or address; empty for none, and then the addresses themselves are returned.

    >>> mirrored(["https://example.org/data/a.tar"], "https://mirror.example.com")
    ['https://mirror.example.com/example.org/data/a.tar', 'https://mirror.example.com/a.tar']
    """
    if not mirror:
        return list(urls)
    base = (mirror if _ADDRESS.match(mirror) else Path(mirror).absolute().as_uri()).rstrip("/")
    found: list[str] = []
    for url in urls:
        parts = urlsplit(url)
        if parts.scheme in ("http", "https"):
            host, name = parts.netloc.rpartition("@")[2], parts.path.rpartition("/")[2]
            if parts.query and "." not in name:
                # The query says which file, so it stays in the name, as wget lays it down.
                found.append(f"{base}/{host}{parts.path}{quote(f'?{parts.query}')}")
                continue
            found.append(f"{base}/{host}{parts.path}")
            found.append(f"{base}/{parts.path.rpartition('/')[2]}")
        else:
            found.append(url)
    return list(dict.fromkeys(found))
