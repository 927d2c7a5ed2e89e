"""Read the labelled proteins and the genomes of the shared data.

Every source names its enzymes in its own way. `labels.tsv` maps those names to families of the
catalogue, `genera.tsv` maps names of organisms to lineages, `sites.tsv` says which residues tell
two families apart; all are data, each row with its reason. Nothing here decides whether a label is
right: that is the cleaning's part.

A family ``other:<name>`` in `labels.tsv` stands for relatives that the catalogue has no decoy for.
They take part in the cleaning and compete for the proteins of genomes, and are not written.
"""

from __future__ import annotations

import csv
import gzip
import re
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import pyrodigal

from fermentome.errors import ReferenceFolderError
from fermentome.reference import LabelledProtein, read_fasta

#: Marks a label that is known and not to be used.
NOT_USED = "-"
#: Begins the name of a family that the catalogue does not have.
OTHER = "other:"
GENE_SUFFIXES = (".ffn.gz", ".ffn")
MIN_GENE_AA = 50

CODONS = dict(
    zip(
        ("".join(bases) for bases in product("TCAG", repeat=3)),
        "FFLLSSSSYY**CC*WLLLLPPPPHHQQRRRRIIIMTTTTNNKKSSRRVVVVAAAADDEEGGGG",
        strict=True,
    )
)
#: Start codons of NCBI's genetic code 11.
STARTS = frozenset({"TTG", "CTG", "ATT", "ATC", "ATA", "ATG", "GTG"})


@dataclass(frozen=True)
class Lengths:
    """A range of protein lengths, both ends included."""

    least: int = 0
    most: int = 1_000_000

    @classmethod
    def parse(cls, text: str) -> Lengths:
        """Read ``300-340``, ``300-``, ``-340`` or nothing.

        >>> Lengths.parse("300-")
        Lengths(least=300, most=1000000)
        """
        least, _, most = text.partition("-")
        return cls(int(least or cls.least), int(most or cls.most))

    def __contains__(self, length: object) -> bool:
        return isinstance(length, int) and self.least <= length <= self.most


@dataclass(frozen=True)
class LabelRule:
    """One row of `labels.tsv`: a source's way of naming a family."""

    source: str
    key: str
    pattern: re.Pattern[str]
    taxon: re.Pattern[str]
    lengths: Lengths
    family: str
    trust: str

    def fits(self, key: str, name: str, taxon: str, length: int) -> bool:
        """Whether the rule says what a protein is."""
        return (
            self.key in (key, "*")
            and length in self.lengths
            and bool(self.pattern.match(name))
            and bool(self.taxon.search(taxon))
        )


@dataclass(frozen=True)
class SiteRule:
    """One row of `sites.tsv`: what residues at places of a template say of a protein.

    `residues` are (place in the template, residue) pairs; without any, the length alone decides.
    """

    labelled: frozenset[str]
    template: str
    residues: tuple[tuple[int, str], ...]
    lengths: Lengths
    family: str


@dataclass(frozen=True)
class Labels:
    """The rules of `labels.tsv` whose family is wanted; the first that matches decides."""

    rules: Mapping[str, tuple[LabelRule, ...]]

    def find(
        self, source: str, key: str, name: str = "", taxon: str = "", length: int = 0
    ) -> LabelRule | None:
        """The first rule of `source` and `key` (or ``*``) that fits, or None."""
        for rule in self.rules.get(source, ()):
            if rule.fits(key, name, taxon, length):
                return None if rule.family == NOT_USED else rule
        return None

    def pairs(self, source: str) -> dict[str, str]:
        """Key to family of the rules of a source that uses no patterns."""
        return {rule.key: rule.family for rule in self.rules.get(source, ())}


@dataclass(frozen=True)
class GenomeProtein:
    """A protein of a genome of the taxonomic reference; `product` where RefSeq names one."""

    accession: str
    genome: str
    sequence: str
    product: str = ""


def read_tsv(path: Path) -> list[dict[str, str]]:
    """Rows of a TSV file, plain or gzip, by the names of its header."""
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8", newline="") as handle:
        return list(csv.DictReader(handle, delimiter="\t", quoting=csv.QUOTE_NONE))


def read_labels(path: Path, wanted: frozenset[str]) -> Labels:
    """The label rules, those of families outside `wanted` marked as not to be used.

    They are kept, so that a later and wider rule does not catch what they describe.
    """
    rules: dict[str, list[LabelRule]] = {}
    for row in read_tsv(path):
        known = row["family"] in wanted or row["family"].startswith(OTHER)
        family = row["family"] if known else NOT_USED
        # A product name is matched whole, the name of a cluster from its start.
        pattern = f"(?:{row['pattern']})$" if row["source"] == "refseq" else row["pattern"]
        rule = LabelRule(
            row["source"],
            row["key"],
            re.compile(pattern),
            re.compile(row["taxon"]),
            Lengths.parse(row["length_aa"]),
            family,
            row["trust"],
        )
        rules.setdefault(row["source"], []).append(rule)
    return Labels({source: tuple(found) for source, found in rules.items()})


