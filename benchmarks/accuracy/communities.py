"""Simulated communities: species, copies of routes, their intervals and the detection limit.

Communities of known genomes with log-normal abundances are drawn, searched and scored by the
library as the workflow does it, and compared with what their genomes hold (`community_truth.py`).
In half of them one to three species are foreign: they are taken out of the taxonomic database, and
out of the protein reference go all proteins of the species and all that are at least 95 %
identical to one of its own, so that only relatives can show their genes.

    python benchmarks/accuracy/communities.py [--communities N] [--max-pairs M] [--seed S]

One file per community is kept under `--work`; a run that was stopped goes on where it was.
"""

from __future__ import annotations

import argparse
import datetime
import gzip
import hashlib
import json
import math
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import yaml

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))
sys.path.insert(0, str(Path(__file__).resolve().parent))

import pysylph  # noqa: E402
from community_truth import (  # noqa: E402
    Annotation,
    RouteTruth,
    annotate,
    called_copies,
    gene_hits,
    route_truth,
)
from fast_reads import Genomes, ReadModel, draw, reachable  # noqa: E402

from fermentome import command_genomes  # noqa: E402
from fermentome.assign import Assignment, Protein, assign_fragments  # noqa: E402
from fermentome.catalogue import Catalogue, load_catalogue  # noqa: E402
from fermentome.defaults import catalogue_files  # noqa: E402
from fermentome.evidence import (  # noqa: E402
    COMMUNITY,
    SampleEvidence,
    median_lengths,
    weigh_families,
)
from fermentome.lineage import parse_lineage, read_lineages, sketch_key  # noqa: E402
from fermentome.quantify import genus_lineages, read_proteins  # noqa: E402
from fermentome.scoring import PRESENT, PathwayScore, ScoringRule, score_sample  # noqa: E402
from fermentome.tables import Cell, iterate_table, write_table  # noqa: E402
from fermentome.taxonomy import (  # noqa: E402
    UNCLASSIFIED,
    build_database,
    list_genomes,
    load_database,
    profile_reads,
)

HIT_FIELDS = ("qseqid", "sseqid", "pident", "length", "qlen", "sstart", "send", "bitscore")
SEARCH = ("--min-score", "30", "--top", "10")
BLOCKS = ("--block-size", "0.4", "--index-chunks", "1")
FEWEST_PAIRS = 200_000
MOST_PAIRS = 5_000_000
TOWARDS_SMALL = 1.6
"""Power of the steps between the sizes on a logarithmic scale; above 1 few are large, which keeps
the time short."""
FEWEST_SPECIES = 5
SPREAD = 1.25
"""Standard deviation of the logarithm of the abundances."""
DEEP = 5.0
"""Depth of the carriers from which copies are held to the target."""


@dataclass(frozen=True)
class Community:
    """What a community is made of.

    Attributes
    ----------
    cells
        Share of the cells by genome.
    foreign
        Genomes of it that both references lack.
    """

    name: str
    pairs: int
    read_length: int
    seed: int
    cells: Mapping[str, float]
    foreign: tuple[str, ...]


@dataclass(frozen=True)
class Setting:
    """What all communities share."""

    catalogue: Catalogue
    config: Mapping[str, Any]
    lineages: Mapping[str, tuple[str, ...]]
    genomes: Mapping[str, Path]
    truth: Annotation
    reference: Path
    taxonomy: pysylph.Database
    work: Path
    threads: int
    version: str

    def rule(self) -> ScoringRule:
        """Settings of the calls, at the defaults of the configuration."""
        wanted = self.config["scoring"]
        return ScoringRule(**{f.name: wanted[f.name] for f in fields(ScoringRule)})

    def sensitivity(self) -> list[str]:
        """Option of the search."""
        mode = self.config["function"]["sensitivity"]
        return [] if mode == "default" else [f"--{mode}"]


# --- design ---------------------------------------------------------------------------------------


def design(genomes: Sequence[str], number: int, most_pairs: int, seed: int) -> list[Community]:
    """Communities from the smallest to the largest; read length and foreign species alternate."""
    fewest = min(FEWEST_PAIRS, most_pairs)
    steps = np.linspace(0, 1, number) ** TOWARDS_SMALL
    sizes = fewest * (most_pairs / fewest) ** steps
    communities = []
    for position, pairs in enumerate(sizes):
        rng = np.random.default_rng([seed, position])
        richness = int(rng.integers(min(FEWEST_SPECIES, len(genomes)), len(genomes) + 1))
        members = sorted(rng.choice(sorted(genomes), richness, replace=False).tolist())
        weights = rng.lognormal(0.0, SPREAD, richness)
        lacking = int(rng.integers(1, 4)) if position // 2 % 2 else 0
        foreign = rng.choice(members, lacking, replace=False).tolist()
        communities.append(
            Community(
                name=f"c{position + 1:02d}",
                pairs=round(float(pairs)),
                read_length=(100, 150)[position % 2],
                seed=seed * 1000 + position,
                cells=dict(zip(members, (weights / weights.sum()).tolist(), strict=True)),
                foreign=tuple(sorted(foreign)),
            )
        )
    return communities


# --- references without the foreign species -------------------------------------------------------


def withheld_proteins(community: Community, setting: Setting) -> frozenset[str]:
    """Reference proteins of the foreign species, and those nearly identical to one of theirs."""
    species = {setting.lineages[name][-1] for name in community.foreign}
    own = {
        row["protein"]
        for row in iterate_table(setting.reference / "proteins.tsv")
        if parse_lineage(row["lineage"])[-1] in species
    }
    same = [setting.truth.same[name] for name in community.foreign]
    return frozenset(own).union(*same)


def reduced_fasta(source: Path, target: Path, left_out: frozenset[str]) -> None:
    """Copy a FASTA file without some records."""
    keep = True
    with gzip.open(source, "rt") as lines, target.open("w") as out:
        for line in lines:
            if line.startswith(">"):
                keep = line[1:].split()[0] not in left_out
            if keep:
                out.write(line)


