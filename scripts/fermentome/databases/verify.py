"""What is wrong with a database, and the command that mends it.

First the files are held against the manifest. If they are those that were made, it is asked
whether they can be used here: by the kind that is wanted, by the version of the tool that reads
the index, and by whether the files of the folder fit each other.

An index is *incompatible* if the tool says no to it or would read it wrongly; that is a problem.
One that was made by another version of the tool and is read all the same *differs*; that is a
remark, since results may differ a little.
"""

from __future__ import annotations

import importlib.metadata
import json
import re
import shlex
import shutil
import struct
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from fermentome.databases.manifest import (
    ENGINES,
    MANIFEST,
    Manifest,
    Problem,
    check_files,
    read_manifest,
)
from fermentome.databases.store import Store, default_root
from fermentome.errors import DatabaseError, FermentomeError, ManifestError

if TYPE_CHECKING:
    from fermentome.databases.registry import Registry

__all__ = [
    "ContentError",
    "check_content",
    "installed_version",
    "remarks",
    "verify_entry",
    "verify_folder",
]

#: The file that each tool makes, and the name under which `fermentome db build` makes a database.
INDEX_OF = {
    "pysylph": "taxonomy.syldb",
    "sylph": "taxonomy.syldb",
    "kraken2": "hash.k2d",
    "minimap2": "host.mmi",
}
#: What each builder must be given besides name and version, as words to fill in.
WANTED_BY = {
    "sylph": "--genomes DIR --lineages FILE",
    "kraken2": "--genomes DIR --lineages TSV",
    "diamond": "--proteins FILE",
    "minimap2": "--fasta FILE",
}
BUILDER_OF = {"sylph": "taxonomy", "kraken2": "kraken2", "diamond": "scfa", "minimap2": "host"}

KMER = 31
#: Minimap2's preset for short reads, ``-x sr``: k and w (lh3/minimap2, options.c).
SHORT_READS = (21, 11)
#: Flags of an index (lh3/minimap2, minimap.h): homopolymers pressed; no sequences, which
#: ``minimap2 -a`` refuses.
PRESSED, NO_SEQUENCES = 1, 2
#: `IndexOptions` of DerrickWood/kraken2, src/kraken2_data.h: k, l, two masks, whether DNA, least
#: hash value, version of the reverse complement, of the database, its type. Older databases are
#: shorter, and kraken2 takes 0 for what they lack.
KRAKEN2_OPTIONS = "<4Q?7xQ3i4x"
#: Header of hash.k2d (src/compact_hash.cc): capacity, size, bits of key and value. Cells follow.
KRAKEN2_TABLE = "<4Q"
KRAKEN2_CELL = 4
#: Prints what a sylph database holds. In a process of its own, since pysylph 0.1.3 ends the
#: process or asks for any amount of memory when a file is not what it should be.
READ_SKETCHES = """
import json, sys
try:
    import pysylph
except ImportError:
    sys.exit(3)
for sketch in pysylph.DatabaseFile(sys.argv[1]):
    print(json.dumps([sketch.name, sketch.k]))
"""
NOT_INSTALLED = 3
_VERSION = re.compile(r"\d+(?:\.\d+)+")


# --- entry points ---------------------------------------------------------------------------------


def verify_folder(
    folder: Path,
    *,
    kind: str | None = None,
    engine: str | None = None,
    store: Store | None = None,
    reference: str = "",
) -> list[Problem]:
    """Find what is wrong with the folder of a database; empty if nothing is.

    Parameters
    ----------
    kind, engine
        What the database is to be used for; None where it does not matter.
    store, reference
        Where the folder belongs to a store: that store, and ``name@version`` in it.

    Notes
    -----
    Every file is read. Whether files fit each other is asked only if they are those of the
    manifest: else the answer would be about the damage once more.
    """
    source = _Source(folder, None, store, reference)
    if not folder.is_dir():
        mend = _again(source) if store else "fermentome db list  # names that can be given instead"
        return [Problem(folder, "is no folder; expected that of a database", mend)]
    if not (folder / MANIFEST).exists():
        mend = _again(source) if store else _describe(folder)
        return [Problem(folder, f"holds no {MANIFEST}", mend)]
    try:
        manifest = read_manifest(folder)
    except ManifestError as error:
        what = str(error).removeprefix(f"{folder / MANIFEST}: ").removeprefix(f"{folder}: ")
        return [Problem(folder / MANIFEST, what, _again(source))]
    source = replace(source, manifest=manifest)
    problems = list(_kind_problems(folder, manifest, kind, engine))
    problems += [_with_source(problem, source) for problem in check_files(folder, manifest)]
    if any(problem.path.name in manifest.files for problem in problems):
        return problems
    problems += _version_problems(folder, source)
    problems += _content_problems(folder, source)
    return problems


