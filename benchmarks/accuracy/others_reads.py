"""Product calls of Fermentome and of the others on the same simulated reads."""

from __future__ import annotations

import random
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import annotation
import numpy as np
import peers
import phenotypes
from organisms import PRESENT, ROOT, Row, formed_products
from peer_calls import (
    HUMANN,
    OURS,
    Identifiers,
    Peers,
    calls_of_tools,
    compared_products,
    family_reactions,
    judged,
    minpath_options,
)

from fermentome.catalogue import Catalogue
from fermentome.evidence import COMMUNITY
from fermentome.reference import read_fasta, write_fasta
from fermentome.simulate import Genome, ReadModel, simulate_run
from fermentome.tables import read_table

PAIRS = 100_000
COMMUNITY_SIZE = 5
SEED = 20261120
SHORTEST_PIECE = 500
MIN_FRAGMENTS = 2
"""As in the workflow's settings: fragments from which a family counts as detected."""


# --- reads ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Community:
    """A simulated community of equal cells."""

    name: str
    members: tuple[phenotypes.Organism, ...]


def choose_communities(
    organisms: Sequence[phenotypes.Organism],
    truth: Mapping[tuple[str, str], phenotypes.Fact],
    quick: bool,
) -> list[Community]:
    """Communities without makers of butyrate, of propionate, of either; members drawn by lot."""

    def kinds(organism: phenotypes.Organism) -> tuple[str, str]:
        return truth[organism.genome, "butyrate"].made, truth[organism.genome, "propionate"].made

    pools = {
        "neither": [o for o in organisms if kinds(o) == ("no", "no")],
        "no_butyrate": [o for o in organisms if kinds(o)[0] == "no"],
        "no_propionate": [o for o in organisms if kinds(o)[1] == "no"],
    }
    lot = random.Random(SEED)
    chosen = []
    for name, pool in list(pools.items())[: 1 if quick else None]:
        members = lot.sample(pool, min(COMMUNITY_SIZE, len(pool)))
        if members:
            chosen.append(Community(name, tuple(members)))
    return chosen


def community_truth(
    community: Community, product: str, truth: Mapping[tuple[str, str], phenotypes.Fact]
) -> phenotypes.Made:
    """Whether a community makes a product: yes if a member does, no if all do not."""
    kinds = {truth[member.genome, product].made for member in community.members}
    if "yes" in kinds:
        return "yes"
    return "no" if kinds == {"no"} else "debated" if "debated" in kinds else "not_listed"


