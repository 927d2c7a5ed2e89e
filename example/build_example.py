"""Build the data of the embedded example from three public packages, byte for byte the same.

Which sequences are taken, from where and for what, stands in `selection.tsv`; how each mosaic is
called and what its GC content is, in `genomes.tsv`. This script only fetches those sequences,
joins them and writes `data/` and `PROVENANCE.tsv`. It needs the Python of `make setup`.

    mkdir downloads
    pip download --no-deps --dest downloads carveme==1.6.6
    pip download --no-deps --no-binary humann --dest downloads humann==3.9
    (cd downloads && apt-get download metaphlan2-data=2.6.0+ds-4)
    .venv/bin/python example/build_example.py --downloads downloads --output example
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import io
import lzma
import random
import re
import sys
import tarfile
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

from fermentome.databases.manifest import Source  # noqa: E402  (needs the path above)
from fermentome.reference import describe_reference  # noqa: E402


@dataclass(frozen=True)
class Package:
    """A download: file name, digest, version and licence as the package itself states it."""

    file_name: str
    sha256: str
    version: str
    licence: str


PACKAGES = {
    "carveme": Package(
        "carveme-1.6.6-py3-none-any.whl",
        "56aaf908d18afab6e1682e062ef279da58f5c415a742fbe0b3791831a64707b5",
        "PyPI carveme 1.6.6 (wheel)",
        "Apache-2.0",
    ),
    "humann": Package(
        "humann-3.9.tar.gz",
        "d018ddbbe45f5e3e11080620b4ae5f1737ba213d2c8cecdc8237859f853b2287",
        "PyPI humann 3.9 (sdist)",
        "MIT",
    ),
    "metaphlan2-data": Package(
        "metaphlan2-data_2.6.0+ds-4_all.deb",
        "f38a6e3f49d7b03ba80d9fdd5647b9f9f2dfb38d43b28618053e8ef2c60db7d7",
        "Debian metaphlan2-data 2.6.0+ds-4",
        "Expat",
    ),
}

BASES = "TCAG"
AMINO_ACIDS = "FFLLSSSSYY**CC*WLLLLPPPPHHQQRRRRIIIMTTTTNNKKSSRRVVVVAAAADDEEGGGG"
CODON_TO_AMINO_ACID = {
    a + b + c: AMINO_ACIDS[16 * i + 4 * j + k]
    for i, a in enumerate(BASES)
    for j, b in enumerate(BASES)
    for k, c in enumerate(BASES)
}
CODONS: dict[str, list[str]] = {}
for _codon, _amino_acid in CODON_TO_AMINO_ACID.items():
    CODONS.setdefault(_amino_acid, []).append(_codon)
# Stays fixed so that a rebuilt example is the committed one.
SEED = "fermentome-example-1"
HOST_GC = 0.40
LINE = 80


@dataclass(frozen=True)
class Chosen:
    """One row of `selection.tsv`."""

    use: str
    role: str
    family: str
    package: str
    source_id: str
    organism: str
    lineage: str
    note: str


@dataclass(frozen=True)
class Placed:
    """A coding sequence with its place in a genome; positions count from 1, ends included."""

    chosen: Chosen
    start: int
    end: int
    strand: str
    made: str


def read_rows(path: Path) -> list[dict[str, str]]:
    """Rows of a TSV file as dictionaries."""
    lines = path.read_text(encoding="utf-8").splitlines()
    header = lines[0].split("\t")
    return [dict(zip(header, line.split("\t"), strict=True)) for line in lines[1:]]


def read_fasta(handle: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Header (without '>') and sequence of each record."""
    header, parts = "", list[str]()
    for line in handle:
        if line.startswith(">"):
            if header:
                yield header, "".join(parts)
            header, parts = line[1:].rstrip(), []
        else:
            parts.append(line.strip())
    if header:
        yield header, "".join(parts)


