"""Reference databases: get, build, check, carry and remove them.

They are kept in a store that runs and users share. It is $FERMENTOME_STORE, else
$XDG_DATA_HOME/fermentome, else ~/.local/share/fermentome; --store names another.
"""

import argparse
import errno
import logging
import math
import secrets
import shlex
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from fermentome.databases.archives import pack, unpack
from fermentome.databases.manifest import (
    KINDS,
    MANIFEST,
    Manifest,
    check_files,
    read_manifest,
)
from fermentome.databases.registry import load_registry
from fermentome.databases.store import (
    PARTIAL_DAYS,
    Entry,
    Store,
    is_reference,
    split_reference,
)
from fermentome.databases.verify import check_content, remarks, verify_entry, verify_folder
from fermentome.errors import ArchiveError, DatabaseError, FermentomeError, ManifestError

BUILDERS = {
    "scfa": "SCFA proteins, from labelled proteins, UniProt or genomes of your own",
    "taxonomy": "sylph database and phenotypes, from a folder of genomes and their lineages",
    "kraken2": "Kraken2 database, from a folder of genomes and their lineages",
    "host": "masked host genome with its minimap2 index",
}
ENGINE_NAMES = ("sylph", "kraken2", "diamond", "minimap2")
INTERRUPTED = 130
UNITS = ("B", "kB", "MB", "GB", "TB")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``fermentome db``."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    for name, action in ACTIONS.items():
        command = actions.add_parser(name, help=action.summary, description=action.summary)
        action.add_arguments(command)