def verify_entry(store: Store, reference: str, *, kind: str | None = None) -> list[Problem]:
    """Find what is wrong with a database of a store.

    Parameters
    ----------
    reference
        ``name`` or ``name@version``.

    Raises
    ------
    DatabaseError
        If the store has no such name, or several versions of it.
    """
    name, version = store.resolve(reference)
    reference = f"{name}@{version}"
    path = store.folder_of(reference)
    if not path.is_dir():
        target = f" ({path.readlink()})" if path.is_symlink() else ""
        return [
            Problem(
                path,
                f"leads to no folder{target}: the database was removed by hand",
                _again(_Source(path, None, store, reference)),
            )
        ]
    problems = verify_folder(path, kind=kind, store=store, reference=reference)
    try:
        manifest = read_manifest(path)
    except ManifestError:
        return problems
    source = _Source(path, manifest, store, reference)
    if manifest.reference != reference:
        problems.append(
            Problem(path, f"leads to {manifest.reference}: the link was edited", _again(source))
        )
    elif path.resolve().name != manifest.id:
        problems.append(
            Problem(
                path,
                f"the database has id {manifest.id}, its folder is called {path.resolve().name}:"
                " its manifest was written anew",
                _again(source),
            )
        )
    return problems


class ContentError(DatabaseError):
    """Files are whole, as they were made or published, and cannot be used."""


def check_content(folder: Path, manifest: Manifest) -> None:
    """See that the files of a database, which are those of its manifest, fit each other.

    Raises
    ------
    ContentError
        If `verify_folder` would refuse them wherever the database is used.
    """
    for path, what in _found_in(folder, manifest):
        raise ContentError(
            f"{path.relative_to(folder)}: {what}; the database was not taken into the store"
        )


def remarks(folder: Path) -> list[str]:
    """Say what differs and does no harm: indexes of other versions of a tool than is here."""
    try:
        manifest = read_manifest(folder)
    except ManifestError:
        return []
    return [*_version_remarks(manifest), *_index_remarks(folder, manifest)]


# --- how a database is had again ------------------------------------------------------------------


@dataclass(frozen=True)
class _Source:
    """What is known of where a database came from."""

    folder: Path
    manifest: Manifest | None
    store: Store | None
    reference: str


def _again(source: _Source) -> str:
    """The command that brings back a database whose files are not those that were made.

    `fetch` and `import` replace what is damaged.
    """
    manifest, place = source.manifest, _store_option(source.store)
    if fetched := _fetch_command(source):
        return fetched
    if not manifest:
        return f"fermentome db import {source.reference.replace('@', '-') or 'EXPORT'}.tar{place}"
    # What follows '#' is no part of the command: nobody here knows where the sources lie.
    return (
        f"fermentome db import {manifest.name}-{manifest.version}.tar{place}"
        f"  # its export, or: {_build_words(source)}"
    )


def _anew(source: _Source, path: Path) -> str:
    """The command that makes a database anew whose files are as they were made, and no good.

    `path` is the file that is no good. What can be used of the others is used.
    """
    manifest, place = source.manifest, _store_option(source.store)
    assert manifest is not None
    folder = source.folder
    # What is stored is kept until the new one is there, and its name is taken then.
    tail = f"{' --replace' if source.store else ''}{place}"
    if fetched := _fetch_command(source):
        return f"{fetched}{' --replace' if source.store else ''}"
    build = _build_command(manifest)
    if path.name == "host.mmi" and "host.fa.gz" in manifest.files:
        return f"{build} --fasta {shlex.quote(str(folder / 'host.fa.gz'))}{tail}"
    if path.name == "lineages.tsv" and manifest.engine == "sylph":
        sketches = shlex.quote(str(folder / "taxonomy.syldb"))
        return f"{build} --database {sketches} --lineages TABLE{tail}"
    return f"{_build_words(source)}  # from its sources"


