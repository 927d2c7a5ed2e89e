"""Profile simulated communities with sylph and kraken2, and hold both against the truth.

The communities are those of `benchmarks/accuracy/communities.py`, fewer and smaller: known genomes,
log-normal abundances, and in half of them one to three species that the databases lack. Made
harder: every genome is a strain that differs from its reference in 2 % of the bases, and where a
species of the databases is not in the community, a relative of it is that differs in 10 %: another
species, which the databases lack. Differences are drawn evenly over the genome, which no evolution
does. Both databases are built from the same genomes. Two tables and a figure are written beside
this file: `classifiers.tsv` at the defaults of the configuration, and `settings.tsv` for other
settings of kraken2.

    python benchmarks/classifiers/run.py [--data FOLDER] [--communities N] [--max-pairs M]
"""

from __future__ import annotations

import argparse
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))
sys.path.insert(0, str(ROOT / "benchmarks/accuracy"))

import pysylph  # noqa: E402
from communities import Community, design  # noqa: E402
from fast_reads import Genomes, ReadModel, draw  # noqa: E402

from fermentome.databases.kraken2_build import BuildOptions, build_kraken2  # noqa: E402
from fermentome.flow import SampleFlow  # noqa: E402
from fermentome.kraken2 import Kraken2Rule, profile_with_kraken2  # noqa: E402
from fermentome.lineage import read_lineages, sketch_key  # noqa: E402
from fermentome.tables import Cell, write_table  # noqa: E402
from fermentome.taxonomy import (  # noqa: E402
    UNCLASSIFIED,
    TaxonAbundance,
    build_database,
    list_genomes,
    load_database,
    profile_reads,
)

CONFIDENCES = (0.0, 0.1, 0.2, 0.4)
EVENNESSES = (0.0, 0.1, 0.25, 0.5)
STRAIN, RELATIVE = 0.02, 0.10
"""Bases that differ from the reference, in strains and in related species."""
COLUMNS = (
    "community", "pairs", "read_length", "species", "foreign_share", "engine", "found", "missed",
    "false", "f1", "distance_to_truth", "unclassified", "true_unclassified",
    "distance_between_engines", "seconds",
)  # fmt: skip
SETTING_COLUMNS = (
    "confidence", "minimum_evenness", "table", "missed", "false", "f1", "distance_to_truth",
)  # fmt: skip
CLASSIFY = """
set -euo pipefail
mates() { awk -v mate="$1" 'int((NR - 1) / 4) % 2 == mate' "$READS"; }
printf 'layout\\ttaxid\\tfragments\\n' > "$OUT.counts.tsv"
kraken2 --db "$DB" --threads "$THREADS" --confidence "$CONFIDENCE" --minimum-hit-groups "$GROUPS_" \
    --report "$OUT.report" --report-minimizer-data --paired <(mates 0) <(mates 1) 2> /dev/null \
    | awk -F '\\t' -v OFS='\\t' '{ n[$3]++ } END { for (t in n) print "paired", t, n[t] }' \
    >> "$OUT.counts.tsv"
printf 'layout\\ttaxid\\tminimizers\\tdistinct\\n' > "$OUT.minimizers.tsv"
awk -F '\\t' -v OFS='\\t' '$7 { print "paired", $7, $4, $5 }' "$OUT.report" \
    >> "$OUT.minimizers.tsv"
"""
"""What the rule classify_reads does, for a file of interleaved pairs."""

Profile = Mapping[str, float]


def as_profile(rows: Sequence[TaxonAbundance]) -> dict[str, float]:
    """Share of cells by species, the unclassified share included."""
    return {row.taxon: row.relative_abundance for row in rows}


def distance(one: Profile, other: Profile) -> float:
    """Bray-Curtis distance of two profiles that add up to 1."""
    return math.fsum(abs(one.get(t, 0.0) - other.get(t, 0.0)) for t in {*one, *other}) / 2


def add_relative(community: Community, genomes: Sequence[str]) -> tuple[Community, str]:
    """Community with a relative of a species that it lacks; the name of that one, if any."""
    others = sorted({*genomes} - {*community.cells})
    if not others:
        return community, ""
    relative = others[community.seed % len(others)]
    share = statistics.median(community.cells.values())
    cells = {name: cells / (1 + share) for name, cells in community.cells.items()}
    return replace(community, cells={**cells, relative: share / (1 + share)}), relative


def diverge(genomes: Genomes, relative: str, rng: np.random.Generator) -> Genomes:
    """Genomes with other bases at random places."""
    rates = np.full(len(genomes.bases), STRAIN, dtype=np.float32)
    if relative:
        first = genomes.starts[relative][0]
        rates[first : first + genomes.sizes[relative]] = RELATIVE
    changed = rng.random(len(rates), dtype=np.float32) < rates
    other = copy(genomes)
    other.bases = genomes.bases.copy()
    steps = rng.integers(1, 4, int(changed.sum()), dtype=np.uint8)
    other.bases[changed] = (other.bases[changed] + steps) % 4
    return other