def simulate(community: Community, data: Path, folder: Path, pairs: int) -> tuple[Path, Path]:
    """Write the read pairs of a community; every member has as many cells."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = folder / f"{community.name}_R1.fastq.gz", folder / f"{community.name}_R2.fastq.gz"
    genomes = []
    for member in community.members:
        file = annotation.find_file(data, member.genome, ("genomes",))
        if file:
            genomes.append(read_plain_genome(file.name, file.path))
    cells = {genome.name: 1.0 for genome in genomes}
    simulate_run(genomes, cells, ReadModel(), pairs, SEED, *paths)
    return paths


def read_plain_genome(name: str, path: Path) -> Genome:
    """Genome without its unknown bases: contigs are cut there, and short pieces left out."""
    codes = bytes.maketrans(b"ACGT", bytes(range(4)))
    pieces = [
        np.frombuffer(piece.encode().translate(codes), dtype=np.uint8)
        for record in read_fasta(path)
        for piece in re.findall(rf"[ACGT]{{{SHORTEST_PIECE},}}", record.sequence)
    ]
    return Genome(name, tuple(pieces))


def run_workflow(
    reads: Mapping[str, tuple[Path, Path]], reference: Path, folder: Path, threads: int
) -> None:
    """Run this workflow on the reads, without host and species profile."""
    (folder / "config").mkdir(parents=True, exist_ok=True)
    rows = "".join(f"{name}\t1\t{first}\t{second}\n" for name, (first, second) in reads.items())
    (folder / "config/samples.tsv").write_text(
        f"sample\trun\treads1\treads2\n{rows}", encoding="utf-8"
    )
    (folder / "config/config.yaml").write_text(
        f"function:\n  reference: {reference.resolve()}\n", encoding="utf-8"
    )
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"),
         "--directory", str(folder), "--cores", str(threads), "--quiet"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise peers.PeerError(f"the workflow failed in {folder}: {done.stderr.strip()[-800:]}")


def humann_on_reads(
    reads: tuple[Path, Path],
    reference: Path,
    known: Peers,
    catalogue: Catalogue,
    folder: Path,
    threads: int,
) -> tuple[dict[str, float], float, int]:
    """Pathways, seconds and aligned fragments of HUMAnN's translated search of both mates.

    Its settings for UniRef50 (identity from 50 %), the more sensitive of its two: the reference
    holds one protein of those 80 % identical.
    """
    assert known.humann is not None and known.package is not None
    folder.mkdir(parents=True, exist_ok=True)
    database = folder / "database"
    database.mkdir(exist_ok=True)
    sequences, mapping = folder / "proteins.faa", folder / "mapping.tsv"
    rows = read_table(reference / "proteins.tsv", ["protein", "family", "length_aa"])
    mapping.write_text(
        "".join(f"{r['protein']}\t{r['family']}\t{3 * int(r['length_aa'])}\tunclassified\n"
                for r in rows),
        encoding="utf-8",
    )  # fmt: skip
    write_fasta(
        sequences, ((r.identifier, r.sequence) for r in read_fasta(reference / "proteins.faa.gz"))
    )
    # The name of its release must be in that of the file.
    subprocess.run(["diamond", "makedb", "--in", str(sequences), "--quiet",
                    "--db", str(database / "proteins_201901b_uniref50.dmnd")],
                   check=True)  # fmt: skip
    reactions = folder / "reactions.tsv"
    peers.write_reactions(reactions, peers.reaction_numbers(known.package),
                          family_reactions(catalogue, known.package))  # fmt: skip
    both = folder / "reads.fastq.gz"
    with both.open("wb") as out:
        for path in reads:
            out.write(path.read_bytes())
    started = time.monotonic()
    peers.run_humann(
        known.humann,
        ["--input", str(both), "--output", str(folder / "out"), "--bypass-nucleotide-search",
         "--protein-database", str(database), "--search-mode", "uniref50",
         "--id-mapping", str(mapping), "--threads", str(threads),
         "--pathways-database", f"{reactions},{known.package / peers.HUMANN_PATHWAYS}",
         *minpath_options(known.humann)],
    )  # fmt: skip
    seconds = time.monotonic() - started
    kept = count_aligned(folder / "out")
    found = peers.read_abundance(next((folder / "out").glob("*_pathabundance.tsv")))
    shutil.rmtree(folder)
    return found, seconds, kept


def count_aligned(folder: Path) -> int:
    """Fragments of which a mate stayed after HUMAnN's filters: aligned and not among the rest."""
    temp = next(folder.glob("*_humann_temp"))
    names: set[str] = set()
    for path in temp.glob("*_diamond_aligned.tsv"):
        with path.open(encoding="utf-8") as lines:
            names |= {re.sub(r"\|\d+$", "", line.split("\t", 1)[0]) for line in lines}
    for path in temp.glob("*_diamond_unaligned.fa"):
        with path.open(encoding="utf-8") as lines:
            names -= {line[1:].rstrip("\n") for line in lines if line.startswith(">")}
    return len({fragment_of(name) for name in names})


def fragment_of(name: str) -> str:
    """Name of a simulated fragment; HUMAnN drops the blank before the number of the mate.

    >>> fragment_of("SIM:1:A:1:1101:1000:10002:N:0:ATCACG")
    'SIM:1:A:1:1101:1000:1000'
    """
    return re.sub(r"[12]:N:0:[ACGT]+$", "", name)


