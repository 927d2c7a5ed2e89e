"""Whether the calls of genome mode hold without near relatives, in pieces, and in part.

Takes the genomes of ``../shared/data`` and their calls with the whole reference, and compares:

- ``without_species``, ``without_genus``: members of the reference from the genome's own species,
  or genus, are left out. Members without a lineage stay, so this is an upper bound;
- ``pieces``: the genome is cut into contigs of about 4 kb (log-normal, sigma 0.6);
- ``pieces_70_percent``: 70 % of these contigs.

Tables beside this file: ``robustness.tsv`` (pairs of calls, counted), ``changes.tsv`` (every call
that differs, but for ``absent`` that becomes ``below_detection``), ``scores.tsv`` (without the own
species: by family, the bits per residue of the best hits of whole proteins around the threshold).

    python benchmarks/genomes/robustness.py --reference FOLDER [--data ../shared/data] [--threads 2]
"""

import argparse
import gzip
import random
import subprocess
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

from measure import ROOT  # puts the library on the path

from fermentome.catalogue import Catalogue, load_catalogue
from fermentome.command_genomes import SEARCH
from fermentome.defaults import catalogue_files
from fermentome.genes import (
    GenomeFile,
    call_genomes,
    list_genomes,
    read_proteins,
    read_sequences,
)
from fermentome.genomes import (
    HIT_COLUMNS,
    TABLES,
    Assigner,
    Member,
    members_of,
    read_hits,
    score_batch,
    write_called,
)
from fermentome.lineage import RANKS, parse_lineage, read_lineages
from fermentome.reference import Reference, read_reference
from fermentome.scoring import ABSENT, BELOW
from fermentome.tables import read_table, write_table

HERE = Path(__file__).resolve().parent
PIECE_LOG_BASES, PIECE_SIGMA, PART = 8.3, 0.6, 0.7


def write_pieces(genome: GenomeFile, folders: Mapping[str, Path]) -> None:
    """Write the genome in pieces, and a part of them."""
    chance = random.Random(genome.name)
    written: dict[str, list[str]] = defaultdict(list)
    for _, sequence in read_sequences(genome.path)[1]:
        begin = 0
        while begin < len(sequence):
            end = begin + int(chance.lognormvariate(PIECE_LOG_BASES, PIECE_SIGMA))
            record = f">c{len(written['pieces']) + 1}\n{sequence[begin:end]}\n"
            written["pieces"].append(record)
            if chance.random() < PART:
                written["pieces_70_percent"].append(record)
            begin = end
    for variant, records in written.items():
        with gzip.open(folders[variant] / f"{genome.name}.fna.gz", "wt", compresslevel=1) as out:
            out.writelines(records)


def search(genomes: list[GenomeFile], work: Path, reference: Path, threads: int) -> None:
    """Call genes into `work` and search them."""
    write_called(work / "called.tsv", call_genomes(genomes, work / "p.faa.gz", threads))
    subprocess.run(
        ["diamond", "blastp", "--query", str(work / "p.faa.gz"), "--db", str(reference), "--out",
         str(work / "hits.tsv"), *SEARCH, "--threads", str(threads), "--quiet",
         "--outfmt", "6", *HIT_COLUMNS],
        check=True,
    )  # fmt: skip


def without_kin(
    hits: Path, out: Path, names: list[str], lineages: Mapping[str, tuple[str, ...]],
    reference: Reference, rank: int,
) -> None:  # fmt: skip
    """Copy hits except those with members of the genome's own taxon of a rank."""
    taxa = {p: parse_lineage(row.lineage)[rank] for p, row in reference.proteins.items()}
    with open(hits, encoding="utf-8") as lines, open(out, "w", encoding="utf-8") as kept:
        for line in lines:
            query, subject, _ = line.split("\t", 2)
            own = lineages[names[int(query.split("_")[0])]][rank]
            if not own or taxa[subject] != own:
                kept.write(line)


def score(
    work: Path, hits: Path, members: Mapping[str, Member],
    lineages: Mapping[str, tuple[str, ...]], catalogue: Catalogue,
) -> dict[tuple[str, str], dict[str, str]]:  # fmt: skip
    """Rows of the table of pathways by genome and pathway."""
    tables = {table: work / f"{table}.tsv" for table in TABLES}
    called, proteins = work / "called.tsv", work / "p.faa.gz"
    score_batch(called, proteins, hits, members, lineages, catalogue, tables)
    return {(row["genome"], row["pathway"]): row for row in read_table(tables["pathways"])}