def truth_of(
    community: Community, relative: str, lineages: Mapping[str, tuple[str, ...]]
) -> dict[str, float]:
    """True shares of cells; those that the databases lack are unclassified."""
    truth: dict[str, float] = {}
    for name, share in community.cells.items():
        unknown = name == relative or name in community.foreign
        taxon = UNCLASSIFIED if unknown else lineages[name][-1]
        truth[taxon] = truth.get(taxon, 0.0) + share
    return truth


def accuracy(found: Profile, truth: Profile) -> dict[str, Cell]:
    """Species found, missed and false, F1 and distance."""
    seen = {taxon for taxon, share in found.items() if share > 0} - {UNCLASSIFIED}
    there = set(truth) - {UNCLASSIFIED}
    right = len(seen & there)
    return {
        "found": right,
        "missed": len(there - seen),
        "false": len(seen - there),
        "f1": 2 * right / (len(seen) + len(there)) if seen or there else 1.0,
        "distance_to_truth": distance(found, truth),
    }


def classify(reads: Path, database: Path, confidence: float, groups: int, threads: int) -> Path:
    """Classify as the workflow does; returns the stem of the two tables."""
    out = reads.with_suffix(f".{confidence}")
    settings = {
        "READS": reads, "DB": database, "OUT": out, "CONFIDENCE": confidence, "GROUPS_": groups,
        "THREADS": threads,
    }  # fmt: skip
    environment = {**os.environ, **{name: str(value) for name, value in settings.items()}}
    subprocess.run(["bash", "-c", CLASSIFY], check=True, env=environment)
    return out


def profile_kraken2(
    stem: Path, database: Path, flow: SampleFlow, evenness: float, reads: int, table: bool
) -> dict[str, float]:
    """Profile from the tables of `classify`."""
    profile = profile_with_kraken2(
        flow,
        f"{stem}.counts.tsv",
        f"{stem}.minimizers.tsv",
        database / "taxo.k2d",
        [
            path
            for path in sorted(database.iterdir())
            if path.name in {"inspect.txt", "genome_sizes.tsv"}
            or (table and path.suffix == ".kmer_distrib")
        ],
        Kraken2Rule(reads, evenness),
    )
    return as_profile(profile.species)


def compare(
    communities: Sequence[Community],
    genomes: Mapping[str, Path],
    lineages: Mapping[str, tuple[str, ...]],
    config: Mapping[str, Any],
    work: Path,
    threads: int,
) -> Iterator[tuple[list[dict[str, Cell]], list[dict[str, Cell]]]]:
    """Rows of both tables, community by community."""
    drawn = Genomes(genomes)
    build_database(genomes, lineages, config["subsampling"], work / "all.syldb")
    sketches = load_database(work / "all.syldb")
    databases: dict[frozenset[str], Path] = {}
    for original in communities:
        community, relative = add_relative(original, sorted(genomes))
        absent = {lineages[name][-1] for name in community.foreign}
        kept = {n: path for n, path in genomes.items() if lineages[n][-1] not in absent}
        key = frozenset(kept)
        if key not in databases:
            databases[key] = work / f"kraken2-{len(databases)}"
            databases[key].mkdir()
            build_kraken2(
                kept, lineages, databases[key], name="benchmark", version="1", description="",
                licence="",
                options=BuildOptions(threads, confidence=config["confidence"]),
            )  # fmt: skip
        reads = work / f"{community.name}.fastq"
        with reads.open("wb") as every, open(os.devnull, "wb") as nothing:
            rng = np.random.default_rng(community.seed)
            draw(
                diverge(drawn, relative, rng), community.cells, community.pairs,
                ReadModel(community.read_length), rng, None, every, nothing,
            )  # fmt: skip
        own = [sketches[position] for position in range(len(sketches))]
        sylph = pysylph.Database([s for s in own if sketch_key(s.name) in kept])
        truth = truth_of(community, relative, lineages)
        yield compare_community(
            community, truth, reads, databases[key], sylph, lineages, config, threads
        )
        reads.unlink()