def _fetch_command(source: _Source) -> str:
    """The command that fetches a database; empty if it came from more than one address."""
    manifest, place = source.manifest, _store_option(source.store)
    reference = source.reference or (manifest.reference if manifest else "")
    if reference and _is_preset(reference):
        return f"fermentome db fetch {reference}{place}"
    if not manifest or len(manifest.sources) != 1 or "://" not in manifest.sources[0].url:
        return ""
    return (
        f"fermentome db fetch {shlex.quote(manifest.sources[0].url)} --name {manifest.name}"
        f" --version {manifest.version} --kind {manifest.kind} --engine {manifest.engine}{place}"
    )


def _build_command(manifest: Manifest) -> str:
    return (
        f"fermentome db build {BUILDER_OF[manifest.engine]} --name {manifest.name}"
        f" --version {manifest.version}"
    )


def _build_words(source: _Source) -> str:
    """The command that builds a database, with words in place of what nobody here knows."""
    manifest = source.manifest
    assert manifest is not None
    replacing = f" --replace{_store_option(source.store)}" if source.store else ""
    return f"{_build_command(manifest)} {WANTED_BY[manifest.engine]}{replacing}"


def _describe(folder: Path) -> str:
    """The command that makes a database of a folder without a manifest."""
    known = [
        f" --kind {kind} --engine {engine}"
        for kind, engines in ENGINES.items()
        for engine, groups in engines.items()
        if any(all((folder / file).is_file() for file in group) for group in groups)
    ]
    kind = known[0] if known else " --kind KIND"
    return f"fermentome db fetch {shlex.quote(str(folder))} --name NAME --version VERSION{kind}"


def _store_option(store: Store | None) -> str:
    if store is None or store.root == Store(default_root()).root:
        return ""
    return f" --store {shlex.quote(str(store.root))}"


def _is_preset(reference: str) -> bool:
    registry = _registry()
    return registry is not None and registry.knows(reference)


def _registry() -> Registry | None:
    try:
        from fermentome.databases.registry import load_registry

        return load_registry()
    except (DatabaseError, ImportError):
        return None


def _with_source(problem: Problem, source: _Source) -> Problem:
    """Let a problem of the files name the command for this database."""
    return problem if problem.mend.startswith("rm ") else replace(problem, mend=_again(source))


# --- kind -----------------------------------------------------------------------------------------


def _kind_problems(
    folder: Path, manifest: Manifest, kind: str | None, engine: str | None
) -> Iterator[Problem]:
    if kind is not None and manifest.kind != kind:
        yield Problem(
            folder,
            f"{manifest.reference} is a database of kind {manifest.kind!r}, {kind!r} is wanted"
            " here",
            _other(kind, engine),
        )
    elif engine is not None and manifest.engine != engine:
        yield Problem(
            folder,
            f"{manifest.reference} is a database for {manifest.engine}, one for {engine} is wanted"
            " here",
            _other(manifest.kind, engine),
        )


def _other(kind: str, engine: str | None) -> str:
    """The command that brings a database of a kind."""
    engines = [engine] if engine else list(ENGINES.get(kind, {}))
    registry = _registry()
    presets = registry.presets if registry else ()
    fitting = [preset for preset in presets if preset.kind == kind and preset.engine in engines]
    real = [preset for preset in fitting if not preset.name.startswith("demo-")]
    if real:
        return f"fermentome db fetch {real[0].name}"
    builders = [BUILDER_OF[name] for name in engines if name in BUILDER_OF]
    return f"fermentome db build {builders[0] if builders else 'KIND'} --help"


# --- versions of tools ----------------------------------------------------------------------------