def read_sites(path: Path, wanted: frozenset[str]) -> list[SiteRule]:
    """The rules of `sites.tsv`, those for families outside `wanted` leading to none."""
    return [
        SiteRule(
            frozenset(row["labelled"].split()),
            row["template"],
            tuple((int(site[1:]), site[0]) for site in row["residues"].split()),
            Lengths.parse(row["length_aa"]),
            row["family"] if row["family"] in wanted else NOT_USED,
        )
        for row in read_tsv(path)
    ]


def read_genera(path: Path) -> list[tuple[re.Pattern[str], str]]:
    """Organism name patterns and lineages to genus; an empty lineage says 'not settled'."""
    return [
        (re.compile(rf"{row['organism']}(?!\w)"), row["lineage"] or "") for row in read_tsv(path)
    ]


def lineage_of(organism: str, genera: Iterable[tuple[re.Pattern[str], str]]) -> str:
    """Lineage of an organism name, empty where the table has none."""
    for pattern, lineage in genera:
        if pattern.match(organism):
            return lineage
    return ""


def screened_families(path: Path, labels: Labels) -> Iterator[LabelledProtein]:
    """Proteins of the KO screens (``family|number``); no organism is given."""
    for identifier, _, sequence in read_fasta(path):
        rule = labels.find("rep80", identifier.partition("|")[0], length=len(sequence))
        if rule:
            yield LabelledProtein(
                f"rep80:{identifier}", rule.family, sequence, "scfa_families_rep80", "",
                rule.trust == "curated",
            )  # fmt: skip


def curated_butyrate(
    path: Path,
    accessions: Path,
    labels: Labels,
    genera: Sequence[tuple[re.Pattern[str], str]],
) -> Iterator[LabelledProtein]:
    """Proteins of Vital 2014; the family of each gene stands in the catalogue's accession table."""
    families = {
        row["accession"].removeprefix("IMG:"): row["catalogue_family"]
        for row in read_tsv(accessions)
        if row["accession"].startswith("IMG:") and row["source_file"].startswith("mskcc")
    }
    for identifier, description, sequence in read_fasta(path):
        rule = labels.find("vital2014", families.get(identifier, ""), length=len(sequence))
        if rule:
            organism = description.rpartition("[")[2].rstrip("]")
            yield LabelledProtein(
                f"IMG:{identifier}", rule.family, sequence, "vital2014",
                lineage_of(organism, genera), trusted=True,
            )  # fmt: skip


UNIREF_HEADER = re.compile(
    r"(?P<name>.*?) n=\d+(?: Tax=(?P<taxon>.*?))?(?: TaxID=\d+)?(?: RepID=(?P<entry>\S+))?$"
)
#: Swiss-Prot entry names start with a gene of up to five signs, others with the accession.
REVIEWED_ENTRY = re.compile(r"[A-Z0-9]{1,5}_[A-Z0-9]{1,5}$")


def uniref_by_ec(
    folder: Path, labels: Labels, genera: Sequence[tuple[re.Pattern[str], str]]
) -> Iterator[LabelledProtein]:
    """UniRef90 representatives by EC number; labels of reviewed entries are trusted.

    A cluster that stands under two EC numbers is taken under the first that has a rule.
    """
    seen: set[str] = set()
    for path in sorted(folder.glob("*.fasta")):
        for identifier, description, sequence in read_fasta(path):
            found = UNIREF_HEADER.match(description)
            if not found or identifier in seen or "(Fragment)" in found["name"]:
                continue
            taxon = found["taxon"] or ""
            rule = labels.find("uniref90_by_ec", path.stem, found["name"], taxon, len(sequence))
            if rule:
                seen.add(identifier)
                reviewed = bool(REVIEWED_ENTRY.match(found["entry"] or ""))
                yield LabelledProtein(
                    identifier, rule.family, sequence, f"uniref90_by_ec:{path.stem}",
                    lineage_of(taxon, genera), rule.trust == "reviewed" and reviewed,
                )  # fmt: skip


#: The proteins of the BiGG models inside CarveMe's wheel.
BIGG_PROTEINS = "carveme/data/generated/bigg_proteins.faa"


def model_genes(wheel: Path, labels: Labels) -> Iterator[LabelledProtein]:
    """Genes of BiGG's metabolic models (``model.gene``) as CarveMe packs them.

    Each has a rule of its own, that rests on the reaction the model gives it and on its operon.
    """
    with zipfile.ZipFile(wheel) as archive:
        text = archive.read(BIGG_PROTEINS).decode()
    for record in text.removeprefix(">").split("\n>"):
        identifier, _, lines = record.partition("\n")
        sequence = lines.replace("\n", "").rstrip("*").upper()
        rule = labels.find("bigg", identifier.strip(), length=len(sequence))
        if rule:
            yield LabelledProtein(
                f"BiGG:{identifier.strip()}", rule.family, sequence, "bigg_models", "", True
            )