def run(arguments: argparse.Namespace) -> int:
    """Run one action.

    Returns
    -------
    int
        1 if ``verify`` found a problem or ``gc`` could not remove something; 130 after Ctrl-C.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(message)s"))
    logger = logging.getLogger("fermentome")
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        return ACTIONS[arguments.action].run(arguments)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise DatabaseError(_file_error(error)) from error
    except KeyboardInterrupt:
        print("interrupted; nothing half-made is left in the store", file=sys.stderr)
        return INTERRUPTED
    finally:
        logger.setLevel(level)
        logger.removeHandler(handler)


def _file_error(error: OSError) -> str:
    """What an error of the file system that nothing below has explained means."""
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    where = error.filename or ("the disk of the store or of temporary files" if full else "a file")
    advice = (
        "; make room, or put the store (--store) and temporary files ($TMPDIR) on another disk"
        if full
        else ""
    )
    return f"{where}: {error.strerror or error}{advice}"


def _add_replace(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--replace",
        action="store_true",
        help="let it take the name and version of another database that is stored; runs that used"
        " that one would find the new one",
    )


def _add_store(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--store",
        metavar="DIR",
        type=Path,
        default=None,
        help="folder of the store (default: $FERMENTOME_STORE, or ~/.local/share/fermentome)",
    )


# --- list -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Listed:
    """A line of ``list``; None for what is not known."""

    name: str
    version: str
    kind: str
    engine: str
    size: int | None
    memory_mb: int | None
    state: str
    id: str = ""


COLUMNS = ("name", "version", "kind", "engine", "size", "memory", "state")
TSV_COLUMNS = ("name", "version", "kind", "engine", "size_bytes", "memory_mb", "state", "id")


def _add_list(parser: argparse.ArgumentParser) -> None:
    _add_store(parser)
    parser.add_argument("--tsv", action="store_true", help="tab-separated, sizes as numbers")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--stored", action="store_true", help="only databases of the store")
    which.add_argument("--presets", action="store_true", help="only databases known by name")


def _list(arguments: argparse.Namespace) -> int:
    store = Store(arguments.store)
    stored = {} if arguments.presets else {_key(row): row for row in _stored(store)}
    presets = {} if arguments.stored else {_key(row): row for row in _presets(store)}
    rows = [row for _, row in sorted((presets | stored).items())]
    if arguments.tsv:
        _print_tsv(rows)
        return 0
    if rows:
        _print_table(rows)
    place = f"store: {store.root}"
    print(place if store.root.is_dir() else f"{place} (made when the first database comes)")
    return 0


def _key(row: _Listed) -> tuple[str, str]:
    return row.name, row.version


def _stored(store: Store) -> Iterator[_Listed]:
    for name, version in store.names():
        folder = store.folder_of(f"{name}@{version}")
        try:
            manifest = read_manifest(folder)
        except ManifestError:
            yield _Listed(name, version, "", "", None, None, "unreadable, see db verify")
            continue
        yield _Listed(
            name,
            version,
            manifest.kind,
            manifest.engine,
            manifest.size,
            manifest.memory_mb or None,
            "stored",
            manifest.id,
        )


def _presets(store: Store) -> Iterator[_Listed]:
    for preset in load_registry().presets:
        size = None if preset.disk_gb is None else round(preset.disk_gb * 1e9)
        state = "available" if preset.verified else "unverified source"
        if preset.reference in store:
            state = "stored"
        yield _Listed(
            preset.name,
            preset.version,
            preset.kind,
            preset.engine,
            preset.download_bytes if size is None else size,
            preset.memory_mb,
            state,
        )


def _print_table(rows: Iterable[_Listed]) -> None:
    cells = [COLUMNS] + [
        (
            row.name,
            row.version,
            row.kind or "-",
            row.engine or "-",
            "-" if row.size is None else _in_words(row.size),
            "-" if row.memory_mb is None else _in_words(row.memory_mb * 1_000_000),
            row.state,
        )
        for row in rows
    ]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for line in cells:
        words = [
            text.rjust(width) if title in ("size", "memory") else text.ljust(width)
            for title, text, width in zip(COLUMNS, line, widths, strict=True)
        ]
        print("  ".join(words).rstrip())


def _print_tsv(rows: Iterable[_Listed]) -> None:
    print("\t".join(TSV_COLUMNS))
    for row in rows:
        values = (row.name, row.version, row.kind, row.engine, row.size, row.memory_mb, row.state)
        print("\t".join("NA" if value in (None, "") else str(value) for value in values), end="\t")
        print(row.id or "NA")


def _in_words(size: int) -> str:
    """Size with a decimal unit.

    >>> _in_words(950), _in_words(14_760_000_000)
    ('950 B', '14.8 GB')
    """
    value = float(size)
    for unit in UNITS[:-1]:
        if value < 999.5:
            return f"{value:.0f} {unit}" if unit == "B" or value >= 99.5 else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} {UNITS[-1]}"


# --- fetch ----------------------------------------------------------------------------------------


def _add_fetch(parser: argparse.ArgumentParser) -> None:
    _add_store(parser)
    parser.add_argument(
        "reference",
        metavar="NAME|DIR|ARCHIVE|URL",
        help="a name that `fermentome db list` shows, with or without @VERSION; a folder; an"
        " archive; the address of an archive or of a file",
    )
    parser.add_argument("--name", help="name that a database without a manifest gets")
    parser.add_argument("--version", help="its version")
    parser.add_argument("--kind", choices=KINDS, help="its kind, where its files do not tell")
    parser.add_argument("--engine", choices=ENGINE_NAMES, help="the tool that uses it, likewise")
    parser.add_argument("--licence", default="", help="its licence")
    parser.add_argument("--description", default="", help="what it is, in a sentence")
    parser.add_argument(
        "--mirror",
        metavar="DIR|URL",
        help="where files are looked for in place of every host (default: $FERMENTOME_MIRROR)",
    )
    parser.add_argument(
        "--threads", type=int, default=1, metavar="N", help="for what is built (default: 1)"
    )
    _add_replace(parser)


def _fetch(arguments: argparse.Namespace) -> int:
    from fermentome.databases.fetch import fetch
    from fermentome.databases.progress import Progress
    from fermentome.databases.registry import load_registry

    for reference in load_registry().members(arguments.reference):
        entry = fetch(
            reference,
            Store(arguments.store),
            name=arguments.name,
            version=arguments.version,
            kind=arguments.kind,
            engine=arguments.engine,
            licence=arguments.licence,
            description=arguments.description,
            progress=Progress(sys.stderr),
            mirror=arguments.mirror,
            threads=arguments.threads,
            replace=arguments.replace,
        )
        _print_entry(entry)
    return 0


def _print_entry(entry: Entry) -> None:
    print(f"{entry.reference}  {entry.kind}, {entry.engine}, {_in_words(entry.size)}")
    print(f"id    {entry.id}")
    print(f"path  {entry.path}")


# --- build ----------------------------------------------------------------------------------------


def _add_build(parser: argparse.ArgumentParser) -> None:
    kinds = "; ".join(f"{name}: {what}" for name, what in BUILDERS.items())
    parser.add_argument("what", choices=BUILDERS, metavar="KIND", help=kinds)
    # Each kind has a parser of its own, made when it is asked for: the builders load much.
    parser.add_argument(
        "rest",
        nargs=argparse.REMAINDER,
        metavar="...",
        help="arguments of the kind; `fermentome db build KIND --help` shows them",
    )


def _build(arguments: argparse.Namespace) -> int:
    what = arguments.what
    module = import_module(f"fermentome.command_build_{what}")
    parser = argparse.ArgumentParser(prog=f"fermentome db build {what}", description=module.__doc__)
    module.add_arguments(parser)
    parser.add_argument("--name", type=_checked_name, help="name of the database")
    parser.add_argument("--version", type=_checked_version, help="version of the database")
    _add_store(parser)
    parser.add_argument(
        "--out",
        metavar="DIR",
        type=Path,
        help="write the finished folder there, not into the store",
    )
    _add_replace(parser)
    options = parser.parse_args(arguments.rest)
    if options.out:
        manifest = _build_folder(module.build, options)
        print(f"{manifest.reference}  {manifest.kind}, {manifest.engine}")
        print(f"id    {manifest.id}")
        print(f"path  {options.out}")
        return 0
    lacking = [f"--{word}" for word in ("name", "version") if not getattr(options, word)]
    if lacking:
        parser.error(f"{' and '.join(lacking)} required, unless --out says where it goes")
    store = Store(options.store)
    reference = f"{options.name}@{options.version}"
    if reference in store and not options.replace:
        logging.getLogger(__name__).warning(
            "%s: is stored already; another database of that name is refused in the end, unless"
            " --replace is given",
            reference,
        )
    with store.staging() as work:
        folder = work / "database"
        folder.mkdir()
        try:
            module.build(options, folder)
            entry = store.add(folder, replace=options.replace)
        except FermentomeError as error:
            # The folder is gone in a moment.
            words = str(error).replace(f"{folder}/", "").replace(str(folder), reference)
            raise type(error)(words) from error
        _print_entry(entry)
    return 0


def _checked_name(text: str) -> str:
    name, version = _parsed(text)
    if version is not None:
        raise argparse.ArgumentTypeError(f"{text!r}: the version is given by --version")
    return name


def _checked_version(text: str) -> str:
    _parsed(f"any@{text}")
    return text


def _parsed(reference: str) -> tuple[str, str | None]:
    try:
        return split_reference(reference)
    except DatabaseError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _build_folder(
    build: Callable[[argparse.Namespace, Path], None], options: argparse.Namespace
) -> Manifest:
    """Build into a folder of the user's; it appears when it is finished."""
    out: Path = options.out
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise DatabaseError(f"{out}: exists already; name a new folder, or delete this one")
    work = out.absolute().with_name(f".{out.absolute().name}.{secrets.token_hex(4)}")
    try:
        work.mkdir(parents=True)
        build(options, work)
        manifest = read_manifest(work)
        work.replace(out.absolute())
    except OSError as error:
        raise DatabaseError(f"{error.filename or out}: {error.strerror}") from error
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return manifest