def installed_version(tool: str) -> str:
    """Version of a tool that is found here; empty if it is not."""
    if tool in ("pysylph", "sylph"):
        try:
            # Databases are read with pysylph, whichever of the two made them.
            return importlib.metadata.version("pysylph")
        except importlib.metadata.PackageNotFoundError:
            return ""
    program = shutil.which(tool)
    if program is None:
        return ""
    try:
        run = subprocess.run(
            [program, "--version"], capture_output=True, text=True, timeout=60, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return run.stdout.strip().partition("\n")[0]


def _number(version: str) -> str:
    """First dotted number of a version; the whole text where there is none."""
    found = _VERSION.search(version)
    return found[0] if found else version


def _versions(manifest: Manifest) -> Iterator[tuple[str, str, str]]:
    """Yield (tool, version that made the index, version here) where they differ."""
    for tool, built in manifest.tools.items():
        if INDEX_OF.get(tool) not in manifest.files:
            continue
        here = installed_version(tool)
        if here and _number(built) != _number(here):
            yield tool, built, here


def _is_incompatible(tool: str, built: str, here: str) -> bool:
    """Whether a version of a tool does not read what another made, by its version number.

    The mark of minimap2's index, ``MMI`` and 2, and the layout of kraken2's files are those of all
    versions 2; neither promises that of another major version. Of sylph's databases none is
    refused here: between versions 0.2, which broke the format (CHANGELOG.md of
    bluenote-1577/sylph), and those of today only reading tells.
    """
    return tool in ("minimap2", "kraken2") and _major(built) != _major(here)


def _major(version: str) -> str:
    return _number(version).partition(".")[0]


def _version_problems(folder: Path, source: _Source) -> Iterator[Problem]:
    assert source.manifest is not None
    for tool, built, here in _versions(source.manifest):
        if _is_incompatible(tool, built, here):
            index = folder / INDEX_OF[tool]
            yield Problem(
                index,
                f"was made by {tool} {_number(built)}, here is {_number(here)}, which does not read"
                f" indexes of version {_major(built)}",
                _anew(source, index),
            )


def _version_remarks(manifest: Manifest) -> Iterator[str]:
    for tool, built, here in _versions(manifest):
        if _is_incompatible(tool, built, here):
            continue
        if tool == "sylph":
            yield f"{INDEX_OF[tool]}: made by sylph {_number(built)}, read by pysylph {here}"
        else:
            yield (
                f"{INDEX_OF[tool]}: made by {tool} {_number(built)}, here is {_number(here)}, which"
                " reads it"
            )


# --- content --------------------------------------------------------------------------------------


def _content_problems(folder: Path, source: _Source) -> Iterable[Problem]:
    assert source.manifest is not None
    for path, what in _found_in(folder, source.manifest):
        yield Problem(path, what, _anew(source, path))


def _found_in(folder: Path, manifest: Manifest) -> Iterator[tuple[Path, str]]:
    """Yield (file, what is wrong with its content)."""
    checks = {
        "sylph": _sylph_problems,
        "kraken2": _kraken2_problems,
        "diamond": _protein_problems,
        "minimap2": _host_problems,
    }
    yield from checks[manifest.engine](folder, manifest)


def _said_of(path: Path, error: Exception) -> tuple[Path, str]:
    """Path and message of an error of the library, which begins with the path."""
    return path, str(error).removeprefix(f"{path}: ")


def _sylph_problems(folder: Path, manifest: Manifest) -> Iterator[tuple[Path, str]]:
    from fermentome.lineage import find_lineage, read_lineages, sketch_key

    index, table = folder / "taxonomy.syldb", folder / "lineages.tsv"
    run = subprocess.run(
        [sys.executable, "-c", READ_SKETCHES, str(index)], capture_output=True, text=True
    )
    if run.returncode == NOT_INSTALLED:
        return
    sketches = [json.loads(line) for line in run.stdout.splitlines()] if not run.returncode else []
    if not sketches:
        made = ", ".join(f"{tool} {version}" for tool, version in manifest.tools.items())
        why = "cannot be read" if run.returncode else "holds no genome that can be read"
        yield (
            index,
            f"{why} by pysylph {installed_version('pysylph')}; it was made by"
            f" {made or 'a tool that the manifest does not name'}",
        )
        return
    other = sorted({k for _, k in sketches} - {KMER})
    if other:
        yield index, f"has k-mers of {other[0]} letters, the reads are cut into {KMER}"
    try:
        lineages = read_lineages(table)
    except FermentomeError as error:
        yield _said_of(table, error)
        return
    names = [sketch_key(name) for name, _ in sketches]
    lacking = [name for name in names if find_lineage(name, lineages) is None]
    if lacking:
        yield (
            table,
            f"lacks {len(lacking):,} of the {len(names):,} genomes of {index.name}, the first is"
            f" {lacking[0]!r}: table and database are of different releases",
        )


def _kraken2_problems(folder: Path, manifest: Manifest) -> Iterator[tuple[Path, str]]:
    from fermentome.kraken2 import read_taxonomy

    yield from _kraken2_options(folder / "opts.k2d")
    table = folder / "hash.k2d"
    with table.open("rb") as handle:
        header = handle.read(struct.calcsize(KRAKEN2_TABLE))
    size = table.stat().st_size
    if len(header) < struct.calcsize(KRAKEN2_TABLE):
        yield table, f"has {size} bytes, too few for the hash table of kraken2"
    else:
        capacity, _, key_bits, value_bits = struct.unpack(KRAKEN2_TABLE, header)
        expected = len(header) + KRAKEN2_CELL * capacity
        if key_bits + value_bits != 8 * KRAKEN2_CELL or size != expected:
            yield (
                table,
                f"has {size:,} bytes, by its header it is one of {expected:,} with cells of"
                f" {key_bits + value_bits} bits: not of kraken2 2, or cut off before it was added",
            )
    try:
        read_taxonomy(folder / "taxo.k2d")
    except FermentomeError as error:
        yield _said_of(folder / "taxo.k2d", error)


def _kraken2_options(path: Path) -> Iterator[tuple[Path, str]]:
    data = path.read_bytes()
    whole = struct.calcsize(KRAKEN2_OPTIONS)
    shortest = struct.calcsize("<4Q?7xQ")
    if not shortest <= len(data) <= whole:
        yield (
            path,
            f"has {len(data)} bytes, {shortest} to {whole} were expected: made by a version of"
            " kraken2 with another format, or by something else",
        )
        return
    fields = struct.unpack(KRAKEN2_OPTIONS, data.ljust(whole, b"\0"))
    is_dna, database_version = fields[4], fields[7]
    if database_version:
        yield (
            path,
            f"is of format {database_version}, kraken2 {installed_version('kraken2') or '2'} knows"
            " format 0",
        )
    if not is_dna:
        yield path, "is a database of proteins; reads are classified with one of DNA"


def _protein_problems(folder: Path, manifest: Manifest) -> Iterator[tuple[Path, str]]:
    from fermentome.reference import read_reference

    try:
        read_reference(folder)
    except FermentomeError as error:
        # The message begins with the file of the folder that it is about.
        for name in sorted(manifest.files, key=len, reverse=True):
            start = str(folder / name)
            if str(error).startswith(start):
                yield folder / name, str(error)[len(start) :].lstrip(":, ")
                return
        yield folder, str(error).removeprefix(f"{folder}: ")


def _host_problems(folder: Path, manifest: Manifest) -> Iterator[tuple[Path, str]]:
    from fermentome.host import measure_fasta

    fasta, index = folder / "host.fa.gz", folder / "host.mmi"
    sequences = None
    if fasta.name in manifest.files:
        try:
            sequences, _ = measure_fasta(fasta)
        except FermentomeError as error:
            yield _said_of(fasta, error)
    if index.name in manifest.files:
        yield from _host_index_problems(index, manifest, sequences)


def _host_index_problems(
    index: Path, manifest: Manifest, sequences: int | None
) -> Iterator[tuple[Path, str]]:
    from fermentome.host import measure_index

    try:
        indexed = measure_index(index)
    except FermentomeError:
        made = manifest.tools.get("minimap2")
        by = f"minimap2 {_number(made)}" if made else "an unknown tool"
        here = installed_version("minimap2")
        yield (
            index,
            f"is no index that minimap2 {_number(here) if here else '2'} reads; made by {by}",
        )
        return
    if sequences is not None and sequences != indexed:
        yield (
            index,
            f"is of {indexed:,} sequences, host.fa.gz has {sequences:,}: they are of different"
            " genomes",
        )
    if _index_header(index)["flag"] & NO_SEQUENCES:
        yield index, "holds no sequences, so that no read can be aligned to it"


def _index_header(index: Path) -> Mapping[str, int]:
    with index.open("rb") as handle:
        values = struct.unpack("<5I", handle.read(24)[4:])
    return dict(zip(("w", "k", "b", "n_seq", "flag"), values, strict=True))


def _index_remarks(folder: Path, manifest: Manifest) -> Iterator[str]:
    index = folder / "host.mmi"
    if index.name not in manifest.files or not index.is_file() or index.stat().st_size < 24:
        return
    header = _index_header(index)
    if (header["k"], header["w"]) != SHORT_READS or header["flag"] & PRESSED:
        yield (
            f"{index.name}: made with -k {header['k']} -w {header['w']}"
            f"{' -H' if header['flag'] & PRESSED else ''}, short reads have -k {SHORT_READS[0]} -w"
            f" {SHORT_READS[1]} (-x sr); minimap2 uses those of the index"
        )
