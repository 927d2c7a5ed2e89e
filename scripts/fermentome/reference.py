"""Protein reference folders, and the cleaning of labelled proteins that fills them.

A reference folder holds ``proteins.faa.gz`` (amino acids under opaque ids), ``proteins.tsv``
(family, length, lineage and origin of each) and ``manifest.yaml`` (name, version and checksums;
`fermentome.databases.manifest`). Reads are searched against the first, hits are read with the
second, and the third says whether both are still what was built.
"""

from __future__ import annotations

import csv
import gzip
import io
import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from fermentome.databases.manifest import (
    MANIFEST,
    Manifest,
    Source,
    check_files,
    read_manifest,
    write_manifest,
)
from fermentome.errors import ManifestError, ReferenceFolderError

__all__ = [
    "CleaningPolicy",
    "CleaningResult",
    "FastaRecord",
    "LabelledProtein",
    "Reference",
    "ReferenceProtein",
    "SearchHit",
    "Verdict",
    "clean_labels",
    "describe_reference",
    "read_fasta",
    "read_reference",
    "read_search_hits",
    "write_fasta",
    "write_proteins",
    "write_reference",
]

KIND, ENGINE = "scfa_proteins", "diamond"
#: What a search of reads takes at its blocks of 0.4 billion letters, whatever the reference's size.
SEARCH_MEMORY_MB = 2500
FASTA_NAME = "proteins.faa.gz"
TABLE_NAME = "proteins.tsv"
TABLE_COLUMNS = ("protein", "family", "length_aa", "lineage", "source", "accession")
RANK_PREFIXES = ("d__", "p__", "c__", "o__", "f__", "g__", "s__")

#: The columns that :func:`read_search_hits` expects, as DIAMOND's ``--outfmt 6`` names them.
SEARCH_COLUMNS = ("qseqid", "sseqid", "pident", "qcovhsp", "scovhsp", "bitscore")


class FastaRecord(NamedTuple):
    """One sequence of a FASTA file: identifier, rest of the header, residues."""

    identifier: str
    description: str
    sequence: str


class ReferenceProtein(NamedTuple):
    """One row of ``proteins.tsv``; `lineage` is empty where it is not known."""

    protein: str
    family: str
    length_aa: int
    lineage: str
    source: str
    accession: str


@dataclass(frozen=True)
class LabelledProtein:
    """A protein with the family that its source gives it.

    `trusted` marks a label that was checked by a curator or follows from the gene's
    neighbourhood, as opposed to the output of a screen.
    """

    accession: str
    family: str
    sequence: str
    source: str
    lineage: str = ""
    trusted: bool = False


@dataclass(frozen=True)
class Reference:
    """A protein reference folder that passed every check of :func:`read_reference`."""

    folder: Path
    manifest: Manifest
    proteins: Mapping[str, ReferenceProtein]

    @property
    def fasta(self) -> Path:
        """Path of the compressed amino-acid FASTA."""
        return self.folder / FASTA_NAME

    @property
    def families(self) -> frozenset[str]:
        """Ids of the families that have at least one member."""
        return frozenset(row.family for row in self.proteins.values())


# --- FASTA ----------------------------------------------------------------------------------------


def read_fasta(path: Path) -> Iterator[FastaRecord]:
    """Yield the records of a FASTA file, plain or gzip, one at a time.

    A trailing ``*`` (stop codon) is taken off. An empty file yields nothing.

    Raises
    ------
    ReferenceFolderError
        If the file is missing, damaged, or has text before its first header or a header without
        an identifier.
    """
    try:
        with _open_text(path) as lines:
            yield from _fasta_records(lines, path)
    except FileNotFoundError as error:
        raise ReferenceFolderError(f"{path}: no such file; expected a FASTA file") from error
    except (EOFError, gzip.BadGzipFile, UnicodeDecodeError) as error:
        raise ReferenceFolderError(
            f"{path}: damaged ({error}); restore the file from its source or build it anew"
        ) from error


