"""Read the sources of an SCFA reference: labelled proteins, and genomes with lineages.

What the sources are stands in a YAML file (``workflow/schemas/sources.schema.yaml``) or follows
from the options of the command. Each file is read in one way, its form, and the reading is
recorded: how many records got a label, how many are left to the search, how many were left out.

==============  ==================================================================================
``family``      headers begin with ``<family>|``: an id, a gene symbol or a name of the catalogue
``ec``          files are named by EC number (``1.3.8.1.fasta``)
``accession``   a table of labels has a rule for each accession
``table``       another table says which accession is of which family
``uniprot``     tables by family as `fermentome.databases.uniprot` writes them
``genomes``     genomes, genes or proteomes, one file each, with a table of lineages
``auto``        family, ec, or EC numbers in the headers: whichever the file shows
==============  ==================================================================================
"""

from __future__ import annotations

import logging
import re
import shutil
import tempfile
import zipfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import jsonschema
import yaml

from fermentome.databases.families import Families
from fermentome.databases.labels import (
    NOT_USED,
    Labels,
    Names,
    Organisms,
    SiteRule,
    read_labels,
    read_organisms,
    read_sites,
    read_tsv,
)
from fermentome.databases.manifest import Source, sha256_of
from fermentome.databases.proteomes import GenomeProtein, choose_files, read_proteins
from fermentome.databases.uniprot import read_family, read_fetched
from fermentome.defaults import WORKFLOW
from fermentome.errors import DatabaseError
from fermentome.genes import TELLING_LETTERS
from fermentome.lineage import format_lineage, genome_key, read_lineages
from fermentome.reference import FastaRecord, LabelledProtein, read_fasta

__all__ = ["Candidate", "Gathered", "Reading", "SourceSpec", "Sources", "gather", "read_sources"]

logger = logging.getLogger(__name__)

SCHEMA = WORKFLOW / "schemas" / "sources.schema.yaml"
FASTA_SUFFIXES = (".faa", ".fasta", ".fa", ".pep")
AUTO, FAMILY, EC, ACCESSION, TABLE, UNIPROT, GENOMES = (
    "auto", "family", "ec", "accession", "table", "uniprot", "genomes",
)  # fmt: skip
EC_HEADERS = "ec in headers"


@dataclass(frozen=True)
class SourceSpec:
    """One entry of a file of sources; the fields are those of its schema."""

    name: str
    form: str
    path: tuple[Path, ...]
    optional: bool = False
    member: str = ""
    trusted: bool = False
    prefix: str = ""
    rules: str = ""
    accessions: str = ""
    aliases: Mapping[str, str] = field(default_factory=dict)
    organism: str = ""
    lineages: Path | None = None
    table: Path | None = None
    table_accession: str = ""
    table_family: str = ""
    table_prefix: str = ""
    table_where: Mapping[str, str] = field(default_factory=dict)
    release: str = ""
    licence: str = ""
    url: str = ""


@dataclass(frozen=True)
class Sources:
    """Everything that a reference is built from, and the rules that read it."""

    specs: tuple[SourceSpec, ...]
    labels: Labels = Labels({})
    sites: tuple[SiteRule, ...] = ()
    organisms: Organisms = Organisms()
    tables: tuple[Path, ...] = ()
    description: str = ""
    licence: str = ""


@dataclass(frozen=True)
class Candidate:
    """A protein whose family the search is to find, among `families` where these are known."""

    accession: str
    sequence: str
    source: str
    lineage: str = ""
    families: frozenset[str] = frozenset()


@dataclass
class Reading:
    """How a file was read, and what came of its records.

    `unknown` counts labels that are no words of the catalogue; the search decides on them.
    """

    file: str
    form: str
    records: int = 0
    labelled: int = 0
    candidates: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    unknown: Counter[str] = field(default_factory=Counter)

    def line(self) -> str:
        """All of it in one line."""
        text = f"{self.file}: read as {self.form}, {self.records} records"
        if self.form == GENOMES or (self.form == UNIPROT and not self.labelled + self.candidates):
            return text + "".join(f"; left out: {reason}" for reason in self.left_out)
        text += f", {self.labelled} labelled, {self.candidates} left to the search"
        if self.unknown:
            text += f"; labels unknown to the catalogue: {_listed(self.unknown)}"
        return text + (f"; left out: {_listed(self.left_out)}" if self.left_out else "")