# --- verify ---------------------------------------------------------------------------------------


def _add_verify(parser: argparse.ArgumentParser) -> None:
    _add_store(parser)
    parser.add_argument(
        "databases",
        nargs="*",
        metavar="NAME|DIR",
        help="names, with or without @VERSION, or folders (default: all of the store)",
    )
    parser.add_argument("--kind", choices=KINDS, help="kind that is wanted")


def _verify(arguments: argparse.Namespace) -> int:
    store = Store(arguments.store)
    databases = arguments.databases or [f"{name}@{version}" for name, version in store.names()]
    if not databases:
        print(f"{store.root}: no database")
    bad = 0
    for database in databases:
        label, folder, problems = _verify_one(database, store, arguments.kind)
        bad += bool(problems)
        print(f"{label}: {_count(len(problems), 'problem') if problems else 'ok'}")
        for line in problems:
            print(f"  {line}")
        for line in remarks(folder):
            print(f"  remark: {line}")
    if bad:
        print(f"{bad} of {_count(len(databases), 'database')} cannot be used as it is")
    return 1 if bad else 0


def _verify_one(database: str, store: Store, kind: str | None) -> tuple[str, Path, list[str]]:
    """Name, folder and problems of a database; one that cannot be found is a problem too."""
    folder = Path(database)
    if not is_reference(database) or (database not in store and folder.is_dir()):
        return database, folder, [str(item) for item in verify_folder(folder, kind=kind)]
    try:
        name, version = store.resolve(database)
    except DatabaseError as error:
        return database, folder, [str(error)]
    reference = f"{name}@{version}"
    problems = verify_entry(store, reference, kind=kind)
    return reference, store.folder_of(reference), [str(item) for item in problems]


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


# --- export and import ----------------------------------------------------------------------------


def _add_export(parser: argparse.ArgumentParser) -> None:
    _add_store(parser)
    parser.add_argument("database", metavar="NAME|DIR", help="database of the store, or a folder")
    parser.add_argument(
        "file",
        metavar="FILE",
        nargs="?",
        type=Path,
        help="archive to write, or the folder for it (default: NAME-VERSION.tar here)",
    )