def named_genome_proteins(
    proteins: Iterable[GenomeProtein], labels: Labels, lineages: Mapping[str, str]
) -> Iterator[LabelledProtein]:
    """Genome proteins whose accession or RefSeq product name has a rule."""
    for protein in proteins:
        lineage, length = lineages[protein.genome], len(protein.sequence)
        rule = labels.find("accession", protein.accession, length=length) or (
            labels.find("refseq", protein.genome, protein.product, lineage, length)
            if protein.product
            else None
        )
        if rule:
            yield LabelledProtein(
                protein.accession, rule.family, protein.sequence, "refseq_proteome", lineage,
                rule.trust == "curated",
            )  # fmt: skip


def compile_names(patterns: Mapping[str, str]) -> dict[str, re.Pattern[str]]:
    """Patterns to be searched for in a product name, letter case aside."""
    return {name: re.compile(text, re.IGNORECASE) for name, text in patterns.items()}


# --- proteins of genomes --------------------------------------------------------------------------


def genome_proteins(
    genomes: Mapping[str, Path], proteomes: Mapping[str, Path]
) -> list[GenomeProtein]:
    """Proteins of every genome: the given proteome, else its genes translated, else called."""
    proteins: list[GenomeProtein] = []
    for genome, path in sorted(genomes.items()):
        if genome in proteomes:
            proteins.extend(_proteome(genome, proteomes[genome]))
        elif path.name.endswith(GENE_SUFFIXES):
            proteins.extend(_translated_genes(genome, path))
        else:
            proteins.extend(_called_genes(genome, path))
    return proteins


def _proteome(genome: str, path: Path) -> Iterator[GenomeProtein]:
    for identifier, description, sequence in read_fasta(path):
        name = description.removeprefix("MULTISPECIES: ").removesuffix("]")
        name = re.sub(r" \[[^\[\]]*(\[[^\]]*\][^\]]*)?$", "", name)
        yield GenomeProtein(identifier, genome, sequence, name)


def _translated_genes(genome: str, path: Path) -> Iterator[GenomeProtein]:
    """Translate coding sequences that begin in frame; identical proteins are given once."""
    seen: set[str] = set()
    for number, (_, _, gene) in enumerate(read_fasta(path), start=1):
        sequence = translate(gene)
        if len(sequence) >= MIN_GENE_AA and "*" not in sequence and sequence not in seen:
            seen.add(sequence)
            yield GenomeProtein(f"{genome}:{number}", genome, sequence)


def translate(gene: str) -> str:
    """Translate a coding sequence (genetic code 11), without its stop codon.

    Unknown codons become X; an incomplete last codon is left out.

    >>> translate("TTGAAATGA")
    'MK'
    """
    codons = [gene[i : i + 3] for i in range(0, len(gene) - 2, 3)]
    residues = [CODONS.get(codon, "X") for codon in codons]
    if codons and codons[0] in STARTS:
        residues[0] = "M"
    return "".join(residues).removesuffix("*")


def _called_genes(genome: str, path: Path) -> Iterator[GenomeProtein]:
    """Genes by pyrodigal, trained on the genome itself; identical proteins are given once.

    The accession is ``contig:begin-end``, so that it does not depend on the genes before it.
    """
    contigs = {record.identifier: record.sequence.encode() for record in read_fasta(path)}
    finder = pyrodigal.GeneFinder()
    finder.train(*contigs.values())
    seen: set[str] = set()
    for contig, bases in contigs.items():
        for gene in finder.find_genes(bases):
            sequence = gene.translate().rstrip("*")
            if len(sequence) >= MIN_GENE_AA and sequence not in seen:
                seen.add(sequence)
                yield GenomeProtein(f"{contig}:{gene.begin}-{gene.end}", genome, sequence)


def find_genomes(data: Path) -> dict[str, Path]:
    """Genome name to file, of ``genomes/`` and ``genomes_extra/``."""
    found: dict[str, Path] = {}
    for folder in ("genomes", "genomes_extra"):
        for path in sorted((data / folder).iterdir()):
            name = re.sub(r"\.(fna|ffn|fa|fasta)(\.gz)?$", "", path.name)
            if name != path.name:
                found[name] = path
    if not found:
        raise ReferenceFolderError(f"{data}: no genome in genomes/ or genomes_extra/")
    return found


def find_proteomes(data: Path) -> dict[str, Path]:
    """Genome name to proteome file."""
    return {
        path.name.removesuffix(".faa.gz"): path
        for path in sorted((data / "proteomes").glob("*.faa.gz"))
    }