def _listed(counts: Counter[str], most: int = 8) -> str:
    """Words and their counts, the most frequent first."""
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    shown = [f"{count} {word}" for word, count in ranked[:most]]
    return ", ".join([*shown, *([f"and {len(ranked) - most} more"] if len(ranked) > most else [])])


@dataclass
class Gathered:
    """What all sources hold.

    Attributes
    ----------
    labelled
        Accessions are unique.
    named
        Sequence to family, where the label was given to this very gene.
    """

    labelled: list[LabelledProtein] = field(default_factory=list)
    candidates: list[Candidate] = field(default_factory=list)
    proteins: list[GenomeProtein] = field(default_factory=list)
    lineages: dict[str, str] = field(default_factory=dict)
    named: dict[str, str] = field(default_factory=dict)
    readings: list[Reading] = field(default_factory=list)
    files: list[Source] = field(default_factory=list)


# --- the file of sources --------------------------------------------------------------------------


def read_sources(path: Path, families: Families, data: Path | None = None) -> Sources:
    """Read a file of sources.

    Parameters
    ----------
    path
        YAML. Its tables of rules stand beside it.
    families
        Families of the catalogue; rules for others lead to none.
    data
        Folder that the paths of the sources start from; by default that of the file.

    Raises
    ------
    DatabaseError
        If the file or one of its tables cannot be read or breaks its schema.
    """
    content = _checked_yaml(path)
    for entry in content["sources"]:
        _check_aliases(entry, families, path)
    base = data or path.parent
    known = {key: path.parent / content[key] for key in ("labels", "sites", "organisms")
             if key in content}  # fmt: skip
    wanted = families.all_ids
    return Sources(
        specs=tuple(_spec(entry, base) for entry in content["sources"]),
        labels=read_labels(known["labels"], wanted) if "labels" in known else Labels({}),
        sites=tuple(read_sites(known["sites"], wanted)) if "sites" in known else (),
        organisms=read_organisms(known["organisms"]) if "organisms" in known else Organisms(),
        tables=(path, *known.values()),
        description=content.get("description", ""),
        licence=content.get("licence", ""),
    )