def check_download(folder: Path, package: Package) -> Path:
    """Path of a download whose digest is the expected one; stops otherwise."""
    path = folder / package.file_name
    if not path.is_file():
        sys.exit(f"{path}: not there; see the commands at the top of this script")
    with open(path, "rb") as handle:
        found = hashlib.file_digest(handle, "sha256").hexdigest()
    if found != package.sha256:
        sys.exit(f"{path}: sha256 is {found}, expected {package.sha256}; download it again")
    return path


def member_of_deb(path: Path, name: str) -> bytes:
    """Content of one member of a Debian package, an `ar` archive."""
    with open(path, "rb") as handle:
        handle.read(8)
        while header := handle.read(60):
            member = header[:16].decode("ascii").strip().rstrip("/")
            size = int(header[48:58])
            content = handle.read(size)
            if size % 2:
                handle.read(1)
            if member == name:
                return content
    sys.exit(f"{path}: holds no {name}")


def from_carveme(path: Path, wanted: set[str]) -> dict[str, str]:
    """Proteins of the carveme wheel.

    Ids are `bigg_proteins.faa|<model>.<gene>` or `benchmark/<file>.faa|<first word of header>`.
    """
    found: dict[str, str] = {}
    with zipfile.ZipFile(path) as wheel:
        for name in sorted({identifier.split("|")[0] for identifier in wanted}):
            folder = "generated" if name == "bigg_proteins.faa" else "benchmark/fasta"
            member = f"carveme/data/{folder}/{name.rsplit('/', 1)[-1]}"
            with wheel.open(member) as raw:
                for header, sequence in read_fasta(io.TextIOWrapper(raw, "ascii")):
                    identifier = f"{name}|{header.split()[0]}"
                    if identifier in wanted:
                        found.setdefault(identifier, sequence.upper().rstrip("*"))
    return found


def from_humann(path: Path, wanted: set[str]) -> dict[str, str]:
    """Coding sequences of the two demonstration pangenomes of HUMAnN."""
    found: dict[str, str] = {}
    with tarfile.open(path) as sdist:
        for member in sdist.getmembers():
            match = re.search(r"chocophlan_DEMO/.*s__Bacteroides_(\w+)\.centroids", member.name)
            raw = sdist.extractfile(member) if match else None
            if match is None or raw is None:
                continue
            with gzip.open(raw, "rt", encoding="ascii") as handle:
                for header, sequence in read_fasta(handle):
                    identifier = f"{match[1]}|{header.split('|')[0]}"
                    if identifier in wanted:
                        found.setdefault(identifier, sequence.upper())
    return found


def from_metaphlan(path: Path, wanted: set[str]) -> dict[str, str]:
    """Coding sequences of Debian's MetaPhlAn2 markers; the id is the first word of the header."""
    packed = io.BytesIO(member_of_deb(path, "data.tar.xz"))
    with lzma.open(packed) as archive, tarfile.open(fileobj=archive, mode="r|") as tar:
        for member in tar:
            raw = tar.extractfile(member) if member.name.endswith("markers.fasta") else None
            if raw is not None:
                return collect_markers(raw, wanted)
    sys.exit(f"{path}: holds no markers.fasta")


def collect_markers(raw: IO[bytes], wanted: set[str]) -> dict[str, str]:
    """The wanted records of a large FASTA file, read once and not kept."""
    names = {name.encode("ascii") for name in wanted}
    parts: dict[bytes, list[bytes]] = {}
    current: list[bytes] | None = None
    for line in raw:
        if line.startswith(b">"):
            name = line[1:].split()[0]
            current = parts.setdefault(name, []) if name in names and name not in parts else None
        elif current is not None:
            current.append(line.strip())
    return {
        name.decode("ascii"): b"".join(lines).decode("ascii").upper()
        for name, lines in parts.items()
    }


