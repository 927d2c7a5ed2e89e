"""Take in files that nobody made for Fermentome: which file is what, and under which name.

A folder, or what came out of an archive, is looked through for the fixed names of a database and
for those under which the files are published. What is recognised is put into a folder under the
fixed names; tables of lineages are rewritten in our own form.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import logging
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from fermentome.databases.manifest import ENGINES
from fermentome.databases.store import copy_file
from fermentome.errors import DatabaseError, FermentomeError
from fermentome.lineage import format_lineage, read_lineages, sketch_key
from fermentome.tables import write_table

__all__ = [
    "Layout",
    "adopt",
    "convert_lineages",
    "copy_in",
    "match_lineages",
    "place",
    "read_md5_list",
    "recognise",
]

logger = logging.getLogger(__name__)

#: Patterns of file names by the name in a database; the first pattern that fits decides.
_PATTERNS: Mapping[tuple[str, str], Mapping[str, tuple[str, ...]]] = {
    ("taxonomy", "sylph"): {
        "taxonomy.syldb": ("taxonomy.syldb", "*.syldb"),
        "lineages.tsv": (
            "lineages.tsv",
            "lineages.tsv.gz",
            "*_metadata.tsv",
            "*_metadata.tsv.gz",
            "*_sylph_tax.tsv.gz",
            "*_taxonomy_*.tsv",
            "*_taxonomy_*.tsv.gz",
        ),
        "phenotypes.tsv": ("phenotypes.tsv",),
    },
    ("taxonomy", "kraken2"): {
        "hash.k2d": ("hash.k2d",),
        "opts.k2d": ("opts.k2d",),
        "taxo.k2d": ("taxo.k2d",),
        "lineages.tsv": ("lineages.tsv", "lineages.tsv.gz"),
        "phenotypes.tsv": ("phenotypes.tsv",),
    },
    ("scfa_proteins", "diamond"): {
        "proteins.faa.gz": ("proteins.faa.gz",),
        "proteins.tsv": ("proteins.tsv",),
        "families.tsv": ("families.tsv",),
    },
    ("host", "minimap2"): {
        "host.fa.gz": (
            "host.fa.gz",
            *(f"*.{ending}{packed}" for packed in (".gz", "") for ending in ("fa", "fna", "fasta")),
        ),
        "host.mmi": ("host.mmi", "*.mmi"),
    },
}
#: Kept under their own names: what Kraken2's tools write beside the three files.
_KEPT: Mapping[tuple[str, str], tuple[str, ...]] = {
    ("taxonomy", "kraken2"): (
        "database*mers.kmer_distrib",
        "inspect.txt",
        "ktaxonomy.tsv",
        "library_report.tsv",
        "names.dmp",
        "nodes.dmp",
        "seqid2taxid.map",
        "genome_sizes.tsv",
    ),
}
#: Files that are of one kind only, so that the kind need not be said.
_TELLING: Mapping[str, tuple[str, str]] = {
    "*.syldb": ("taxonomy", "sylph"),
    "hash.k2d": ("taxonomy", "kraken2"),
    "proteins.faa.gz": ("scfa_proteins", "diamond"),
    "host.fa.gz": ("host", "minimap2"),
    "*.mmi": ("host", "minimap2"),
}


@dataclass(frozen=True, slots=True)
class Layout:
    """What the files of a folder are.

    Attributes
    ----------
    files
        File of the folder by the name that it has in a database.
    left
        Files that belong to no database.
    """

    kind: str
    engine: str
    files: Mapping[str, str]
    left: tuple[str, ...]


def recognise(
    names: Sequence[str], where: str, *, kind: str | None = None, engine: str | None = None
) -> Layout:
    """Tell from their names what the files of a folder are.

    Parameters
    ----------
    names
        File names, without folder.
    where
        What to call the folder in a message.
    kind, engine
        As in a manifest; by default told by the files.

    Raises
    ------
    DatabaseError
        If the files tell no kind, one that the kind needs is missing, or two could be the same.

    >>> recognise(["gtdb-r226-c200-dbv1.syldb", "gtdb_r226_metadata.tsv.gz"], "gtdb").files
    {'taxonomy.syldb': 'gtdb-r226-c200-dbv1.syldb', 'lineages.tsv': 'gtdb_r226_metadata.tsv.gz'}
    """
    kind, engine = _kind_and_engine(names, where, kind, engine)
    files: dict[str, str] = {}
    for target, patterns in _PATTERNS[kind, engine].items():
        if found := _first_match(names, patterns, where, target):
            files[target] = found
    for name in names:
        if any(fnmatchcase(name, pattern) for pattern in _KEPT.get((kind, engine), ())):
            files.setdefault(name, name)
    groups = ENGINES[kind][engine]
    if not any(set(group) <= files.keys() for group in groups):
        missing = [name for name in groups[0] if name not in files]
        raise DatabaseError(
            f"{where}: no file for {' and '.join(missing)} among {_some(names)}; a database of kind"
            f" {kind} for {engine} needs {' or '.join(' and '.join(group) for group in groups)}."
            f" Accepted names: {', '.join(_PATTERNS[kind, engine][missing[0]])}"
        )
    used = set(files.values())
    return Layout(kind, engine, files, tuple(name for name in names if name not in used))


def _kind_and_engine(
    names: Sequence[str], where: str, kind: str | None, engine: str | None
) -> tuple[str, str]:
    told = {
        pair
        for pattern, pair in _TELLING.items()
        if any(fnmatchcase(name, pattern) for name in names)
        and kind in (None, pair[0])
        and engine in (None, pair[1])
    }
    possible = {pair for pair in _PATTERNS if kind in (None, pair[0]) and engine in (None, pair[1])}
    if not possible:
        raise DatabaseError(
            f"{where}: kind {kind} and engine {engine} do not go together; expected one of"
            f" {', '.join(f'{a} with {b}' for a, b in _PATTERNS)}"
        )
    pairs = told or possible
    if len(pairs) > 1:
        raise DatabaseError(
            f"{where}: its files ({_some(names)}) do not tell what it is; say --kind"
            f" {' or '.join(sorted({pair[0] for pair in pairs}))} and --engine"
            f" {' or '.join(sorted({pair[1] for pair in pairs}))}"
        )
    return pairs.pop()


def _first_match(names: Sequence[str], patterns: Sequence[str], where: str, target: str) -> str:
    for pattern in patterns:
        found = [name for name in names if fnmatchcase(name, pattern)]
        if len(found) > 1:
            raise DatabaseError(
                f"{where}: {' and '.join(sorted(found))} could all be {target}; keep one, or"
                f" rename the right one to {target}"
            )
        if found:
            return found[0]
    return ""


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(sorted(names)[:8]) or "nothing"
    return shown + (", ..." if len(names) > 8 else "")


def adopt(source: Path, folder: Path, layout: Layout, *, ours: bool = False) -> None:
    """Put the files of a folder into another one under the names of a database.

    Parameters
    ----------
    source
        Folder whose files `layout` names; it is left as it is.
    folder
        Existing empty folder.
    ours
        As of `place`.
    """
    for target, name in layout.files.items():
        place(source / name, folder / target, ours=ours)


def place(source: Path, target: Path, *, ours: bool = False) -> None:
    """Put one file into a database under its fixed name, in the form that this name stands for.

    Parameters
    ----------
    ours
        Whether nobody else has or changes the file: then it gets a second name, where the file
        system can do that, and does not take its place on the disk twice.
    """
    try:
        if target.name == "lineages.tsv":
            convert_lineages(source, target)
        elif target.name == "host.fa.gz" and not _is_gzip(source):
            _pack(source, target)
        else:
            copy_in(source, target, ours=ours)
    except OSError as error:
        raise DatabaseError(
            f"{error.filename or source}: {error.strerror}; it was to become {target.name} of a"
            " database. Make room, or name another store by --store"
        ) from error


def copy_in(source: Path, target: Path, *, ours: bool = False) -> None:
    """Copy a file as it is; `ours` as of `place`."""
    if ours:
        with contextlib.suppress(OSError):
            os.link(source.resolve(), target)
            return
    copy_file(source, target)


def convert_lineages(source: Path, target: Path) -> None:
    """Rewrite a table of genomes and lineages of any known form in our own.

    The rows are sorted, so that the same lineages give the same bytes.

    Raises
    ------
    DatabaseError
        If the table cannot be read.
    """
    try:
        lineages = read_lineages(source)
    except FermentomeError as error:
        raise DatabaseError(str(error)) from error
    rows = (
        {"genome": genome, "lineage": format_lineage(lineages[genome])}
        for genome in sorted(lineages)
    )
    write_table(target, ("genome", "lineage"), rows)


def match_lineages(folder: Path) -> dict[str, int]:
    """Look through the sketches of a sylph database, and keep the lineages of these genomes alone.

    What is no database of sylph, such as a page that a proxy sent in its place, is found here, and
    so is a table of another release.

    Returns
    -------
    dict
        ``subsampling`` and ``k`` of the sketches.

    Raises
    ------
    DatabaseError
        If the sketches cannot be read, or a genome has no lineage.
    """
    # What reads tables of a database needs no sylph, which takes a while to load.
    from fermentome.databases.taxonomic import lineages_of, write_lineages

    sketches = _read_sketches(folder / "taxonomy.syldb")
    table = folder / "lineages.tsv"
    genomes = [sketch_key(name) for name, _, _ in sketches]
    kinds = {(subsampling, kmer) for _, subsampling, kmer in sketches}
    if len(kinds) != 1 or len(set(genomes)) != len(genomes):
        raise DatabaseError(
            f"taxonomy.syldb: {len(genomes)} sketches of {len(set(genomes))} genomes, made in"
            f" {len(kinds)} ways (subsampling and k: {sorted(kinds)}); sketch every genome once"
            " and all alike"
        )
    try:
        write_lineages(table, lineages_of(genomes, read_lineages(table), table))
    except FermentomeError as error:
        # The user does not know the folder in which it is made.
        raise DatabaseError(str(error).replace(f"{folder}/", "")) from error
    ((subsampling, kmer),) = kinds
    return {"subsampling": subsampling, "k": kmer}


_READ_SKETCHES = """
import json, sys, pysylph
for sketch in pysylph.DatabaseFile(sys.argv[1]):
    print(json.dumps([sketch.name, sketch.c, sketch.k]))