def compare_reads(
    organisms: Sequence[phenotypes.Organism],
    data: Path,
    reference: Path,
    known: Peers,
    catalogue: Catalogue,
    work: Path,
    threads: int,
    quick: bool,
) -> tuple[list[Row], list[Row]]:
    """Rows of others_reads.tsv and others_speed.tsv."""
    routes = formed_products(catalogue)
    products = compared_products(organisms, routes, known)
    with_genome = [o for o in organisms if annotation.find_file(data, o.genome, ("genomes",))]
    truth = phenotypes.read_truth(with_genome, products, phenotypes.read_literature())
    chosen = choose_communities(with_genome, truth, quick)
    pairs = PAIRS // 5 if quick else PAIRS
    reads = {c.name: simulate(c, data, work / "reads", pairs) for c in chosen}
    folder = work / "workflow"
    started = time.monotonic()
    run_workflow(reads, reference, folder, threads)
    whole = time.monotonic() - started
    rows: list[Row] = []
    speed: list[Row] = []
    tables = folder / "results/tables"
    called = read_table(tables / "pathways.tsv")
    families = read_table(tables / "families.tsv")
    for community in chosen:
        name = community.name
        present = present_routes(called, name)
        ours = {product: [r for r in routes[product] if r in present] for product in products}
        found, kept = detected_families(families, name, catalogue)
        seconds = float(read_table(folder / f"benchmarks/search_reads/{name}.tsv")[0]["s"])
        speed.append(speed_row(name, pairs, OURS, "search", seconds, kept, seconds, kept))
        pathways = None
        if known.humann is not None:
            pathways, other, aligned = humann_on_reads(
                reads[name], reference, known, catalogue, work / "humann_reads", threads
            )
            speed.append(speed_row(name, pairs, HUMANN, "run", other, aligned, seconds, kept))
        calls = calls_of_tools(ours, found.all(catalogue), pathways, known, products)
        members = ",".join(phenotypes.short_name(m.organism) for m in community.members)
        for (tool, product), rules in calls.items():
            row: Row = {"community": name, "members": members, "tool": tool, "product": product}
            rows.append(row | judged(rules, community_truth(community, product, truth)))
    total = pairs * len(chosen)
    speed.append(speed_row("all", total, OURS, "workflow", whole, None, None, None))
    return rows, speed


def present_routes(pathways: Iterable[Mapping[str, str]], sample: str) -> frozenset[str]:
    """Routes that are present in the community of a sample."""
    return frozenset(
        row["pathway"]
        for row in pathways
        if (row["sample"], row["taxon"], row["call"]) == (sample, COMMUNITY, PRESENT)
    )


def detected_families(
    families: Iterable[Mapping[str, str]], sample: str, catalogue: Catalogue
) -> tuple[Identifiers, float]:
    """Families with at least `MIN_FRAGMENTS` fragments in a sample, and all fragments kept."""
    found, kept = Identifiers(), 0.0
    for row in families:
        if (row["sample"], row["taxon"]) == (sample, COMMUNITY):
            fragments = float(row["fragments"])
            kept += fragments
            if fragments >= MIN_FRAGMENTS and row["family"] in catalogue.families:
                found.families[row["family"]] += 1
    return found, kept


def speed_row(
    community: str,
    fragments: int,
    tool: str,
    step: str,
    seconds: float,
    kept: float | None,
    our_seconds: float | None,
    our_kept: float | None,
) -> Row:
    """Row of others_speed.tsv; the ratios are to our search of the same reads."""
    return {
        "community": community,
        "fragments": fragments,
        "tool": tool,
        "step": step,
        "seconds": seconds,
        "fragments_kept": kept,
        "relative_time": seconds / our_seconds if our_seconds else None,
        "relative_fragments": kept / our_kept if our_kept and kept is not None else None,
    }