def _fasta_records(lines: Iterable[str], path: Path) -> Iterator[FastaRecord]:
    header: str | None = None
    parts: list[str] = []
    for number, line in enumerate(lines, start=1):
        line = line.strip()
        if line.startswith(">"):
            if header is not None:
                yield _fasta_record(header, parts)
            header, parts = line[1:].strip(), []
            if not header:
                raise ReferenceFolderError(
                    f"{path}, line {number}: header without an identifier; expected '>id ...'"
                )
        elif line and header is None:
            raise ReferenceFolderError(
                f"{path}, line {number}: {line[:30]!r} before the first header; "
                "expected a FASTA file, whose first line starts with '>'"
            )
        elif line:
            parts.append(line)
    if header is not None:
        yield _fasta_record(header, parts)


def _fasta_record(header: str, parts: Sequence[str]) -> FastaRecord:
    identifier, *description = header.split(maxsplit=1)
    return FastaRecord(identifier, "".join(description), "".join(parts).upper().rstrip("*"))


def _open_text(path: Path) -> io.TextIOWrapper:
    if path.suffix == ".gz":
        return io.TextIOWrapper(gzip.open(path, "rb"), encoding="utf-8")
    return open(path, encoding="utf-8")


def write_fasta(path: Path, records: Iterable[tuple[str, str]]) -> None:
    """Write (identifier, sequence) pairs as FASTA; gzip where the name ends in ``.gz``.

    The bytes depend on the records alone: the gzip header carries no name and no time.
    """
    with open(path, "wb") as raw:
        if path.suffix == ".gz":
            with gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0) as packed:
                _write_records(packed, records)
        else:
            _write_records(raw, records)


def _write_records(
    out: io.BufferedWriter | gzip.GzipFile, records: Iterable[tuple[str, str]]
) -> None:
    for identifier, sequence in records:
        out.write(f">{identifier}\n{sequence}\n".encode())


# --- the folder -----------------------------------------------------------------------------------