def reduced_taxonomy(community: Community, setting: Setting) -> pysylph.Database:
    """Taxonomic database without the foreign species."""
    species = {setting.lineages[name][-1] for name in community.foreign}
    database = setting.taxonomy
    kept = [database[position] for position in range(len(database))]
    return pysylph.Database(
        [s for s in kept if setting.lineages[sketch_key(s.name)][-1] not in species]
    )


# --- one community --------------------------------------------------------------------------------


def read_whole_proteins(setting: Setting, left_out: frozenset[str]) -> dict[str, Protein]:
    """Proteins of the reference that a community's search had."""
    proteins = read_proteins(setting.reference / "proteins.tsv", setting.catalogue)
    return {name: protein for name, protein in proteins.items() if name not in left_out}


def search_community(
    community: Community, setting: Setting, genomes: Genomes, found: Any
) -> dict[str, Any]:
    """Draw, search and profile a community; the hits are left in the work folder."""
    folder = setting.work / "reads"
    folder.mkdir(parents=True, exist_ok=True)
    every, searched = folder / f"{community.name}.fastq", folder / f"{community.name}.fasta"
    hits = hits_path(community, setting)
    left_out = withheld_proteins(community, setting)
    rng = np.random.default_rng(community.seed)
    model = ReadModel(community.read_length)
    started = time.monotonic()
    with every.open("wb") as all_reads, searched.open("wb") as some:
        pairs = draw(genomes, community.cells, community.pairs, model, rng, found, all_reads, some)
    drawn = time.monotonic()
    config = setting.config["taxonomy"]
    species = profile_reads(
        [every], [], reduced_taxonomy(community, setting), setting.lineages,
        config["minimum_ani"], config["minimum_kmers"],
    )  # fmt: skip
    every.unlink()
    profiled = time.monotonic()
    fasta = folder / f"{community.name}.faa"
    reduced_fasta(setting.reference / "proteins.faa.gz", fasta, left_out)
    diamond_search(fasta, searched, hits, setting)
    searched.unlink()
    fasta.unlink()
    seconds = [drawn - started, profiled - drawn, time.monotonic() - profiled]
    return {
        "pairs": pairs,
        "withheld_proteins": len(left_out),
        "species": [[row.taxon, row.relative_abundance, row.coverage] for row in species],
        "seconds": dict(
            zip(("draw", "profile", "search"), [round(s, 1) for s in seconds], strict=True)
        ),
    }