def _export(arguments: argparse.Namespace) -> int:
    store = Store(arguments.store)
    folder = Path(arguments.database)
    if is_reference(arguments.database) and (arguments.database in store or not folder.is_dir()):
        folder = store.path_of(arguments.database)
    manifest = read_manifest(folder)
    problems = check_files(folder, manifest)
    if problems:
        raise DatabaseError(
            f"{problems[0].path}: {problems[0].what}; a damaged database is not exported, see"
            f" `fermentome db verify {arguments.database}`"
        )
    top = f"{manifest.name}-{manifest.version}"
    target: Path = arguments.file or Path(f"{top}.tar")
    if target.is_dir():
        target /= f"{top}.tar"
    pack(folder.resolve(), target, top)
    print(f"{manifest.reference}  {_in_words(target.stat().st_size)}")
    print(f"id    {manifest.id}")
    print(f"path  {target}")
    print(f"On the other machine: fermentome db import {target.name}")
    return 0


def _add_import(parser: argparse.ArgumentParser) -> None:
    _add_store(parser)
    parser.add_argument("file", metavar="FILE", type=Path, help="archive that `export` wrote")
    parser.add_argument("--id", help="id that it must have, as `export` printed it")
    _add_replace(parser)


def _import(arguments: argparse.Namespace) -> int:
    store = Store(arguments.store)
    file: Path = arguments.file
    with store.staging() as work:
        folder = work / "database"
        unpack(file, folder)
        if not (folder / MANIFEST).is_file():
            raise ArchiveError(
                f"{file}: holds no {MANIFEST}, so that it is no export; `fermentome db fetch"
                f" {shlex.quote(str(file))} --name NAME --version VERSION` makes a database of"
                " files of others"
            )
        try:
            manifest = read_manifest(folder)
            if arguments.id and manifest.id != arguments.id.lower():
                raise DatabaseError(f"has id {manifest.id}, {arguments.id} was expected")
        except DatabaseError as error:
            raise ArchiveError(
                f"{_of_archive(error, file, folder)}; copy the file again"
            ) from error
        try:
            with store.lock(manifest.reference):
                entry = store.add(folder, replace=arguments.replace, check=check_content)
        except DatabaseError as error:
            raise ArchiveError(_of_archive(error, file, folder)) from error
    _print_entry(entry)
    return 0


def _of_archive(error: DatabaseError, file: Path, folder: Path) -> str:
    """Say an error of an archive, and not of a folder that is gone in a moment."""
    words = str(error).replace(f"{folder}/", "").removeprefix(f"{folder}: ")
    return f"{file}: {words}"


# --- gc -------------------------------------------------------------------------------------------


def _add_gc(parser: argparse.ArgumentParser) -> None:
    _add_store(parser)
    parser.add_argument("databases", nargs="*", metavar="NAME", help="databases to remove too")
    parser.add_argument("--dry-run", action="store_true", help="only say what would be removed")
    parser.add_argument(
        "--downloads",
        action="store_true",
        help="remove finished downloads too; they serve to build a database anew",
    )
    parser.add_argument(
        "--days",
        type=_checked_days,
        default=PARTIAL_DAYS,
        metavar="N",
        help="age from which a partial download is removed (default: %(default)g)",
    )


def _checked_days(text: str) -> float:
    try:
        days = float(text)
    except ValueError:
        days = math.nan
    if not 0 <= days < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r}: expected a number of days, 0 or more")
    return days


def _gc(arguments: argparse.Namespace) -> int:
    store = Store(arguments.store)
    found = store.collect(
        arguments.databases,
        arguments.dry_run,
        downloads=arguments.downloads,
        partial_days=arguments.days,
    )
    verb = "would remove" if arguments.dry_run else "removed"
    for item in found:
        line = f"{item.what}, {_in_words(item.size)}: {item.path}"
        print(f"left {line}: {item.kept}" if item.kept else f"{verb} {line}")
    freed = sum(item.size for item in found if not item.kept)
    print(f"{_in_words(freed)} {'would be freed' if arguments.dry_run else 'freed'}")
    return 1 if any(item.kept for item in found) else 0


# --- actions --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Action:
    summary: str
    add_arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int]


ACTIONS: Mapping[str, _Action] = {
    "list": _Action("show the databases of the store and those known by name", _add_list, _list),
    "fetch": _Action("bring a database into the store", _add_fetch, _fetch),
    "build": _Action("make a database from data of your own or of others", _add_build, _build),
    "verify": _Action("say what is wrong with databases and how to mend it", _add_verify, _verify),
    "export": _Action("write a database to one file", _add_export, _export),
    "import": _Action("take a database from such a file", _add_import, _import),
    "gc": _Action("free the space of what is not needed", _add_gc, _gc),
}