def write_proteins(folder: Path, proteins: Iterable[LabelledProtein]) -> None:
    """Write FASTA and table of a reference, byte-identical for the same proteins in any order.

    Proteins are sorted by family, accession and sequence and get the ids ``P00001``, ``P00002``, …

    Parameters
    ----------
    folder
        Created where it is missing; its two files are replaced.
    proteins
        Members of all families. Accessions may repeat, ids do not.

    Raises
    ------
    ReferenceFolderError
        If there is no protein, one is empty, or a lineage is malformed.
    """
    members = sorted(
        proteins, key=lambda p: (p.family, p.accession, p.sequence, p.lineage, p.source)
    )
    if not members:
        raise ReferenceFolderError(f"{folder}: no protein to write; expected at least one")
    rows = [
        ReferenceProtein(f"P{n:05d}", p.family, len(p.sequence), p.lineage, p.source, p.accession)
        for n, p in enumerate(members, start=1)
    ]
    for row in rows:
        _check_row(row, folder / TABLE_NAME)
    folder.mkdir(parents=True, exist_ok=True)
    write_fasta(
        folder / FASTA_NAME,
        ((row.protein, p.sequence) for row, p in zip(rows, members, strict=True)),
    )
    with open(folder / TABLE_NAME, "w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out, delimiter="\t", lineterminator="\n")
        writer.writerow(TABLE_COLUMNS)
        writer.writerows(rows)


def write_reference(
    folder: Path,
    proteins: Iterable[LabelledProtein],
    *,
    name: str,
    version: str,
    description: str = "",
    licence: str = "",
    sources: Iterable[Source] = (),
    tools: Mapping[str, str] | None = None,
    parameters: Mapping[str, Any] | None = None,
) -> Manifest:
    """Write a reference folder: FASTA, table (see `write_proteins`) and manifest.

    Other files of the folder, such as the report of a build, become part of the database.

    Raises
    ------
    ReferenceFolderError
        If `write_proteins` refuses the proteins.
    ManifestError
        If name or version are not names, or the folder holds what a database cannot.
    """
    write_proteins(folder, proteins)
    return describe_reference(
        folder,
        name=name,
        version=version,
        description=description,
        licence=licence,
        sources=sources,
        tools=tools or {},
        parameters=parameters or {},
    )


def describe_reference(
    folder: Path,
    *,
    name: str,
    version: str,
    description: str,
    licence: str,
    sources: Iterable[Source],
    tools: Mapping[str, str],
    parameters: Mapping[str, Any],
) -> Manifest:
    """Write the manifest of a folder that holds FASTA and table."""
    return write_manifest(
        folder,
        name=name,
        version=version,
        kind=KIND,
        engine=ENGINE,
        description=description,
        licence=licence,
        sources=sources,
        tools=tools,
        parameters=parameters,
        memory_mb=SEARCH_MEMORY_MB,
    )


def read_reference(folder: Path, known_families: Iterable[str] | None = None) -> Reference:
    """Read a protein reference folder and check it against itself.

    Parameters
    ----------
    folder
        Folder with ``proteins.faa.gz``, ``proteins.tsv`` and ``manifest.yaml``.
    known_families
        Ids of the catalogue and of the single-copy families; None leaves the families unchecked.

    Returns
    -------
    Reference
        The table and manifest; sequences stay on disk.

    Raises
    ------
    ReferenceFolderError
        If a file is missing or is not the one the manifest was written for, an id is repeated or
        stands in one file only, a length differs, a family is unknown, or a lineage is malformed.
    """
    for name in (FASTA_NAME, TABLE_NAME, MANIFEST):
        if not (folder / name).is_file():
            raise ReferenceFolderError(
                f"{folder}: {name} is missing; expected {FASTA_NAME}, {TABLE_NAME} and "
                f"{MANIFEST}; build or fetch the reference again"
            )
    manifest = _read_manifest(folder)
    proteins = _read_table(folder / TABLE_NAME)
    if known_families is not None:
        _check_families(proteins, frozenset(known_families), folder / TABLE_NAME)
    _check_sequences(folder / FASTA_NAME, proteins)
    return Reference(folder, manifest, proteins)


def _read_manifest(folder: Path) -> Manifest:
    """The manifest of a folder, once every file in it is the one that was written."""
    try:
        manifest = read_manifest(folder)
    except ManifestError as error:
        raise ReferenceFolderError(
            f"{error} (`fermentome db verify {folder}` tells more)"
        ) from error
    if manifest.kind != KIND:
        raise ReferenceFolderError(
            f"{folder / MANIFEST}: kind is {manifest.kind!r}, expected {KIND!r}; this folder"
            " is not a protein reference: `fermentome db list` shows those of the store"
        )
    for problem in check_files(folder, manifest):
        # Files that the manifest does not know, such as an index made beside it, do no harm.
        if problem.path.relative_to(folder).as_posix() in manifest.files:
            raise ReferenceFolderError(
                f"{problem.path}: {problem.what}; the file was changed or damaged since the"
                f" database was built: `{problem.mend}`, or build it again"
            )
    return manifest


def _read_table(path: Path) -> dict[str, ReferenceProtein]:
    proteins: dict[str, ReferenceProtein] = {}
    with open(path, encoding="utf-8", newline="") as handle:
        reader = csv.reader(handle, delimiter="\t")
        header = tuple(next(reader, ()))
        if header != TABLE_COLUMNS:
            raise ReferenceFolderError(
                f"{path}: header is {' '.join(header)!r}, expected {' '.join(TABLE_COLUMNS)!r}"
            )
        for number, values in enumerate(reader, start=2):
            row = _parse_row(values, path, number)
            if row.protein in proteins:
                raise ReferenceFolderError(
                    f"{path}, line {number}: id {row.protein!r} stands twice; ids are unique"
                )
            proteins[row.protein] = row
    return proteins


def _parse_row(values: Sequence[str], path: Path, number: int) -> ReferenceProtein:
    if len(values) != len(TABLE_COLUMNS):
        raise ReferenceFolderError(
            f"{path}, line {number}: {len(values)} columns, expected {len(TABLE_COLUMNS)}"
        )
    protein, family, length, lineage, source, accession = values
    if not length.isdecimal():
        raise ReferenceFolderError(
            f"{path}, line {number}: length_aa is {length!r}, expected a whole number"
        )
    row = ReferenceProtein(protein, family, int(length), lineage, source, accession)
    _check_row(row, path)
    return row


def _check_row(row: ReferenceProtein, path: Path) -> None:
    if not row.protein or not row.family or row.length_aa < 1:
        raise ReferenceFolderError(
            f"{path}, protein {row.protein!r} ({row.accession}): family {row.family!r}, "
            f"length {row.length_aa}; expected an id, a family and a length of at least 1"
        )
    ranks = row.lineage.split(";") if row.lineage else []
    if len(ranks) > len(RANK_PREFIXES) or any(
        not rank.startswith(prefix) for rank, prefix in zip(ranks, RANK_PREFIXES, strict=False)
    ):
        raise ReferenceFolderError(
            f"{path}, protein {row.protein!r} ({row.accession}): lineage is {row.lineage!r}, "
            "expected 'd__...;p__...;c__...;o__...;f__...;g__...;s__...' or nothing"
        )


def _check_families(
    proteins: Mapping[str, ReferenceProtein], known: frozenset[str], path: Path
) -> None:
    unknown = sorted({row.family for row in proteins.values()} - known)
    if unknown:
        raise ReferenceFolderError(
            f"{path}: families that the catalogue does not know: {', '.join(unknown[:10])}"
            f"{' and more' if len(unknown) > 10 else ''}; use the catalogue that this reference "
            "was built for, or build it again"
        )


def _check_sequences(path: Path, proteins: Mapping[str, ReferenceProtein]) -> None:
    seen: set[str] = set()
    for identifier, _, sequence in read_fasta(path):
        if identifier in seen:
            raise ReferenceFolderError(f"{path}: id {identifier!r} stands twice; ids are unique")
        if identifier not in proteins:
            raise ReferenceFolderError(
                f"{path}: id {identifier!r} is not in {TABLE_NAME}; both files hold the same ids"
            )
        if len(sequence) != proteins[identifier].length_aa:
            raise ReferenceFolderError(
                f"{path}: id {identifier!r} has {len(sequence)} residues, {TABLE_NAME} says "
                f"{proteins[identifier].length_aa}"
            )
        seen.add(identifier)
    if len(seen) < len(proteins):
        missing = sorted(set(proteins) - seen)
        raise ReferenceFolderError(
            f"{path}: {len(missing)} ids of {TABLE_NAME} are missing, first {missing[0]!r}; "
            "both files hold the same ids"
        )


# --- cleaning of labels ---------------------------------------------------------------------------


class SearchHit(NamedTuple):
    """One protein-to-protein hit: identity and covers in percent, score in bits."""

    query: str
    subject: str
    identity: float
    query_cover: float
    subject_cover: float
    bits: float


def read_search_hits(path: Path) -> Iterator[SearchHit]:
    """Yield the hits of a headerless DIAMOND table with the columns of `SEARCH_COLUMNS`.

    Raises
    ------
    ReferenceFolderError
        If a line has another number of columns or a field that is not a number.
    """
    with open(path, encoding="utf-8") as handle:
        for number, line in enumerate(handle, start=1):
            fields = line.rstrip("\n").split("\t")
            try:
                query, subject, *numbers = fields
                identity, query_cover, subject_cover, bits = (float(value) for value in numbers)
            except ValueError as error:
                raise ReferenceFolderError(
                    f"{path}, line {number}: {line.strip()[:80]!r}; expected "
                    f"{len(SEARCH_COLUMNS)} columns: {' '.join(SEARCH_COLUMNS)}"
                ) from error
            yield SearchHit(query, subject, identity, query_cover, subject_cover, bits)


@dataclass(frozen=True)
class CleaningPolicy:
    """What makes a labelled protein a member.

    Attributes
    ----------
    min_length_ratio, max_length_ratio
        Allowed length over the median length of the family's trusted members, or of all where
        none is trusted.
    long_forms
        Families with a legitimate longer form; `max_length_ratio` does not apply to them.
    voters, near_best
        How many of the best hits vote on a label, and the share of the best bit score that a
        hit must reach to be one of them.
    orphan_family
        How many other members a family has that a member must resemble one of them.
    lengths
        Length known of a family; stands for the median where no member is trusted.
    """

    min_length_ratio: float = 0.5
    max_length_ratio: float = 1.6
    long_forms: frozenset[str] = frozenset()
    voters: int = 10
    near_best: float = 0.7
    orphan_family: int = 3
    lengths: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Verdict:
    """Why one labelled protein is in or out, and the family that its neighbours name."""

    protein: LabelledProtein
    reason: str
    looks_like: str = ""

    @property
    def kept(self) -> bool:
        """Whether the protein is a member."""
        return self.reason == "kept"


@dataclass
class CleaningResult:
    """The verdict on every labelled protein, in the order given."""

    verdicts: list[Verdict] = field(default_factory=list)

    @property
    def members(self) -> list[LabelledProtein]:
        """The proteins that stay."""
        return [verdict.protein for verdict in self.verdicts if verdict.kept]

    def counts(self) -> dict[str, Counter[str]]:
        """Number of proteins by family and reason."""
        table: dict[str, Counter[str]] = defaultdict(Counter)
        for verdict in self.verdicts:
            table[verdict.protein.family][verdict.reason] += 1
        return dict(table)


def clean_labels(
    proteins: Sequence[LabelledProtein],
    hits: Iterable[SearchHit],
    policy: CleaningPolicy = CleaningPolicy(),
) -> CleaningResult:
    """Decide which labelled proteins are members of the family on their label.

    In this order a protein falls because it is an exact duplicate of one with a better label
    (trusted before screened, then lineage, then accession), because its length is out of range,
    or because its neighbours are of another family. The neighbours are up to `policy.voters` best
    hits among proteins of sound length, none much worse than the best (`policy.near_best`: the
    members of a family of three are not to be outvoted by distant relatives), and each votes with
    its bit score. Where trusted ones are among them, they alone vote: a screen that errs does so
    for whole clades, whose members would confirm each other. A label falls if another family gets
    more than half of the score; it also falls if the protein resembles no other member of a
    family that has at least `policy.orphan_family` others. Trusted labels are not put to
    the vote.

    Parameters
    ----------
    proteins
        Accessions must be unique; they are the ids of `hits`.
    hits
        All-against-all search of `proteins`; hits of a protein with itself are ignored.
    policy
        Thresholds.

    Raises
    ------
    ReferenceFolderError
        If an accession stands twice, or a hit names an accession that was not given.
    """
    by_accession = {protein.accession: protein for protein in proteins}
    if len(by_accession) < len(proteins):
        repeated = Counter(protein.accession for protein in proteins).most_common(1)[0][0]
        raise ReferenceFolderError(
            f"accession {repeated!r} was given twice; make accessions unique before cleaning"
        )
    fallen = _duplicates(proteins)
    fallen.update(_out_of_length([p for p in proteins if p.accession not in fallen], policy))
    sound = {name: p for name, p in by_accession.items() if name not in fallen}
    found = _read_hits(hits, by_accession, sound, policy.voters)
    sizes = Counter(protein.family for protein in sound.values())
    result = CleaningResult()
    for protein in proteins:
        reason, other = fallen.get(protein.accession, "kept"), ""
        if reason == "kept" and not protein.trusted:
            scores = found.best.get(protein.accession, {})
            other = _dissenting_family(protein, _voters(scores, sound, policy))
            if other:
                reason = "mislabelled"
            elif (
                sizes[protein.family] > policy.orphan_family and protein.accession not in found.kin
            ):
                reason = "orphan"
        result.verdicts.append(Verdict(protein, reason, other))
    return result


def _duplicates(proteins: Sequence[LabelledProtein]) -> dict[str, str]:
    """Map the accession of each exact duplicate but the best-labelled to its reason."""
    fallen: dict[str, str] = {}
    best: dict[str, str] = {}
    for protein in sorted(proteins, key=lambda p: (not p.trusted, not p.lineage, p.accession)):
        if protein.sequence in best:
            fallen[protein.accession] = "duplicate"
        else:
            best[protein.sequence] = protein.accession
    return fallen


def _out_of_length(proteins: Sequence[LabelledProtein], policy: CleaningPolicy) -> dict[str, str]:
    """Map accessions of fragments and over-long proteins to their reason."""
    everyone: dict[str, list[int]] = defaultdict(list)
    trusted: dict[str, list[int]] = defaultdict(list)
    for protein in proteins:
        everyone[protein.family].append(len(protein.sequence))
        if protein.trusted:
            trusted[protein.family].append(len(protein.sequence))
    medians = {
        family: statistics.median(
            trusted[family] or ([policy.lengths[family]] if family in policy.lengths else lengths)
        )
        for family, lengths in everyone.items()
    }
    fallen = {}
    for protein in proteins:
        ratio = len(protein.sequence) / medians[protein.family]
        if ratio < policy.min_length_ratio:
            fallen[protein.accession] = "fragment"
        elif ratio > policy.max_length_ratio and protein.family not in policy.long_forms:
            fallen[protein.accession] = "too_long"
    return fallen


class _Neighbour(NamedTuple):
    bits: float
    protein: LabelledProtein


@dataclass
class _Hits:
    """What a search says of sound proteins, without the hits themselves, which are millions.

    `best` has the `most` best scores of each protein with others, `kin` the proteins that
    resemble another of their own family.
    """

    most: int
    best: dict[str, dict[str, float]] = field(default_factory=lambda: defaultdict(dict))
    kin: set[str] = field(default_factory=set)

    def add(self, query: LabelledProtein, subject: LabelledProtein, bits: float) -> None:
        if query.family == subject.family:
            self.kin.add(query.accession)
        scores = self.best[query.accession]
        scores[subject.accession] = max(bits, scores.get(subject.accession, 0.0))
        if len(scores) > self.most:
            # Among equal ones the last by name goes, whatever the order in which they come.
            del scores[max(scores, key=lambda name: (-scores[name], name))]


def _read_hits(
    hits: Iterable[SearchHit],
    known: Mapping[str, LabelledProtein],
    sound: Mapping[str, LabelledProtein],
    most: int,
) -> _Hits:
    """Hits of each sound protein with each other sound protein."""
    found = _Hits(most)
    for hit in hits:
        for name in (hit.query, hit.subject):
            if name not in known:
                raise ReferenceFolderError(
                    f"the search names {name!r}, which is not among the labelled proteins; "
                    "search exactly the proteins that are cleaned"
                )
        if hit.query != hit.subject and hit.query in sound and hit.subject in sound:
            found.add(sound[hit.query], sound[hit.subject], hit.bits)
    return found


def _voters(
    scores: Mapping[str, float], sound: Mapping[str, LabelledProtein], policy: CleaningPolicy
) -> list[_Neighbour]:
    """The neighbours that vote on a label, best first, ties by accession."""
    ranked = sorted(scores.items(), key=lambda item: (-item[1], item[0]))
    return [
        _Neighbour(bits, sound[name])
        for name, bits in ranked
        if bits >= policy.near_best * ranked[0][1]
    ]


def _dissenting_family(protein: LabelledProtein, neighbours: Sequence[_Neighbour]) -> str:
    """The other family with more than half of the neighbours' score, or nothing."""
    if not neighbours:
        return ""
    voters = [neighbour for neighbour in neighbours if neighbour.protein.trusted] or neighbours
    votes: dict[str, float] = defaultdict(float)
    for voter in voters:
        votes[voter.protein.family] += voter.bits
    family, most = min(votes.items(), key=lambda item: (-item[1], item[0]))
    return family if family != protein.family and most > sum(votes.values()) / 2 else ""