def translate(coding: str) -> str:
    """Protein of a coding sequence, its stop left out; the start codon is read as methionine."""
    amino_acids = "".join(
        CODON_TO_AMINO_ACID[coding[i : i + 3]] for i in range(0, len(coding) - 2, 3)
    )
    return "M" + amino_acids.rstrip("*")[1:]


def back_translate(protein: str, gc: float, rng: random.Random) -> str:
    """A coding sequence of a protein, codons drawn so that GC bases have the weight `gc`."""
    codons = []
    for amino_acid in protein:
        options = CODONS[amino_acid]
        weights = [
            gc ** sum(base in "GC" for base in codon)
            * (1 - gc) ** sum(base in "AT" for base in codon)
            for codon in options
        ]
        codons.append(draw(options, weights, rng))
    return "".join(codons) + "TAA"


def draw(options: Sequence[str], weights: Sequence[float], rng: random.Random) -> str:
    """One of the options. `random()` is the only draw whose values Python promises to keep."""
    point = rng.random() * sum(weights)
    for option, weight in zip(options, weights, strict=True):
        point -= weight
        if point < 0:
            return option
    return options[-1]


def random_bases(length: int, gc: float, rng: random.Random) -> str:
    """Bases drawn apart from each other, GC with the share `gc`."""
    weights = [gc / 2, gc / 2, (1 - gc) / 2, (1 - gc) / 2]
    return "".join(draw("GCAT", weights, rng) for _ in range(length))


def between(low: int, high: int, rng: random.Random) -> int:
    """A whole number from `low` to `high`, both included."""
    return low + int(rng.random() * (high - low + 1))


def reverse_complement(sequence: str) -> str:
    """The other strand, 5' to 3'."""
    return sequence.translate(str.maketrans("ACGT", "TGCA"))[::-1]


def coding_sequence(chosen: Chosen, sequence: str, gc: float) -> tuple[str, str]:
    """Nucleotides of a chosen sequence, and how they were had."""
    if chosen.package != "carveme":
        return sequence, "coding sequence as in the package"
    rng = random.Random(f"{SEED}|{chosen.use}|{chosen.source_id}")
    return back_translate(sequence, gc, rng), "back-translated from the protein"


def assemble(
    name: str, rows: Sequence[Chosen], sequences: dict[tuple[str, str], str], gc: float
) -> tuple[str, list[Placed]]:
    """A genome: the coding sequences in the order of the table, random spacers between them."""
    rng = random.Random(f"{SEED}|{name}")
    parts = [random_bases(between(60, 160, rng), gc, rng)]
    length = len(parts[0])
    placed = []
    for row in rows:
        coding, made = coding_sequence(row, sequences[row.package, row.source_id], gc)
        strand = "+" if rng.random() < 0.5 else "-"
        parts.append(coding if strand == "+" else reverse_complement(coding))
        placed.append(Placed(row, length + 1, length + len(coding), strand, made))
        parts.append(random_bases(between(40, 160, rng), gc, rng))
        length += len(coding) + len(parts[-1])
    return "".join(parts), placed


def assemble_host(
    rows: Sequence[Chosen], sequences: dict[tuple[str, str], str]
) -> list[tuple[str, str]]:
    """Contigs of the stand-in host: genes cut into exons by random introns, wide random spacers."""
    rng = random.Random(f"{SEED}|host")
    contigs: list[list[str]] = [[], [], []]
    for number, row in enumerate(rows):
        protein = sequences[row.package, row.source_id]
        coding, _ = coding_sequence(row, protein, HOST_GC)
        contig = contigs[number % len(contigs)]
        while coding:
            exon = between(250, 600, rng)
            contig.append(coding[:exon])
            coding = coding[exon:]
            if coding:
                contig.append("GT" + random_bases(between(60, 260, rng), HOST_GC, rng) + "AG")
        contig.append(random_bases(between(300, 900, rng), HOST_GC, rng))
    return [(f"standin_host_{i}", "".join(parts)) for i, parts in enumerate(contigs, start=1)]