def diamond_search(proteins: Path, reads: Path, hits: Path, setting: Setting) -> None:
    """Search as the rule search_reads of the workflow does."""
    index = proteins.with_suffix(".dmnd")
    threads = ("--threads", str(setting.threads))
    diamond = ("diamond", "makedb", "--in", str(proteins), "--db", str(index), *threads)
    subprocess.run(diamond, check=True, capture_output=True)
    table = hits.with_suffix(".part")
    with table.open("wb") as raw, gzip.GzipFile(fileobj=raw, mode="wb", compresslevel=1) as out:
        process = subprocess.Popen(
            ["diamond", "blastx", "--query", str(reads), "--db", str(index), *threads,
             *setting.sensitivity(), *BLOCKS, *SEARCH, "--outfmt", "6", *HIT_FIELDS],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        assert process.stdout is not None
        while block := process.stdout.read(1 << 20):
            out.write(block)
    if process.wait():
        raise SystemExit(f"communities: diamond blastx of {reads.name} failed")
    table.replace(hits)
    index.unlink()


def hits_path(community: Community, setting: Setting) -> Path:
    """Where the hits of a community stand."""
    return setting.work / "searched" / f"{community.name}.hits.tsv.gz"


def score_community(
    community: Community, searched: Mapping[str, Any], setting: Setting
) -> dict[str, Any]:
    """Quantify a searched community and compare it with the truth."""
    proteins = read_whole_proteins(setting, withheld_proteins(community, setting))
    with gzip.open(hits_path(community, setting), "rt") as lines:
        assignment = assign_fragments(
            lines, proteins, setting.catalogue,
            setting.config["function"]["minimum_identity_for_genus"],
        )  # fmt: skip
    evidence = weigh(assignment, proteins, community, setting)
    scores = score_sample(
        evidence, setting.catalogue, setting.rule(),
        genus_lineages(setting.reference / "proteins.tsv"),
    )  # fmt: skip
    depth = depths(community, searched["pairs"], setting)
    return {
        "routes": list(compare_routes(community, scores, depth, setting)),
        "families": list(compare_families(community, evidence, setting)),
        "species": compare_species(community, searched["species"], depth, setting),
        "equivalents": equivalents(community, searched["pairs"], evidence, setting),
        "ambiguous": {"|".join(k): v for k, v in sorted(assignment.ambiguous.items())},
    }


def weigh(
    assignment: Assignment,
    proteins: Mapping[str, Protein],
    community: Community,
    setting: Setting,
    pairs: int | None = None,
) -> SampleEvidence:
    """Evidence of a community, or of a part of its pairs."""
    return weigh_families(
        assignment, median_lengths(proteins.values()), setting.catalogue,
        community.pairs if pairs is None else pairs, 0, community.read_length,
    )  # fmt: skip


def genome_sizes(setting: Setting) -> dict[str, int]:
    """Bases by genome, kept beside the reads."""
    sizes: dict[str, int] = json.loads((setting.work / "sizes.json").read_text())
    return sizes


def depths(community: Community, pairs: Mapping[str, int], setting: Setting) -> dict[str, float]:
    """Mean depth of each genome."""
    sizes = genome_sizes(setting)
    return {name: 2 * community.read_length * n / sizes[name] for name, n in pairs.items()}


def served_families(setting: Setting) -> frozenset[str]:
    """Families of which the whole reference holds a protein."""
    return frozenset(p.family for p in read_whole_proteins(setting, frozenset()).values())


def compare_routes(
    community: Community,
    scores: Iterable[PathwayScore],
    depth: Mapping[str, float],
    setting: Setting,
) -> Iterator[dict[str, Cell]]:
    """Estimate and truth of every route."""
    served = served_families(setting)
    for score in scores:
        if score.taxon != COMMUNITY:
            continue
        pathway = setting.catalogue.pathways[score.pathway]
        truth = route_truth(
            pathway, community.cells, setting.truth.copies, setting.lineages, served
        )
        yield {
            "community": community.name,
            "pathway": score.pathway,
            "scope": pathway.evidence_scope,
            "read_length": community.read_length,
            "pairs": community.pairs,
            "species": len(community.cells),
            "carriers": len(truth.carriers),
            "foreign_share": foreign_share(community, truth),
            "carrier_depth": math.fsum(depth[name] for name in truth.carriers),
            "true_copies": truth.copies,
            "true_present": truth.present,
            "true_cells": truth.cells,
            "copies_per_genome": score.copies,
            "ci_low": score.ci_low,
            "ci_high": score.ci_high,
            "call": score.call,
            "detection_limit": score.detection_limit,
            "marker_fragments": float(score.fragments),
            "completeness": score.completeness,
            "reason": score.reason,
        }


def foreign_share(community: Community, truth: RouteTruth) -> float:
    """Share of a route's carrier cells that the references lack."""
    whole = math.fsum(community.cells[name] for name in truth.carriers)
    foreign = math.fsum(community.cells[n] for n in truth.carriers if n in community.foreign)
    return foreign / whole if whole else 0.0


def compare_families(
    community: Community, evidence: SampleEvidence, setting: Setting
) -> Iterator[dict[str, Cell]]:
    """Estimate and truth of every family."""
    for family in evidence.families:
        row = evidence.community(family)
        own = {
            name: share * setting.truth.copies[name].get(family, 0)
            for name, share in community.cells.items()
        }
        true = math.fsum(own.values())
        unassigned = evidence.families[family].get("unassigned")
        yield {
            "family": family,
            "true_copies": true,
            "foreign_copies": math.fsum(own[name] for name in community.foreign),
            "copies": row.copies,
            "ci_low": row.ci_low,
            "ci_high": row.ci_high,
            "fragments": float(row.fragments),
            "without_genus": float(unassigned.fragments) if unassigned else 0.0,
            "effective_length": row.effective_length,
        }


def compare_species(
    community: Community,
    profile: Sequence[Sequence[Any]],
    depth: Mapping[str, float],
    setting: Setting,
) -> list[dict[str, Cell]]:
    """True and estimated share of every species, and of what is foreign."""
    true: dict[str, float] = defaultdict(float)
    deep: dict[str, float] = defaultdict(float)
    for name, share in community.cells.items():
        foreign = name in community.foreign
        taxon = UNCLASSIFIED if foreign else setting.lineages[name][-1]
        true[taxon] += share
        deep[taxon] += depth[name]
    seen = {taxon: share for taxon, share, _ in profile}
    return [
        {
            "community": community.name,
            "taxon": taxon,
            "depth": deep.get(taxon, 0.0),
            "true_abundance": true.get(taxon, 0.0),
            "relative_abundance": seen.get(taxon, 0.0),
        }
        for taxon in sorted({*true, *seen})
    ]


def equivalents(
    community: Community, pairs: Mapping[str, int], evidence: SampleEvidence, setting: Setting
) -> dict[str, float]:
    """Genome equivalents: what was estimated over what was drawn, and what it was made of."""
    sizes = genome_sizes(setting)
    # Fragments that start in one base of a gene with one copy per cell.
    density = math.fsum(n / sizes[name] for name, n in pairs.items())
    single = setting.catalogue.single_copy
    copies = [
        math.fsum(s * setting.truth.copies[n].get(f, 0) for n, s in community.cells.items())
        for f in single
    ]
    found = evidence.equivalents
    return {
        "density_ratio": found.density / density,
        "single_copy_copies": statistics.fmean(copies),
        "variation": found.variation,
        "families_used": float(found.families_used),
        "fragments": found.fragments,
        "mate_offset": evidence.library.mate_offset,
    }


# --- detection ------------------------------------------------------------------------------------

THINNED = 4
"""So many of the largest communities are thinned."""
REPLICATES = 100
FRACTIONS = np.geomspace(0.0015, 0.35, 20)
"""Shares of the fragments kept; above a third, thinned samples of one draw are too alike."""
NEAR_LIMIT = 6.0
"""A route is looked at where its stated limit is within this factor of its true copies."""
CHANCE = 0.95
RIGHT_WITHIN = 2.0


def fragment_pieces(
    community: Community, proteins: Mapping[str, Protein], setting: Setting
) -> list[Assignment]:
    """What the library makes of each fragment by itself; the sum is what it makes of the sample."""
    identity = setting.config["function"]["minimum_identity_for_genus"]
    pieces = []
    with gzip.open(hits_path(community, setting), "rt") as lines:
        for _, group in groupby(lines, key=lambda line: line.partition("/")[0]):
            own = list(group)
            named = {line.split("\t", 2)[1] for line in own}
            piece = assign_fragments(
                own, {n: proteins[n] for n in named}, setting.catalogue, identity
            )
            if piece.reads_with_hits:
                pieces.append(piece)
    return pieces


def added_up(pieces: Iterable[Assignment]) -> Assignment:
    """One assignment of many."""
    whole = Assignment()
    for piece in pieces:
        whole.reads_with_hits += piece.reads_with_hits
        whole.ambiguous.update(piece.ambiguous)
        for key, tally in piece.tallies.items():
            into = whole.tallies[key]
            into.fragments += tally.fragments
            into.paired_fragments += tally.paired_fragments
            into.paired_mates += tally.paired_mates
            into.length_sum += tally.length_sum
            into.positions |= tally.positions
    return whole


def thin_community(
    community: Community, searched: Mapping[str, Any], setting: Setting
) -> dict[str, Any]:
    """Call the routes of a community in many shallow parts of it."""
    proteins = read_whole_proteins(setting, withheld_proteins(community, setting))
    pieces = fragment_pieces(community, proteins, setting)
    lineages = genus_lineages(setting.reference / "proteins.tsv")
    served = served_families(setting)
    depth = depths(community, searched["pairs"], setting)
    truths = {}
    for name, pathway in setting.catalogue.pathways.items():
        if pathway.reported:
            truth = route_truth(
                pathway, community.cells, setting.truth.copies, setting.lineages, served
            )
            if truth.present:
                truths[name] = truth
    rng = np.random.default_rng([community.seed, 1])
    rows: list[dict[str, Any]] = []
    for fraction in FRACTIONS.tolist():
        near = dict(truths)
        limits: dict[str, list[float]] = defaultdict(list)
        calls: dict[str, list[str]] = defaultdict(list)
        for _ in range(REPLICATES):
            kept = np.flatnonzero(rng.random(len(pieces)) < fraction)
            part = added_up(pieces[number] for number in kept)
            pairs = max(round(fraction * community.pairs), 1)
            evidence = weigh(part, proteins, community, setting, pairs)
            if math.isnan(evidence.equivalents.density):
                continue
            pathways = {name: setting.catalogue.pathways[name] for name in near}
            chosen = replace(setting.catalogue, pathways=pathways)
            for score in score_sample(evidence, chosen, setting.rule(), lineages):
                if score.taxon != COMMUNITY:
                    continue
                calls[score.pathway].append(score.call)
                limits[score.pathway].append(score.detection_limit)
                off = abs(math.log(score.detection_limit / truths[score.pathway].copies))
                if off > math.log(NEAR_LIMIT):
                    near.pop(score.pathway, None)
            if not near:
                break
        for name in near:
            seen = calls[name]
            rows.append(
                {
                    "pathway": name,
                    "fraction": fraction,
                    "replicates": len(seen),
                    "present": seen.count(PRESENT),
                    "markers": sum(c in {PRESENT, "indeterminate"} for c in seen),
                    "limit": statistics.median(limits[name]) if seen else math.nan,
                }
            )
    return {
        "rows": rows,
        "truth": {
            name: [t.copies, t.cells, foreign_share(community, t)] for name, t in truths.items()
        },
        "depth": depth,
    }


def never_falling(values: Sequence[float], weights: Sequence[float]) -> list[float]:
    """Least-squares fit that never falls (pool adjacent violators).

    >>> never_falling([0.0, 0.6, 0.4, 1.0], [1, 1, 1, 1])
    [0.0, 0.5, 0.5, 1.0]
    """
    blocks: list[list[float]] = []
    for value, weight in zip(values, weights, strict=True):
        blocks.append([value, weight, 1])
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            last, before = blocks.pop(), blocks.pop()
            weight = before[1] + last[1]
            mean = (before[0] * before[1] + last[0] * last[1]) / weight
            blocks.append([mean, weight, before[2] + last[2]])
    return [block[0] for block in blocks for _ in range(int(block[2]))]


def stated_at_chance(
    rows: Sequence[Mapping[str, Any]], what: str, true_copies: float
) -> tuple[float, str]:
    """Stated limit, over the true copies, at the depth where the chance of detection is 95 %.

    Returns
    -------
    ratio, note
        The ratio is a bound where the note says so, and NaN where nothing can be said.
    """
    rows = [row for row in sorted(rows, key=lambda r: r["fraction"]) if row["replicates"]]
    if not rows:
        return math.nan, "not near its limit at any depth"
    chance = never_falling([row[what] / row["replicates"] for row in rows],
                           [row["replicates"] for row in rows])  # fmt: skip
    limits = [math.log(row["limit"] / true_copies) for row in rows]
    deepest, shallowest = math.exp(limits[-1]), math.exp(limits[0])
    if chance[-1] < CHANCE:
        if deepest > 1 / RIGHT_WITHIN:
            return math.nan, "the community is too shallow to tell"
        return deepest, "at most: not found that often at any depth"
    if chance[0] >= CHANCE:
        if shallowest < RIGHT_WITHIN:
            return math.nan, "found that often at all depths"
        return shallowest, "at least: found that often at all depths"
    position = next(n for n, value in enumerate(chance) if value >= CHANCE)
    low, high = chance[position - 1], chance[position]
    part = (CHANCE - low) / (high - low)
    return math.exp(limits[position - 1] + part * (limits[position] - limits[position - 1])), ""


# --- results --------------------------------------------------------------------------------------

ROUTE_COLUMNS = (
    "community", "pathway", "scope", "read_length", "pairs", "species", "carriers",
    "foreign_share", "carrier_depth", "true_copies", "true_present", "true_cells",
    "copies_per_genome", "ci_low", "ci_high", "call", "detection_limit", "marker_fragments",
    "completeness", "reason",
)  # fmt: skip
SPECIES_COLUMNS = ("community", "taxon", "depth", "true_abundance", "relative_abundance")
DETECTION_COLUMNS = (
    "community", "pathway", "read_length", "foreign_share", "true_copies",
    "stated_over_real", "note", "stated_over_real_markers", "note_markers",
)  # fmt: skip
FAMILY_COLUMNS = (
    "family", "role", "communities", "true_copies", "ratio_own", "ratio_foreign",
    "false_copies", "covered", "without_genus",
)  # fmt: skip
DOUBT_COLUMNS = ("genome", "family", "copies", "best_hits", "reason")

Row = Mapping[str, Any]


def relative_error(row: Row) -> float:
    """Error of the copies over the true ones."""
    ratio: float = row["copies_per_genome"] / row["true_copies"]
    return ratio - 1


def covered(row: Row) -> bool:
    """Whether the interval holds the true copies; six digits are written."""
    slack = 1e-6 * row["true_copies"]
    return bool(row["ci_low"] - slack <= row["true_copies"] <= row["ci_high"] + slack)


def stated(row: Row) -> bool:
    """Whether the row has an interval."""
    return not (math.isnan(row["ci_low"]) or math.isnan(row["ci_high"]))


def f1(pairs: Iterable[tuple[bool, bool]]) -> tuple[float, int, int, int]:
    """F1, true and false positives and false negatives of (true, called) pairs."""
    listed = list(pairs)
    hits = sum(true and called for true, called in listed)
    false = sum(called and not true for true, called in listed)
    missed = sum(true and not called for true, called in listed)
    whole = 2 * hits + false + missed
    return (2 * hits / whole if whole else math.nan), hits, false, missed


def above_limit(row: Row) -> bool:
    """Whether a row tells about calls: nothing is there, or enough to be seen."""
    return not row["true_present"] or row["true_copies"] >= row["detection_limit"]


def bray_curtis(rows: Sequence[Row]) -> float:
    """Half the summed differences of two compositions."""
    apart: float = sum(abs(r["true_abundance"] - r["relative_abundance"]) for r in rows)
    return apart / 2


def family_summary(results: Mapping[str, Row], catalogue: Catalogue) -> list[dict[str, Cell]]:
    """Each family over all communities: sums of estimated over sums of true copies."""
    by_family: dict[str, list[Row]] = defaultdict(list)
    for result in results.values():
        for row in result["families"]:
            if not math.isnan(row["copies"]):
                by_family[row["family"]].append(row)
    summary = []
    for family, rows in sorted(by_family.items()):
        own = [row for row in rows if row["true_copies"] and not row["foreign_copies"]]
        foreign = [row for row in rows if row["foreign_copies"] > 0.5 * row["true_copies"]]
        there = [row for row in rows if row["true_copies"]]
        fragments = sum(row["fragments"] for row in there)
        inside = [row["ci_low"] <= row["true_copies"] <= row["ci_high"] for row in there]
        summary.append(
            {
                "family": family,
                "role": catalogue.role(family),
                "communities": len(there),
                "true_copies": sum(row["true_copies"] for row in there),
                "ratio_own": _ratio(own),
                "ratio_foreign": _ratio(foreign),
                "false_copies": max(
                    (row["copies"] for row in rows if not row["true_copies"]), default=0.0
                ),
                "covered": sum(inside) / len(inside) if inside else math.nan,
                "without_genus": sum(row["without_genus"] for row in there) / fragments
                if fragments
                else math.nan,
            }
        )
    return summary


def _ratio(rows: Sequence[Row]) -> float:
    true = sum(row["true_copies"] for row in rows)
    return sum(row["copies"] for row in rows) / true if true else math.nan


def detection_rows(
    communities: Sequence[Community], thinned: Mapping[str, Row]
) -> list[dict[str, Any]]:
    """Stated over real detection limit by community and route."""
    by_name = {community.name: community for community in communities}
    table: list[dict[str, Any]] = []
    for name, result in sorted(thinned.items()):
        for pathway, (copies, _, foreign) in sorted(result["truth"].items()):
            rows = [row for row in result["rows"] if row["pathway"] == pathway]
            present, note = stated_at_chance(rows, "present", copies)
            markers, note_markers = stated_at_chance(rows, "markers", copies)
            table.append(
                {
                    "community": name,
                    "pathway": pathway,
                    "read_length": by_name[name].read_length,
                    "foreign_share": foreign,
                    "true_copies": copies,
                    "stated_over_real": present,
                    "note": note,
                    "stated_over_real_markers": markers,
                    "note_markers": note_markers,
                }
            )
    return table


CLASSES: Sequence[tuple[str, float, float]] = (
    ("under 1x", 0.0, 1.0), ("1-5x", 1.0, 5.0), ("5-20x", 5.0, 20.0), ("over 20x", 20.0, math.inf)
)  # fmt: skip


def accuracy_lines(routes: Sequence[Row]) -> list[str]:
    """Error and coverage by depth, read length and foreign share, as a Markdown table."""
    lines = [
        "| routes that are there | n | median abs. error | median error | covered |",
        "|---|---|---|---|---|",
    ]
    groups: list[tuple[str, Callable[[Row], bool]]] = [
        (
            f"carriers {label}",
            lambda row, low=low, high=high: low <= row["carrier_depth"] < high,  # type: ignore[misc]
        )
        for label, low, high in CLASSES
    ]
    groups += [
        (
            f"carriers at least 5x, {length} nt",
            lambda row, length=length: (  # type: ignore[misc]
                row["carrier_depth"] >= DEEP and row["read_length"] == length
            ),
        )
        for length in (100, 150)
    ]
    groups += [
        ("at least 5x, no carrier foreign",
         lambda row: row["carrier_depth"] >= DEEP and row["foreign_share"] == 0),
        ("at least 5x, some or all carrier cells foreign",
         lambda row: row["carrier_depth"] >= DEEP and row["foreign_share"] > 0),
    ]  # fmt: skip
    for label, chosen in groups:
        rows = [row for row in routes if row["true_present"] and stated(row) and chosen(row)]
        if rows:
            errors = [relative_error(row) for row in rows]
            inside = sum(map(covered, rows)) / len(rows)
            lines.append(
                f"| {label} | {len(rows)} | {statistics.median(map(abs, errors)):.3f} |"
                f" {statistics.median(errors):+.3f} | {inside:.3f} |"
            )
    return lines


def simpler_lines(routes: Sequence[Row]) -> list[str]:
    """The same estimates against the share of cells whose genome carries the whole route."""
    told = [row for row in routes if not row["true_cells"] or above_limit(row)]
    score, hits, false, missed = f1((row["true_cells"] > 0, row["call"] == PRESENT) for row in told)
    ratios: dict[str, list[float]] = defaultdict(list)
    for row in routes:
        if row["true_cells"] and row["carrier_depth"] >= DEEP and stated(row):
            ratios[row["pathway"]].append(row["copies_per_genome"] / row["true_cells"])
    several = ", ".join(
        f"{name} {statistics.median(values):.2f}" for name, values in sorted(ratios.items())
    )
    return [
        "Against a simpler truth, the share of cells whose genome carries the whole route by"
        f" itself: F1 of present {score:.3f} ({hits} right, {false} false, {missed} missed)."
        f" Copies over that share, median by route at {DEEP:g}x and more (over 1: copies add up"
        f" genes of one genome, or shared steps of others lift the mean): {several}.",
    ]


@dataclass(frozen=True)
class Target:
    """One target of the benchmark."""

    name: str
    value: str
    met: bool


def judge(
    routes: Sequence[Row], species: Sequence[Row], detection: Sequence[Row], count: int
) -> list[Target]:
    """Every target with its value."""
    there = [row for row in routes if row["true_present"] and stated(row)]
    deep = [abs(relative_error(row)) for row in there if row["carrier_depth"] >= DEEP]
    error = statistics.median(deep) if deep else math.nan
    inside = sum(map(covered, there)) / len(there) if there else math.nan
    told = [row for row in routes if above_limit(row)]
    calls, hits, false, missed = f1((row["true_present"], row["call"] == PRESENT) for row in told)
    ratios = [row["stated_over_real"] for row in detection]
    known = [ratio for ratio in ratios if not math.isnan(ratio)]
    right = sum(1 / RIGHT_WITHIN <= ratio <= RIGHT_WITHIN for ratio in known)
    named = [row for row in species if row["taxon"] != UNCLASSIFIED]
    found = [(row["true_abundance"] > 0, row["relative_abundance"] > 0) for row in named]
    species_f1, s_hits, s_false, s_missed = f1(found)
    by_community: dict[str, list[Row]] = defaultdict(list)
    for row in species:
        by_community[row["community"]].append(row)
    distances = [bray_curtis(rows) for rows in by_community.values()]
    distance = statistics.median(distances) if distances else math.nan
    furthest = max(distances, default=math.nan)
    return [
        Target("communities at least 20", f"{count}", count >= 20),
        Target(
            f"median relative error of copies at most 5 % where carriers are at least {DEEP:g}x",
            f"{100 * error:.1f} % of {len(deep)}", error <= 0.05,
        ),
        Target(
            "95 % interval covers the truth in 90 to 99 % of the routes that are there",
            f"{100 * inside:.1f} % of {len(there)}", 0.90 <= inside <= 0.99,
        ),
        Target(
            "F1 of present at least 0.98 above the stated detection limit",
            f"{calls:.3f} ({hits} right, {false} false, {missed} missed)", calls >= 0.98,
        ),
        Target(
            "stated detection limit within 2-fold of the real one",
            f"{right} of {len(known)} routes, median ratio "
            f"{statistics.median(known) if known else math.nan:.2f}",
            bool(known) and right == len(known),
        ),
        Target(
            "F1 of species at least 0.98",
            f"{species_f1:.3f} ({s_hits} right, {s_false} false, {s_missed} missed)",
            species_f1 >= 0.98,
        ),
        Target(
            "Bray-Curtis distance of species at most 0.05",
            f"median {distance:.3f}, highest {furthest:.3f}", furthest <= 0.05,
        ),
    ]  # fmt: skip


def write_summary(
    path: Path,
    targets: Sequence[Target],
    setting: Setting,
    communities: Sequence[Community],
    routes: Sequence[Row],
) -> None:
    """Write the summary."""
    fewest = min(community.pairs for community in communities)
    most = max(community.pairs for community in communities)
    lacking = sum(bool(community.foreign) for community in communities)
    lines = [
        "# Communities",
        "",
        f"{len(communities)} simulated communities of {len(setting.genomes)} genomes, {fewest:,} to"
        f" {most:,} pairs of 2x100 or 2x150 nt, log-normal abundances (spread {SPREAD}). In"
        f" {lacking} of them one to three species are foreign: not in the taxonomic database, and"
        " neither their proteins nor any protein at least 95 % identical to theirs in the"
        " reference. Truth: families of whole genes, routes by the formula of docs/methods.md,"
        " written a second time.",
        "",
        f"{datetime.date.today().isoformat()}, {setting.version}.",
        "",
        "| target | value | |",
        "|---|---|---|",
        *(f"| {t.name} | {t.value} | {'met' if t.met else '**missed**'} |" for t in targets),
        "",
        *accuracy_lines(routes),
        "",
        *simpler_lines(routes),
        "",
        f"In {len(setting.truth.doubts)} cases a plain best hit counts other copies than genome"
        " mode does, whose count is the truth here: `communities_doubts.tsv`. Families whose"
        " copies are off, with own or only foreign carriers: `communities_families.tsv`.",
        "",
    ]
    path.write_text("\n".join(lines), encoding="utf-8")


def draw_figure(path: Path, routes: Sequence[Row], detection: Sequence[Row]) -> None:
    """Estimate against truth with intervals; share of intervals that cover; detection limit."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    from fermentome.figures import BLACK, BLUE, LIGHT_GREY, ORANGE, STYLE

    looks = (("o", "#999999"), ("^", "#56B4E9"), ("s", ORANGE), ("D", BLUE))
    there = [row for row in routes if row["true_present"] and stated(row)]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(10.0, 3.6), layout="constrained")
        left, middle, right = figure.subplots(1, 3, width_ratios=(1.5, 1, 1))
        for (label, low, high), (marker, colour) in zip(CLASSES, looks, strict=True):
            rows = [row for row in there if low <= row["carrier_depth"] < high]
            x = [row["true_copies"] for row in rows]
            y = [row["copies_per_genome"] / row["true_copies"] for row in rows]
            down = [
                max(v - row["ci_low"] / row["true_copies"], 0.0)
                for v, row in zip(y, rows, strict=True)
            ]
            up = [
                max(row["ci_high"] / row["true_copies"] - v, 0.0)
                for v, row in zip(y, rows, strict=True)
            ]
            left.errorbar(
                x, y, yerr=[down, up], fmt=marker, markersize=3.5, color=colour, elinewidth=0.4,
                markeredgecolor=BLACK, markeredgewidth=0.3, label=f"carriers {label}", alpha=0.85,
            )  # fmt: skip
        left.axhline(1, color=BLACK, linewidth=0.8)
        left.set(
            xscale="log", ylim=(0, 2.5), xlabel="true copies per genome",
            ylabel="estimated / true copies (95 % interval)", title="Copies of routes",
        )  # fmt: skip
        left.legend(fontsize=6, frameon=False, ncols=2)
        labels, heights, counts = [], [], []
        for label, low, high in CLASSES:
            rows = [row for row in there if low <= row["carrier_depth"] < high]
            if rows:
                labels.append(label)
                heights.append(100 * sum(map(covered, rows)) / len(rows))
                counts.append(len(rows))
        middle.axhspan(90, 99, color=LIGHT_GREY, label="target")
        errors = [196 * math.sqrt(h / 100 * (1 - h / 100) / n)
                  for h, n in zip(heights, counts, strict=True)]  # fmt: skip
        middle.errorbar(range(len(labels)), heights, yerr=errors, fmt="ko", capsize=2, elinewidth=1)
        middle.set_xticks(
            range(len(labels)),
            [f"{label}\nn={n}" for label, n in zip(labels, counts, strict=True)],
        )
        middle.set(ylim=(0, 102), xlabel="depth of the carriers",
                   ylabel="intervals that cover the truth, %", title="Intervals")  # fmt: skip
        middle.legend(fontsize=6, frameon=False, loc="lower right")
        known = [row for row in detection if not math.isnan(row["stated_over_real"])]
        names = sorted({row["pathway"] for row in known}, reverse=True)
        right.axvspan(0.5, 2, color=LIGHT_GREY)
        right.axvline(1, color=BLACK, linewidth=0.8)
        for row in known:
            open_ = "none" if row["note"] else BLUE
            right.plot(row["stated_over_real"], names.index(row["pathway"]), "o", markersize=4,
                       markerfacecolor=open_, markeredgecolor=BLUE)  # fmt: skip
        right.set_yticks(range(len(names)), names, fontsize=6)
        right.set(xscale="log", xlabel="stated / real detection limit",
                  title="Detection (open: a bound)")  # fmt: skip
        # Without mathematical text, which the style leaves off, the default labels are bare code.
        for axis in (left.xaxis, right.xaxis):
            axis.set_major_formatter("{x:g}")
            axis.set_minor_formatter("")
        figure.savefig(path, dpi=200)


# --- program --------------------------------------------------------------------------------------


def digest(*parts: object) -> str:
    """Short fingerprint of files and values."""
    whole = hashlib.sha256()
    for part in parts:
        whole.update(part.read_bytes() if isinstance(part, Path) else repr(part).encode())
        whole.update(b"\0")
    return whole.hexdigest()[:16]


def kept(path: Path, mark: str, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Result of `make`, or what an earlier run with the same fingerprint has left."""
    if path.is_file():
        known: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if known.get("fingerprint") == mark:
            return known
    result = {"fingerprint": mark} | make()
    path.parent.mkdir(parents=True, exist_ok=True)
    # Through JSON and back, so that a first run and a repeated one see the same numbers.
    text = json.dumps(result, default=float)
    path.write_text(text, encoding="utf-8")
    whole: dict[str, Any] = json.loads(text)
    return whole


def prepare(options: argparse.Namespace) -> Setting:
    """Catalogue, genomes, references and truth."""
    files = catalogue_files(options.catalogue)
    catalogue = load_catalogue(files)
    config = yaml.safe_load((ROOT / "config/config.yaml").read_text(encoding="utf-8"))
    rule = (ROOT / "workflow/rules/function.smk").read_text(encoding="utf-8")
    for words in (" ".join(SEARCH), " ".join(BLOCKS), " ".join(HIT_FIELDS)):
        if words not in rule:
            raise SystemExit(f"communities: the workflow's search has no {words!r} any more")
    work: Path = options.work / "communities"
    work.mkdir(parents=True, exist_ok=True)
    lineages = read_lineages(options.data / "truth/lineages.tsv")
    genomes = dict(list_genomes((options.data / "genomes").iterdir()))
    taxonomy = options.reference.parent / "taxonomy"
    database = work / "genomes.syldb"
    mark = digest(*sorted((taxonomy / "genomes").iterdir()), config["taxonomy"])
    stamp = work / "genomes.syldb.txt"
    if not database.is_file() or not stamp.is_file() or stamp.read_text() != mark:
        build_database(
            list_genomes((taxonomy / "genomes").iterdir()),
            read_lineages(taxonomy / "lineages.tsv"),
            config["taxonomy"]["subsampling"],
            database,
        )
        stamp.write_text(mark)
    proteins = read_proteins(options.reference / "proteins.tsv", catalogue)
    truth = true_families(genomes, proteins, catalogue, options, work)
    return Setting(
        catalogue, config, lineages, genomes, truth, options.reference, load_database(database),
        work, options.threads,
        f"catalogue {catalogue.version}, reference of {len(proteins)} proteins",
    )  # fmt: skip


def true_families(
    genomes: Mapping[str, Path],
    proteins: Mapping[str, Protein],
    catalogue: Catalogue,
    options: argparse.Namespace,
    work: Path,
) -> Annotation:
    """Families of the genomes from their whole genes."""
    index = work / "whole.dmnd"
    subprocess.run(
        ["diamond", "makedb", "--in", str(options.reference / "proteins.faa.gz"), "--db",
         str(index), "--threads", str(options.threads), "--quiet"],
        check=True,
    )  # fmt: skip
    family_of = {name: protein.family for name, protein in proteins.items()}
    hits = gene_hits(genomes, index, family_of, work / "genes", options.threads)
    truth = annotate(hits, genome_mode(genomes, options, work), catalogue)
    rows: list[dict[str, Cell]] = [
        {"genome": genome, "family": family, "copies": number}
        for genome, copies in sorted(truth.copies.items())
        for family, number in copies.items()
    ]
    write_table(work / "truth.tsv", ("genome", "family", "copies"), rows)
    return truth


def genome_mode(
    genomes: Mapping[str, Path], options: argparse.Namespace, work: Path
) -> dict[str, dict[str, int]]:
    """Copies of families as `fermentome genomes` counts them."""
    folder, stamp = work / "genome_mode", work / "genome_mode.txt"
    code = [
        ROOT / "scripts/fermentome" / f"{name}.py" for name in ("genes", "genomes", "catalogue")
    ]
    mark = digest(
        *code, *catalogue_paths(options), options.reference / "proteins.faa.gz", sorted(genomes)
    )
    if not stamp.is_file() or stamp.read_text() != mark:
        parser = argparse.ArgumentParser()
        command_genomes.add_arguments(parser)
        call = ["--reference", str(options.reference), "--out", str(folder),
                "--threads", str(options.threads), *map(str, genomes.values())]  # fmt: skip
        if options.catalogue:
            call += ["--catalogue", str(options.catalogue)]
        if command_genomes.run(parser.parse_args(call)):
            raise SystemExit(f"communities: genome mode failed; see {folder}/genomes.tsv")
        stamp.write_text(mark)
    return called_copies(iterate_table(folder / "families.tsv"))


def run_communities(
    setting: Setting, communities: Sequence[Community], options: argparse.Namespace
) -> tuple[dict[str, Row], dict[str, Row]]:
    """Search and score what an earlier run has not; results by community."""
    reference = options.reference / "proteins.faa.gz"
    code = sorted((ROOT / "scripts/fermentome").glob("*.py"))
    programs = [Path(__file__), Path(__file__).with_name("community_truth.py")]
    state: dict[str, Any] = {}

    def genomes() -> Genomes:
        if "genomes" not in state:
            state["genomes"] = Genomes(setting.genomes)
            (setting.work / "sizes.json").write_text(json.dumps(state["genomes"].sizes))
        loaded: Genomes = state["genomes"]
        return loaded

    def found() -> Any:
        path = setting.work / "reachable.npy"
        stamp = setting.work / "reachable.txt"
        mark = digest(reference, setting.sensitivity(), *sorted(setting.genomes))
        if not path.is_file() or not stamp.is_file() or stamp.read_text() != mark:
            index = setting.work / "whole.dmnd"
            search = [*setting.sensitivity(), *BLOCKS]
            np.save(path, reachable(genomes(), index, setting.work, setting.threads, search))
            stamp.write_text(mark)
        return np.load(path)

    results: dict[str, Row] = {}
    thinned: dict[str, Row] = {}
    for community in communities:
        folder = setting.work / "searched"
        folder.mkdir(parents=True, exist_ok=True)
        mark = digest(reference, asdict(community), setting.sensitivity(), SEARCH)
        if not hits_path(community, setting).is_file():
            (folder / f"{community.name}.json").unlink(missing_ok=True)
        searched = kept(
            folder / f"{community.name}.json", mark,
            lambda c=community: search_community(c, setting, genomes(), found()),  # type: ignore[misc]
        )  # fmt: skip
        mark = digest(mark, *code, *programs, *catalogue_paths(options), setting.config)
        results[community.name] = kept(
            setting.work / "scored" / f"{community.name}.json", mark,
            lambda c=community, s=searched: score_community(c, s, setting),  # type: ignore[misc]
        )  # fmt: skip
        print(f"communities: {community.name} {community.pairs} pairs", flush=True)
        if community in communities[-options.thinned :] and options.thinned:
            thinned[community.name] = kept(
                setting.work / "thinned" / f"{community.name}.json", mark,
                lambda c=community, s=searched: thin_community(c, s, setting),  # type: ignore[misc]
            )  # fmt: skip
    return results, thinned


def catalogue_paths(options: argparse.Namespace) -> list[Path]:
    """Files of the catalogue."""
    files = catalogue_files(options.catalogue)
    return [Path(files.families), Path(files.pathways), Path(files.single_copy)]


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared/data")
    parser.add_argument("--reference", type=Path, help="protein reference; default: built here")
    parser.add_argument("--catalogue", help="folder of another catalogue")
    parser.add_argument("--work", type=Path, default=ROOT / "real/accuracy")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--communities", type=int, default=22)
    parser.add_argument("--max-pairs", type=int, default=MOST_PAIRS)
    parser.add_argument("--thinned", type=int, default=THINNED)
    parser.add_argument("--seed", type=int, default=21)
    parser.add_argument("--quick", action="store_true", help="few and small; nothing is proved")
    options = parser.parse_args(arguments)
    if not (options.data / "genomes").is_dir():
        print(f"communities: skipped, there is no {options.data}/genomes on this machine")
        return 0
    if options.quick:
        options.communities, options.max_pairs, options.thinned = 4, 400_000, 1
    if options.reference is None:
        from run import build_reference

        options.reference = build_reference(options.data, options.work, options.threads)
    started = time.monotonic()
    setting = prepare(options)
    names = sorted(setting.genomes)
    communities = design(names, options.communities, options.max_pairs, options.seed)
    results, thinned = run_communities(setting, communities, options)
    options.out.mkdir(parents=True, exist_ok=True)
    routes = [row for result in results.values() for row in result["routes"]]
    species = [row for result in results.values() for row in result["species"]]
    detection = detection_rows(communities, thinned)
    write_table(options.out / "communities.tsv", ROUTE_COLUMNS, routes)
    write_table(options.out / "communities_species.tsv", SPECIES_COLUMNS, species)
    write_table(options.out / "communities_detection.tsv", DETECTION_COLUMNS, detection)
    families = family_summary(results, setting.catalogue)
    write_table(options.out / "communities_families.tsv", FAMILY_COLUMNS, families)
    write_table(options.out / "communities_doubts.tsv", DOUBT_COLUMNS, setting.truth.doubts)
    targets = judge(routes, species, detection, len(communities))
    write_summary(options.out / "communities.md", targets, setting, communities, routes)
    draw_figure(options.out / "communities.png", routes, detection)
    for target in targets:
        print(f"communities: {'met   ' if target.met else 'MISSED'} {target.name}: {target.value}")
    print(f"communities: {time.monotonic() - started:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