def score_rows(
    work: Path, hits: Path, members: Mapping[str, Member], catalogue: Catalogue
) -> Iterator[dict[str, object]]:
    """Bits per residue around each family's threshold, of best hits that cover enough."""
    assigner = Assigner(catalogue)
    lengths = {protein.identifier: protein.length for protein in read_proteins(work / "p.faa.gz")}
    seen: dict[str, list[float]] = defaultdict(list)
    for query, found in read_hits(hits, members):
        best = max(found, key=lambda hit: (hit.bits, hit.family))
        limits = assigner.limits(best.family)
        covers = best.residues >= limits.min_query_cover * lengths[query]
        if covers and best.subject_cover >= limits.min_subject_cover:
            seen[best.family].append(best.bits_per_aa)
    for family, scores in sorted(seen.items()):
        threshold = assigner.limits(family).bits_per_aa
        yield {
            "family": family,
            "role": catalogue.role(family),
            "threshold": threshold,
            "proteins": len(scores),
            "highest_below": max((s for s in scores if s < threshold), default=None),
            "lowest_above": min((s for s in scores if s >= threshold), default=None),
        }


def main() -> None:
    """Make all variants and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared/data")
    parser.add_argument("--reference", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, default=HERE)
    options = parser.parse_args()
    catalogue = load_catalogue(catalogue_files())
    reference = read_reference(options.reference, [*catalogue.families, *catalogue.single_copy])
    members = members_of(reference)
    lineages = read_lineages(options.data / "truth/lineages.tsv")
    genomes = list_genomes([options.data / "genomes"])
    calls = {}
    with tempfile.TemporaryDirectory() as folder:
        index = Path(folder, "proteins.dmnd")
        subprocess.run(
            ["diamond", "makedb", "--in", str(reference.fasta), "--db", str(index), "--quiet"],
            check=True,
        )
        work = {name: Path(folder, name) for name in ("whole", "pieces", "pieces_70_percent")}
        pieces = {name: path / "fasta" for name, path in work.items()}
        for path in pieces.values():
            path.mkdir(parents=True)
        for genome in genomes:
            write_pieces(genome, pieces)
        for variant, path in work.items():
            given = genomes if variant == "whole" else list_genomes([pieces[variant]])
            search(given, path, index, options.threads)
            calls[variant] = score(path, path / "hits.tsv", members, lineages, catalogue)
        whole = work["whole"]
        names = [genome.name for genome in genomes]
        for rank in ("species", "genus"):
            hits = whole / f"without_{rank}.tsv"
            number = RANKS.index(rank)
            without_kin(whole / "hits.tsv", hits, names, lineages, reference, number)
            calls[f"without_{rank}"] = score(whole, hits, members, lineages, catalogue)
        columns = ("family", "role", "threshold", "proteins", "highest_below", "lowest_above")
        rows = list(score_rows(whole, whole / "without_species.tsv", members, catalogue))
        write_table(options.out / "scores.tsv", columns, rows)
    first = calls.pop("whole")
    pairs: Counter[tuple[str, str, str]] = Counter()
    changes = []
    for variant, found in sorted(calls.items()):
        for (genome_name, pathway), row in sorted(found.items()):
            before = first[genome_name, pathway]["call"]
            pairs[variant, before, row["call"]] += 1
            # That nothing is called absent from a part of a genome is the rule, not a finding.
            if before != row["call"] and (before, row["call"]) != (ABSENT, BELOW):
                changes.append(
                    {"variant": variant, "genome": genome_name, "pathway": pathway,
                     "whole": before, "call": row["call"], "reason": row["reason"]}
                )  # fmt: skip
    write_table(
        options.out / "robustness.tsv",
        ("variant", "whole", "call", "routes"),
        [
            {"variant": variant, "whole": before, "call": after, "routes": count}
            for (variant, before, after), count in sorted(pairs.items())
        ],
    )
    names = ("variant", "genome", "pathway", "whole", "call", "reason")
    write_table(options.out / "changes.tsv", names, changes)
    print((options.out / "robustness.tsv").read_text())


if __name__ == "__main__":
    main()