def _checked_yaml(path: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise DatabaseError(f"{path}: cannot be read as YAML ({error})") from error
    schema = yaml.safe_load(SCHEMA.read_text(encoding="utf-8"))
    problems = sorted(
        jsonschema.Draft202012Validator(schema).iter_errors(content),
        key=lambda error: list(map(str, error.absolute_path)),
    )
    if problems:
        lines = [
            f"{path}, {'.'.join(map(str, problem.absolute_path)) or 'top level'}: {problem.message}"
            for problem in problems
        ]
        raise DatabaseError("\n".join([*lines, f"The fields are described in {SCHEMA.name}."]))
    names = Counter(entry["name"] for entry in content["sources"])
    repeated = sorted(name for name, count in names.items() if count > 1)
    if repeated:
        raise DatabaseError(f"{path}: sources of the same name: {', '.join(repeated)}; rename one")
    checked: dict[str, Any] = content
    return checked


def _check_aliases(entry: Mapping[str, Any], families: Families, path: Path) -> None:
    unknown = sorted(set(entry.get("aliases", {}).values()) - families.all_ids - {NOT_USED})
    if unknown:
        raise DatabaseError(
            f"{path}, source {entry['name']!r}: aliases lead to {', '.join(unknown)}, which the"
            f" catalogue does not know; expected ids of families, or {NOT_USED!r} to leave a label"
            " out"
        )


def _spec(entry: Mapping[str, Any], base: Path) -> SourceSpec:
    fields = dict(entry)
    paths = fields["path"] if isinstance(fields["path"], list) else [fields["path"]]
    fields["path"] = tuple(base / path for path in paths)
    for key in ("lineages", "table"):
        if key in fields:
            fields[key] = base / fields[key]
    return SourceSpec(**fields)


# --- gathering ------------------------------------------------------------------------------------


def gather(sources: Sources, families: Families) -> Gathered:
    """Read all sources.

    Of records with the same accession and sequence the first labelled one is taken, in the order
    of the sources; a sequence that was labelled as this very gene loses all other labels.

    Raises
    ------
    DatabaseError
        If a path is absent, a file cannot be read, or there is nothing to build from.
    """
    gatherer = _Gatherer(sources, families)
    for spec in sources.specs:
        gatherer.read(spec)
    for path in sources.tables:
        gatherer.found.files.append(_file_source(path, path.name))
    return gatherer.finish()


def _file_source(path: Path, name: str, spec: SourceSpec | None = None) -> Source:
    return Source(
        (spec.url if spec else "") or name,
        release=spec.release if spec else "",
        licence=spec.licence if spec else "",
        sha256=sha256_of(path),
        size=path.stat().st_size,
    )


@dataclass(frozen=True)
class _Header:
    """What the header of a record says."""

    accession: str
    name: str
    taxon: str = ""
    reviewed: bool = False
    fragment: bool = False
    uniref: bool = False


_UNIREF = re.compile(
    r"(?P<name>.*?) n=\d+(?: Tax=(?P<taxon>.*?))?(?: TaxID=\d+)?(?: RepID=(?P<entry>\S+))?$"
)
_UNIPROT = re.compile(r"(?P<name>.*?) OS=(?P<taxon>.*?)(?: OX=.*)?$")
#: Swiss-Prot entry names start with a gene of up to five signs, others with the accession.
_REVIEWED_ENTRY = re.compile(r"[A-Z0-9]{1,5}_[A-Z0-9]{1,5}$")
_EMPTY_RANKS = re.compile(r"(;?[dpcofgs]__)+$")
_PROTEIN = re.compile(r"[A-Z*]+")
_EC_FILE = re.compile(r"\d+\.(\d+|-)\.(\d+|-)\.(n?\d+|-)")
_EC_IN_HEADER = re.compile(r"\bEC[: ]?(\d+\.\d+\.\d+\.n?\d+)\b")


def _header(record: FastaRecord, organism: str = "") -> _Header:
    identifier, description, _ = record
    fragment = "(Fragment)" in description
    if found := _UNIREF.match(description):
        reviewed = bool(_REVIEWED_ENTRY.match(found["entry"] or ""))
        return _Header(identifier, found["name"], found["taxon"] or "", reviewed, fragment, True)
    parts = identifier.split("|")
    accession = parts[1] if len(parts) == 3 and parts[0] in ("sp", "tr") else identifier
    if found := _UNIPROT.match(description):
        return _Header(accession, found["name"], found["taxon"], parts[0] == "sp", fragment)
    taxon = description.rpartition("[")[2].rstrip("]") if organism == "brackets" else ""
    return _Header(accession, description, taxon, False, fragment)


class _Gatherer:
    def __init__(self, sources: Sources, families: Families) -> None:
        self.sources = sources
        self.families = families
        self.names = Names(families)
        self.found = Gathered()
        self._by_accession: dict[str, LabelledProtein] = {}
        self._candidates: dict[str, Candidate] = {}

    # One method per form below; all end in `_take` or `_leave`.

    def read(self, spec: SourceSpec) -> None:
        missing = [path for path in spec.path if not path.exists()]
        if missing and spec.optional:
            logger.warning("%s: left out, for %s is not there", spec.name, missing[0].name)
            return
        if missing:
            raise DatabaseError(
                f"{missing[0]}: no such file or folder; source {spec.name!r} needs it. Correct the"
                " path, or mark the source `optional: true`"
            )
        if spec.form == GENOMES:
            self._read_genomes(spec)
        elif spec.form == UNIPROT:
            self._read_uniprot(spec)
        else:
            for path, shown in _fasta_files(spec):
                self._read_fasta(spec, path, shown)

    def finish(self) -> Gathered:
        """Settle labels that contradict each other."""
        found = self.found
        found.labelled = [
            protein
            for protein in self._by_accession.values()
            if found.named.get(protein.sequence, protein.family) == protein.family
        ]
        found.candidates = [
            candidate
            for name, candidate in self._candidates.items()
            if name not in self._by_accession
        ]
        # The order of records in the files is not to show in the result.
        found.labelled.sort(key=lambda protein: protein.accession)
        found.candidates.sort(key=lambda candidate: candidate.accession)
        found.files.sort(key=lambda source: (source.url, source.sha256))
        for reading in found.readings:
            logger.info("%s", reading.line())
        if not found.labelled:
            raise DatabaseError(
                "no record of the sources has a label of the catalogue; expected headers that"
                " begin with '<family>|', files named by EC number, or UniProt tables"
            )
        return found

    def _read_fasta(self, spec: SourceSpec, path: Path, shown: str) -> None:
        form = self._form_of(path, spec) if spec.form == AUTO else spec.form
        reading = Reading(shown, form or "nothing known")
        self.found.readings.append(reading)
        if not form:
            reading.left_out["the whole file: neither '<family>|' nor EC numbers in the headers,"
                             " and not named by an EC number"] = 1  # fmt: skip
            return
        self.found.files.append(_file_source(path, shown, spec))
        table = _family_table(spec) if form == TABLE else {}
        if spec.table:
            self.found.files.append(_file_source(spec.table, spec.table.name))
        stem = _stem(path)
        if form == EC and not _EC_FILE.fullmatch(stem):
            raise DatabaseError(
                f"{path}: named {stem!r}, expected an EC number as in 1.3.8.1.fasta, for source"
                f" {spec.name!r} is of form {EC!r}"
            )
        with _readable(spec, path) as file:
            for record in read_fasta(file):
                reading.records += 1
                if strange := _not_a_protein(record.sequence):
                    reading.left_out[strange] += 1
                    continue
                header = _header(record, spec.organism)
                if form == FAMILY:
                    self._by_label(spec, reading, record, record.identifier.partition("|")[0])
                elif form == EC:
                    self._by_ec(spec, reading, record.sequence, header, [stem], stem)
                elif form == EC_HEADERS:
                    numbers = _EC_IN_HEADER.findall(record.description)
                    self._by_ec(spec, reading, record.sequence, header, numbers, "")
                else:
                    key = table.get(header.accession, "") if form == TABLE else header.accession
                    self._by_key(spec, reading, record.sequence, header, key)

    def _form_of(self, path: Path, spec: SourceSpec) -> str:
        """How a file is to be read; empty where it does not show."""
        if _EC_FILE.fullmatch(_stem(path)):
            return EC
        numbers = False
        for record in read_fasta(path):
            label, bar, _ = record.identifier.partition("|")
            if bar and (label in spec.aliases or self.names.family(label)):
                return FAMILY
            numbers = numbers or bool(_EC_IN_HEADER.search(record.description))
        return EC_HEADERS if numbers else ""

    def _by_label(
        self, spec: SourceSpec, reading: Reading, record: FastaRecord, label: str
    ) -> None:
        accession = spec.prefix + record.identifier
        if spec.rules:
            rule = self.sources.labels.find(spec.rules, label, length=len(record.sequence))
            if rule:
                self._take(reading, LabelledProtein(
                    accession, rule.family, record.sequence, spec.name, "",
                    rule.trusted(False),
                ))  # fmt: skip
            else:
                reading.left_out[f"labelled {label} (without a rule)"] += 1
            return
        family = spec.aliases.get(label) or self.names.family(label)
        if family == NOT_USED:
            reading.left_out[f"labelled {label} (not to be used)"] += 1
        elif family in self.families.all_ids:
            self._take(reading, LabelledProtein(
                accession, family, record.sequence, spec.name, "", spec.trusted
            ))  # fmt: skip
        else:
            # Not a word of the catalogue: what the protein is, its neighbours may say.
            reading.unknown[label] += 1
            self._leave(reading, Candidate(accession, record.sequence, spec.name))

    def _by_ec(
        self, spec: SourceSpec, reading: Reading, sequence: str, header: _Header,
        numbers: Iterable[str], key: str,
    ) -> None:  # fmt: skip
        origin = f"{spec.name}:{key}" if key else spec.name
        lineage = self.sources.organisms.lineage(header.taxon)
        accession = spec.prefix + header.accession
        if header.fragment:
            reading.left_out["called fragments"] += 1
            return
        if spec.rules:
            rule = None
            if header.uniref:
                rule = self.sources.labels.find(
                    spec.rules, key, header.name, header.taxon, len(sequence)
                )
            if rule is None:
                reading.left_out["without a rule"] += 1
            else:
                trusted = rule.trusted(header.reviewed)
                self._take(reading, LabelledProtein(
                    accession, rule.family, sequence, origin, lineage, trusted
                ))  # fmt: skip
            return
        wanted = frozenset(f for number in numbers for f in self.families.ec.get(number, ()))
        family = self.names.choose(wanted, header.name)
        if family:
            self._take(reading, LabelledProtein(
                accession, family, sequence, origin, lineage, spec.trusted
            ))  # fmt: skip
        else:
            self._leave(reading, Candidate(accession, sequence, origin, lineage, wanted))

    def _by_key(
        self, spec: SourceSpec, reading: Reading, sequence: str, header: _Header, key: str
    ) -> None:
        lineage = self.sources.organisms.lineage(header.taxon)
        accession = spec.prefix + header.accession
        if spec.rules:
            rule = self.sources.labels.find(spec.rules, key, length=len(sequence))
            family, trusted = (rule.family, rule.trusted(False)) if rule else ("", False)
        else:
            family, trusted = self.names.family(key), spec.trusted
        if not family:
            reading.left_out["without a family"] += 1
            return
        protein = LabelledProtein(accession, family, sequence, spec.name, lineage, trusted)
        self._take(reading, protein)
        if spec.form == ACCESSION:
            self.found.named[sequence] = family

    def _read_genomes(self, spec: SourceSpec) -> None:
        known = read_lineages(spec.lineages) if spec.lineages else {}
        lineages = {name: _EMPTY_RANKS.sub("", format_lineage(r)) for name, r in known.items()}
        if spec.lineages:
            self.found.files.append(_file_source(spec.lineages, spec.lineages.name))
        missing = []
        for genome in choose_files(spec.path):
            shown = f"{genome.path.parent.name}/{genome.path.name}"
            reading = Reading(shown, GENOMES)
            self.found.readings.append(reading)
            self.found.files.append(_file_source(genome.path, shown, spec))
            lineage = lineages.get(genome_key(genome.name), "")
            if not lineage:
                missing.append(genome.name)
            self.found.lineages[genome.name] = lineage
            for protein in read_proteins(genome):
                reading.records += 1
                self.found.proteins.append(protein)
                self._named_protein(spec, reading, protein, lineage)
        if missing:
            logger.warning(
                "%s: %d genomes without lineage, first %s; add them to the table of lineages",
                spec.name, len(missing), missing[0],
            )  # fmt: skip

    def _named_protein(
        self, spec: SourceSpec, reading: Reading, protein: GenomeProtein, lineage: str
    ) -> None:
        """A genome protein whose accession or product name has a rule."""
        labels, length = self.sources.labels, len(protein.sequence)
        rule = labels.find(spec.accessions, protein.accession, length=length)
        if rule:
            self.found.named[protein.sequence] = rule.family
        elif protein.product:
            rule = labels.find(spec.rules, protein.genome, protein.product, lineage, length)
        if rule:
            self._take(reading, LabelledProtein(
                protein.accession, rule.family, protein.sequence, spec.name, lineage,
                rule.trusted(False),
            ))  # fmt: skip

    def _read_uniprot(self, spec: SourceSpec) -> None:
        """Tables by family; an entry of several families is left to the search."""
        for folder in spec.path:
            release = read_fetched(folder)
            self.found.files.extend(release.sources())
            families: dict[str, list[LabelledProtein]] = defaultdict(list)
            for name, fetched in sorted(release.families.items()):
                reading = Reading(f"{folder.name}/{fetched.path.name}", UNIPROT)
                self.found.readings.append(reading)
                if name not in self.families.all_ids:
                    reading.left_out["the whole table: no such family in the catalogue"] = 1
                    continue
                for protein in read_family(fetched, release.name):
                    reading.records += 1
                    families[protein.accession].append(protein)
            reading = Reading(f"{folder.name} (release {release.name})", UNIPROT, len(families))
            self.found.readings.append(reading)
            for _, found in sorted(families.items()):
                first = found[0]
                lineage = _EMPTY_RANKS.sub("", first.lineage)
                if len(found) == 1:
                    self._take(reading, replace(first, lineage=lineage))
                else:
                    self._leave(reading, Candidate(
                        first.accession, first.sequence, first.source, lineage,
                        frozenset(protein.family for protein in found),
                    ))  # fmt: skip

    def _take(self, reading: Reading, protein: LabelledProtein) -> None:
        reading.labelled += 1
        known = self._by_accession.get(protein.accession)
        number = 2
        while known is not None and known.sequence != protein.sequence:
            # Two files give one name to two proteins.
            name = f"{protein.accession}#{number}"
            known, number = self._by_accession.get(name), number + 1
            if known is None:
                protein = replace(protein, accession=name)
        if known is None:
            self._by_accession[protein.accession] = protein

    def _leave(self, reading: Reading, candidate: Candidate) -> None:
        reading.candidates += 1
        self._candidates.setdefault(candidate.accession, candidate)


# --- files ----------------------------------------------------------------------------------------


def _stem(path: Path) -> str:
    """Name of a FASTA file without its extensions.

    >>> _stem(Path("1.3.8.1.fasta.gz"))
    '1.3.8.1'
    """
    name = path.name.removesuffix(".gz")
    for suffix in FASTA_SUFFIXES:
        name = name.removesuffix(suffix)
    return name


def _fasta_files(spec: SourceSpec) -> Iterator[tuple[Path, str]]:
    """FASTA files of a source by name, each with how it is called in reports."""
    files: dict[Path, str] = {}
    for path in spec.path:
        if path.is_dir():
            for entry in path.rglob("*"):
                if entry.is_file() and entry.name.removesuffix(".gz").endswith(FASTA_SUFFIXES):
                    files[entry] = f"{path.name}/{entry.relative_to(path).as_posix()}"
        else:
            files[path] = path.name
    if not files:
        raise DatabaseError(
            f"{spec.path[0]}: no FASTA file; expected {', '.join(FASTA_SUFFIXES)}, also with .gz"
        )
    yield from sorted(files.items(), key=lambda item: (item[1], str(item[0])))


class _readable:  # noqa: N801  (a context manager, used like a function)
    """Path of a FASTA file, also where it is a member of a zip archive."""

    def __init__(self, spec: SourceSpec, path: Path) -> None:
        self.member = spec.member
        self.path = path
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    def __enter__(self) -> Path:
        if not self.member:
            return self.path
        self._folder = tempfile.TemporaryDirectory()
        unpacked = Path(self._folder.name) / "member.faa"
        try:
            with (
                zipfile.ZipFile(self.path) as archive,
                archive.open(self.member) as packed,
                unpacked.open("wb") as out,
            ):
                shutil.copyfileobj(packed, out)
        except (zipfile.BadZipFile, KeyError) as error:
            raise DatabaseError(
                f"{self.path}: {error}; expected a zip archive with {self.member}"
            ) from error
        return unpacked

    def __exit__(self, *_: object) -> None:
        if self._folder is not None:
            self._folder.cleanup()


def _not_a_protein(sequence: str) -> str:
    """Why a sequence cannot be a protein; empty if it can."""
    if not sequence:
        return "without residues"
    if not _PROTEIN.fullmatch(sequence):
        return "with other signs than residues"
    if len(sequence) >= TELLING_LETTERS and set(sequence) <= set("ACGTUN"):
        return "of nucleotides"
    return ""


def _family_table(spec: SourceSpec) -> dict[str, str]:
    """Accession to family as the table of a source says."""
    if spec.table is None:
        return {}
    columns = (spec.table_accession, spec.table_family, *spec.table_where)
    return {
        row[spec.table_accession].removeprefix(spec.table_prefix): row[spec.table_family]
        for row in read_tsv(spec.table, columns)
        if row[spec.table_accession].startswith(spec.table_prefix)
        and all(row[column].startswith(start) for column, start in spec.table_where.items())
    }