def compare_community(
    community: Community,
    truth: Profile,
    reads: Path,
    database: Path,
    sylph: pysylph.Database,
    lineages: Mapping[str, tuple[str, ...]],
    config: Mapping[str, Any],
    threads: int,
) -> tuple[list[dict[str, Cell]], list[dict[str, Cell]]]:
    """Both engines on one community, and kraken2 at other settings."""
    bases = 2 * community.pairs * community.read_length
    flow = SampleFlow(
        community.name, "ok", "", 2 * community.pairs, 2 * community.pairs, 2 * community.pairs,
        community.pairs, 0, bases,
    )  # fmt: skip
    started = time.monotonic()
    by_engine = {
        "sylph": as_profile(
            profile_reads(
                [reads], [], sylph, lineages, config["minimum_ani"], config["minimum_kmers"]
            )
        )
    }
    seconds = {"sylph": time.monotonic() - started}
    settings: list[dict[str, Cell]] = []
    for confidence in sorted({*CONFIDENCES, config["confidence"]}):
        started = time.monotonic()
        stem = classify(reads, database, confidence, config["minimum_hit_groups"], threads)
        taken = time.monotonic() - started
        for evenness in sorted({*EVENNESSES, config["minimum_evenness"]}):
            for table in (True, False):
                found = profile_kraken2(
                    stem, database, flow, evenness, config["minimum_reads"], table
                )
                measured = accuracy(found, truth)
                del measured["found"]
                settings.append(
                    {"confidence": confidence, "minimum_evenness": evenness, "table": table}
                    | measured
                )
                defaults = config["confidence"], config["minimum_evenness"]
                if table and (confidence, evenness) == defaults:
                    by_engine["kraken2"], seconds["kraken2"] = found, taken
    rows: list[dict[str, Cell]] = [
        {
            "community": community.name,
            "pairs": community.pairs,
            "read_length": community.read_length,
            "species": len(set(truth) - {UNCLASSIFIED}),
            "foreign_share": truth.get(UNCLASSIFIED, 0.0),
            "engine": engine,
            **accuracy(found, truth),
            "unclassified": found[UNCLASSIFIED],
            "true_unclassified": truth.get(UNCLASSIFIED, 0.0),
            "distance_between_engines": distance(by_engine["sylph"], by_engine["kraken2"]),
            "seconds": round(seconds[engine], 1),
        }
        for engine, found in by_engine.items()
    ]
    return rows, settings


def mean_settings(rows: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Cell]]:
    """Means over the communities of each setting; species are added up."""
    keys = sorted({(r["confidence"], r["minimum_evenness"], r["table"]) for r in rows})
    for key in keys:
        same = [r for r in rows if (r["confidence"], r["minimum_evenness"], r["table"]) == key]
        yield {
            "confidence": key[0],
            "minimum_evenness": key[1],
            "table": key[2],
            "missed": sum(r["missed"] for r in same),
            "false": sum(r["false"] for r in same),
            "f1": statistics.fmean(r["f1"] for r in same),
            "distance_to_truth": statistics.fmean(r["distance_to_truth"] for r in same),
        }


def draw_figure(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Distance to the truth and F1 of both engines; shape and grey tell them apart."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    from fermentome.figures import BLACK, STYLE

    looks = {"sylph": ("o", "white"), "kraken2": ("s", "#555555")}
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(8.0, 3.2), layout="constrained")
        left, right = figure.subplots(1, 2)
        names = sorted({row["community"] for row in rows})
        for engine, (marker, colour) in looks.items():
            own = [row for row in rows if row["engine"] == engine]
            style = {"marker": marker, "color": colour, "edgecolor": BLACK, "s": 26}
            x = [names.index(row["community"]) for row in own]
            left.scatter(
                x,
                [row["distance_to_truth"] for row in own],
                label=f"{engine} to the truth",
                **style,
            )
            right.scatter(x, [row["f1"] for row in own], **style)
        between = [row for row in rows if row["engine"] == "sylph"]
        left.scatter(
            [names.index(row["community"]) for row in between],
            [row["distance_between_engines"] for row in between],
            marker="x", color=BLACK, s=22, label="between the two",
        )  # fmt: skip
        for axes in (left, right):
            axes.set_xticks(range(len(names)), names)
            axes.set_xlabel("community")
        left.set(ylabel="Bray-Curtis distance", ylim=(0, None))
        right.set(ylabel="F1 of species", ylim=(0, 1.05))
        left.legend(frameon=False)
        figure.savefig(path, dpi=150, metadata={"Software": None})


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared/data")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    parser.add_argument("--communities", type=int, default=5)
    parser.add_argument("--max-pairs", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=21)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args(arguments)
    if not (options.data / "genomes").is_dir():
        print(f"classifiers: skipped, there is no {options.data}/genomes on this machine")
        return 0
    started = time.monotonic()
    config = yaml.safe_load((ROOT / "config/config.yaml").read_text(encoding="utf-8"))["taxonomy"]
    genomes = list_genomes((options.data / "genomes").iterdir())
    lineages = read_lineages(options.data / "truth/lineages.tsv")
    communities = design(sorted(genomes), options.communities, options.max_pairs, options.seed)
    rows: list[dict[str, Cell]] = []
    settings: list[dict[str, Cell]] = []
    with tempfile.TemporaryDirectory() as work:
        for found, tried in compare(
            communities, genomes, lineages, config, Path(work), options.threads
        ):
            rows += found
            settings += tried
            for row in found:
                print(
                    f"classifiers: {row['community']} {row['engine']}: F1 {row['f1']:.3f},"
                    f" distance {row['distance_to_truth']:.3f}"
                )
    write_table(options.out / "classifiers.tsv", COLUMNS, rows)
    write_table(options.out / "settings.tsv", SETTING_COLUMNS, mean_settings(settings))
    draw_figure(options.out / "classifiers.png", rows)
    print(f"classifiers: {time.monotonic() - started:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