"""


def _read_sketches(path: Path) -> list[tuple[str, int, int]]:
    """Name, subsampling and k of each sketch.

    pysylph takes the first bytes of any file for the number of its sketches; with another file it
    panics or aborts. So it reads in a process of its own.
    """
    run = subprocess.run(
        [sys.executable, "-c", _READ_SKETCHES, os.fspath(path)], capture_output=True, text=True
    )
    sketches = [tuple(json.loads(line)) for line in run.stdout.splitlines()]
    if run.returncode or not sketches:
        logger.debug("%s: %s", path, run.stderr)
        raise DatabaseError(
            f"{path.name}: not a sylph database that this version reads, or not all of one. Was it"
            " a web page that a proxy or a server sent in its place? Fetch it again, or by hand; of"
            " several forms (.syldb, .syl2db) take .syldb"
        )
    return sketches


def _is_gzip(path: Path) -> bool:
    with path.open("rb") as handle:
        return handle.read(2) == b"\x1f\x8b"


def _pack(source: Path, target: Path) -> None:
    """Pack with gzip, without name and date: the same genome gives the same bytes."""
    with (
        source.open("rb") as plain,
        target.open("wb") as handle,
        gzip.GzipFile(filename="", mode="wb", fileobj=handle, mtime=0, compresslevel=6) as packed,
    ):
        shutil.copyfileobj(plain, packed, 1 << 20)


_MD5_LINE = re.compile(r"^\\?([0-9a-fA-F]{32}) [ *](.+)$")


def read_md5_list(text: str) -> dict[str, str]:
    """MD5 sum by file name, without folders, of a list as ``md5sum`` writes it.

    Other lines are passed over.

    >>> read_md5_list("d41d8cd98f00b204e9800998ecf8427e  ./db/empty.txt")
    {'empty.txt': 'd41d8cd98f00b204e9800998ecf8427e'}
    """
    found = (_MD5_LINE.match(line.strip()) for line in text.splitlines())
    return {os.path.basename(match[2]): match[1].lower() for match in found if match}