def write_gzip(path: Path, text: str) -> None:
    """Write text compressed, without time and name in the header so that bytes repeat."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "wb") as raw, gzip.GzipFile("", "wb", 9, raw, mtime=0) as packed:
        packed.write(text.encode("ascii"))


def write_table(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a TSV file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = ["\t".join(header), *("\t".join(map(str, row)) for row in rows)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def fasta(records: Iterable[tuple[str, str]]) -> str:
    """Records as FASTA text."""
    return "".join(
        f">{name}\n" + "".join(sequence[i : i + LINE] + "\n" for i in range(0, len(sequence), LINE))
        for name, sequence in records
    )


def protein_of(chosen: Chosen, sequences: dict[tuple[str, str], str]) -> str:
    """Protein of a chosen sequence."""
    sequence = sequences[chosen.package, chosen.source_id]
    return sequence if chosen.package == "carveme" else translate(sequence)


def write_reference(
    folder: Path, rows: Sequence[Chosen], sequences: dict[tuple[str, str], str]
) -> None:
    """Write the protein reference: FASTA with opaque ids, table, manifest."""
    records, table = [], []
    for number, row in enumerate(rows, start=1):
        protein = protein_of(row, sequences)
        name = f"P{number:05d}"
        records.append((name, protein))
        table.append((name, row.family, len(protein), row.lineage, row.package, row.source_id))
    write_gzip(folder / "proteins.faa.gz", fasta(records))
    header = ("protein", "family", "length_aa", "lineage", "source", "accession")
    write_table(folder / "proteins.tsv", header, table)
    describe_reference(
        folder,
        name="fermentome-example",
        version="1",
        description="Demonstration only. A few hundred proteins for the embedded example; it misses"
        " most organisms and some families, and must not be used on real samples.",
        licence="Apache-2.0 AND MIT",
        sources=[
            Source(p.file_name, release=p.version, licence=p.licence, sha256=p.sha256)
            for p in PACKAGES.values()
        ],
        tools={},
        parameters={"proteins": "example/selection.tsv"},
    )


def read_sequences(downloads: Path, rows: Iterable[Chosen]) -> dict[tuple[str, str], str]:
    """All chosen sequences, by package and id; stops if one is not there."""
    wanted: dict[str, set[str]] = {name: set() for name in PACKAGES}
    for row in rows:
        wanted[row.package].add(row.source_id)
    readers = {
        "carveme": from_carveme,
        "humann": from_humann,
        "metaphlan2-data": from_metaphlan,
    }
    sequences: dict[tuple[str, str], str] = {}
    for name, package in PACKAGES.items():
        found = readers[name](check_download(downloads, package), wanted[name])
        missing = sorted(wanted[name] - set(found))
        if missing:
            sys.exit(f"{package.file_name}: {len(missing)} ids are not there, first {missing[0]}")
        sequences.update({(name, identifier): text for identifier, text in found.items()})
    return sequences


def build(downloads: Path, output: Path) -> None:
    """Write `data/` and `PROVENANCE.tsv` below `output`."""
    here = Path(__file__).resolve().parent
    chosen = [Chosen(**row) for row in read_rows(here / "selection.tsv")]
    genomes = read_rows(here / "genomes.tsv")
    sequences = read_sequences(downloads, chosen)
    data = output / "data"
    reference = [row for row in chosen if row.use == "reference"]
    write_reference(data / "reference", reference, sequences)
    placed: dict[str, list[Placed]] = {}
    for genome in genomes:
        name = genome["genome"]
        rows = [row for row in chosen if row.use == name]
        sequence, placed[name] = assemble(name, rows, sequences, float(genome["gc"]))
        write_gzip(data / "genomes" / f"{name}.fna.gz", fasta([(name, sequence)]))
    write_table(
        data / "lineages.tsv", ("genome", "lineage"), [(g["genome"], g["lineage"]) for g in genomes]
    )
    host = [row for row in chosen if row.use == "host"]
    write_gzip(data / "host" / "host.fa.gz", fasta(assemble_host(host, sequences)))
    write_truth(data / "truth", placed, reference)
    write_provenance(output / "PROVENANCE.tsv", chosen, placed, reference)


def write_truth(folder: Path, placed: dict[str, list[Placed]], reference: Sequence[Chosen]) -> None:
    """Write the copies of every family in every genome, and the place of every gene."""
    counts = {
        name: Counter(item.chosen.family for item in items if item.chosen.family)
        for name, items in placed.items()
    }
    families = sorted({row.family for row in reference} | {f for c in counts.values() for f in c})
    write_table(
        folder / "genomes.tsv",
        ("genome", "family", "copies"),
        [(name, family, counts[name][family]) for name in placed for family in families],
    )
    searched = {(row.package, row.source_id) for row in reference}
    header = ("genome", "family", "role", "start", "end", "strand", "source", "accession")
    write_table(
        folder / "genes.tsv",
        (*header, "in_reference"),
        [
            (
                name,
                item.chosen.family or "none",
                item.chosen.role,
                item.start,
                item.end,
                item.strand,
                item.chosen.package,
                item.chosen.source_id,
                "yes" if (item.chosen.package, item.chosen.source_id) in searched else "no",
            )
            for name, items in placed.items()
            for item in items
        ],
    )


def write_provenance(
    path: Path,
    chosen: Sequence[Chosen],
    placed: dict[str, list[Placed]],
    reference: Sequence[Chosen],
) -> None:
    """Write one row per shipped file and one per sequence in it."""
    searched = {(row.package, row.source_id) for row in reference}
    made_here = ("this repository", "MIT")
    rows: list[Sequence[str]] = [
        ("data/reference/proteins.tsv", *made_here, "", "", "", "families and lineages"),
        ("data/reference/manifest.yaml", *made_here, "", "", "", "description and digests"),
        ("data/lineages.tsv", *made_here, "", "", "", "what each mosaic stands for"),
        ("data/truth/genomes.tsv", *made_here, "", "", "", "counted while the genomes were built"),
        ("data/truth/genes.tsv", *made_here, "", "", "", "noted while the genomes were built"),
    ]
    files = {name: f"data/genomes/{name}.fna.gz" for name in placed}
    for name, file in files.items():
        how = "mosaic: coding sequences as listed below, seeded random spacers, some reversed"
        rows.append((file, *made_here, "", "", name, how))
    rows.append(
        (
            "data/host/host.fa.gz",
            *made_here,
            "",
            "",
            "",
            "stand-in host, yeast genes back-translated, random introns and spacers; not human",
        )
    )
    for row in chosen:
        package = PACKAGES[row.package]
        if row.use == "reference":
            file = "data/reference/proteins.faa.gz"
            how = "protein as in the package"
            if row.package != "carveme":
                how = "translated from the coding sequence"
        elif row.use == "host":
            file = "data/host/host.fa.gz"
            how = "back-translated, cut into exons"
        else:
            file = files[row.use]
            how = "coding sequence as in the package"
            if row.package == "carveme":
                how = "back-translated from the protein"
            if row.family and (row.package, row.source_id) not in searched:
                how += "; this protein is not in the reference"
        note = f"{how}; {row.note}" if row.note else how
        organism = row.organism or "not named by the package"
        rows.append(
            (file, package.version, package.licence, row.source_id, row.family, organism, note)
        )
    header = ("file", "source", "licence", "accession", "family", "organism", "how")
    write_table(path, header, rows)


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line and build."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--downloads", type=Path, required=True, help="folder of the packages")
    parser.add_argument(
        "--output", type=Path, default=Path(__file__).resolve().parent, help="default: here"
    )
    options = parser.parse_args(arguments)
    build(options.downloads, options.output)


if __name__ == "__main__":
    main()
