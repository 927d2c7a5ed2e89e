"""Write the tables of an example cohort whose changes are known.

    python example/simulate_cohort.py --output demo/cohort

Reads of hundreds of samples would take hours, so this example begins at the feature tables: the
same files as those of a run, drawn at random around planted effects. Below the output folder:
`results/` (tables of 28 people over 13 weeks), `reference/` (tables of 60 other people, processed
alike), `metabolites.tsv`, `cohort.yaml`, the configuration, and `truth/`, with which
`report_cohort.py` compares what the analysis says. The same bytes every time. Species and the
routes that they carry are real (Louis & Flint 2017, doi:10.1111/1462-2920.13589; Reichardt 2014,
doi:10.1038/ismej.2014.14); every number is made up and says nothing about people.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "scripts"))

from fermentome.quantify import (  # noqa: E402  (the library lies beside this folder)
    FAMILY_COLUMNS,
    PATHWAY_COLUMNS,
    PRODUCT_COLUMNS,
)
from fermentome.tables import Cell, write_table  # noqa: E402
from fermentome.taxonomy import TAXONOMY_COLUMNS  # noqa: E402

SEED = 20261120
DAYS = (0, 7, 14, 21, 28, 35, 49, 63, 91)
ANTIBIOTIC_DAYS = (14, 21)
FIBRE_DAYS = (14, 21, 28, 35, 49, 63)
GROUPS = {"antibiotics": 8, "control": 10, "fibre": 10}
READS = 4_000_000
DETECTION_LIMIT = 0.02
"""Copies per genome at `READS` reads; it grows as reads get fewer."""
ANTIBIOTIC_EFFECT = -3.0
"""log2 fold change of susceptible species on the drug."""
FIBRE_EFFECT = 1.2
"""log2 fold change of species that the fibre feeds."""
BATCH_EFFECT = 0.4
"""log2 fold change of Bacteroidota in the second run."""
HALF_LIFE = 14.0
"""Days in which half of what the drug did is gone."""
BETWEEN, WITHIN = 1.3, 0.35
"""Standard deviations of log2 abundance: between people, and within one from sample to sample."""

BUT, BUK, SUCC, PDU, BIFID, WL = (
    "BUT_ACOA_BUT", "BUT_ACOA_BUK", "PROP_SUCC_DEC", "PROP_PDU", "ACE_BIFID", "ACE_WL",
)  # fmt: skip
ROUTES = {
    BUT: ("butyrate", "but"), BUK: ("butyrate", "buk"), SUCC: ("propionate", "mmdA"),
    PDU: ("propionate", "pduP"), BIFID: ("acetate", "xfp"), WL: ("acetate", "acsB"),
}  # fmt: skip
"""Product and marker family of each route."""

_CLOSTRIDIA = "p__Bacillota;c__Clostridia;o__Eubacteriales"
_BACTEROIDIA = "p__Bacteroidota;c__Bacteroidia;o__Bacteroidales"
ORGANISMS = (
    # species, lineage above the genus, mean log2 abundance, routes
    ("Faecalibacterium prausnitzii", f"{_CLOSTRIDIA};f__Oscillospiraceae", 5.0, (BUT,)),
    ("Agathobacter rectalis", f"{_CLOSTRIDIA};f__Lachnospiraceae", 4.2, (BUT,)),
    ("Roseburia intestinalis", f"{_CLOSTRIDIA};f__Lachnospiraceae", 2.8, (BUT,)),
    ("Roseburia inulinivorans", f"{_CLOSTRIDIA};f__Lachnospiraceae", 2.4, (BUT, PDU)),
    ("Anaerostipes hadrus", f"{_CLOSTRIDIA};f__Lachnospiraceae", 2.9, (BUT,)),
    ("Anaerobutyricum hallii", f"{_CLOSTRIDIA};f__Lachnospiraceae", 2.6, (BUT, PDU)),
    ("Coprococcus catus", f"{_CLOSTRIDIA};f__Lachnospiraceae", 1.4, (BUT,)),
    ("Coprococcus comes", f"{_CLOSTRIDIA};f__Lachnospiraceae", 1.8, (BUK,)),
    ("Subdoligranulum variabile", f"{_CLOSTRIDIA};f__Oscillospiraceae", 1.9, (BUK,)),
    ("Blautia obeum", f"{_CLOSTRIDIA};f__Lachnospiraceae", 3.0, (PDU,)),
    ("Blautia hydrogenotrophica", f"{_CLOSTRIDIA};f__Lachnospiraceae", 0.4, (WL,)),
    ("Dorea longicatena", f"{_CLOSTRIDIA};f__Lachnospiraceae", 2.4, ()),
    ("Ruminococcus bromii", f"{_CLOSTRIDIA};f__Oscillospiraceae", 2.9, ()),
    ("Mediterraneibacter gnavus", f"{_CLOSTRIDIA};f__Lachnospiraceae", 0.9, ()),
    ("Clostridium innocuum", "p__Bacillota;c__Erysipelotrichia;o__Erysipelotrichales;"
     "f__Erysipelotrichaceae", -0.5, ()),
    ("Phocaeicola vulgatus", f"{_BACTEROIDIA};f__Bacteroidaceae", 5.0, (SUCC,)),
    ("Phocaeicola dorei", f"{_BACTEROIDIA};f__Bacteroidaceae", 3.2, (SUCC,)),
    ("Bacteroides uniformis", f"{_BACTEROIDIA};f__Bacteroidaceae", 4.2, (SUCC,)),
    ("Bacteroides thetaiotaomicron", f"{_BACTEROIDIA};f__Bacteroidaceae", 2.6, (SUCC,)),
    ("Bacteroides ovatus", f"{_BACTEROIDIA};f__Bacteroidaceae", 2.7, (SUCC,)),
    ("Bacteroides fragilis", f"{_BACTEROIDIA};f__Bacteroidaceae", 1.2, (SUCC,)),
    ("Parabacteroides distasonis", f"{_BACTEROIDIA};f__Tannerellaceae", 2.8, (SUCC,)),
    ("Alistipes putredinis", f"{_BACTEROIDIA};f__Rikenellaceae", 3.1, (SUCC,)),
    ("Segatella copri", f"{_BACTEROIDIA};f__Prevotellaceae", 1.5, ()),
    ("Akkermansia muciniphila", "p__Verrucomicrobiota;c__Verrucomicrobiia;o__Verrucomicrobiales;"
     "f__Akkermansiaceae", 2.2, (SUCC,)),
    ("Bifidobacterium adolescentis", "p__Actinomycetota;c__Actinomycetes;o__Bifidobacteriales;"
     "f__Bifidobacteriaceae", 3.0, (BIFID,)),
    ("Bifidobacterium longum", "p__Actinomycetota;c__Actinomycetes;o__Bifidobacteriales;"
     "f__Bifidobacteriaceae", 3.0, (BIFID,)),
    ("Collinsella aerofaciens", "p__Actinomycetota;c__Coriobacteriia;o__Coriobacteriales;"
     "f__Coriobacteriaceae", 2.1, ()),
    ("Dialister invisus", "p__Bacillota;c__Negativicutes;o__Veillonellales;f__Veillonellaceae",
     1.2, (SUCC,)),
    ("Phascolarctobacterium faecium", "p__Bacillota;c__Negativicutes;o__Acidaminococcales;"
     "f__Acidaminococcaceae", 1.0, (SUCC,)),
    ("Escherichia coli", "p__Pseudomonadota;c__Gammaproteobacteria;o__Enterobacterales;"
     "f__Enterobacteriaceae", 0.4, ()),
    ("Klebsiella pneumoniae", "p__Pseudomonadota;c__Gammaproteobacteria;o__Enterobacterales;"
     "f__Enterobacteriaceae", -1.5, ()),
    ("Enterococcus faecalis", "p__Bacillota;c__Bacilli;o__Lactobacillales;f__Enterococcaceae",
     -1.5, ()),
    ("Streptococcus salivarius", "p__Bacillota;c__Bacilli;o__Lactobacillales;f__Streptococcaceae",
     0.2, ()),
    ("Methanobrevibacter smithii", "p__Methanobacteriota;c__Methanobacteria;o__Methanobacteriales;"
     "f__Methanobacteriaceae", 0.0, ()),
)  # fmt: skip
FED = frozenset(
    {"Faecalibacterium prausnitzii", "Agathobacter rectalis", "Roseburia intestinalis",
     "Anaerostipes hadrus", "Bifidobacterium adolescentis", "Ruminococcus bromii"}
)  # fmt: skip
"""Species that the made-up fibre feeds."""
RESISTANT = frozenset(
    {"Escherichia coli", "Klebsiella pneumoniae", "Enterococcus faecalis", "Clostridium innocuum"}
)
SUSCEPTIBLE_CLASSES = ("c__Clostridia", "c__Actinomycetes")
SWAPPED = ("P12_d49", "P25_d49")
"""Samples whose material was exchanged."""
CONFIGURATION = """\
cohort:
  groups: [group]
  covariates: [age]
  batch: [sequencing_run]
  reference_levels: [group=control]
  reference_group: group=control
  # That of the reference cohort.
  rarefaction_depth: 1000000
  # For a quick example; the default tells smaller p-values.
  permutations: 199
"""
PROCESSING = """\
catalogue: {version: simulated, content: {id: simulated}}
function: {reference: {id: simulated}, engine: simulated}
host: {reference: none}
taxonomy: {classifier: simulated, database: {id: simulated}}
"""


@dataclass(frozen=True)
class Draw:
    """One sample: who, when, what it went through, and how deep it is."""

    sample: str
    subject: str
    day: int | None
    event: str
    replicate: str
    group: str
    age: str
    run: str
    reads: int
    expected: np.ndarray = field(repr=False)
    """Shares of cells as planted, without the noise of the day and the sample."""
    abundance: np.ndarray = field(repr=False)


def genus_of(species: str) -> str:
    """First word of a species' name."""
    return species.split()[0]


def lineage_of(number: int) -> str:
    """Lineage from domain to species."""
    species, above, _, _ = ORGANISMS[number]
    domain = "d__Archaea" if "Methano" in above else "d__Bacteria"
    return f"{domain};{above};g__{genus_of(species)};s__{species}"


def person(generator: np.random.Generator) -> np.ndarray:
    """Own mean log2 abundance of each species; minus infinity where the person lacks it."""
    means = np.array([organism[2] for organism in ORGANISMS])
    own = means + generator.normal(0, BETWEEN, len(means))
    lacks = generator.random(len(means)) < 1 / (1 + np.exp(0.9 * (own + 0.5)))
    return np.where(lacks, -np.inf, own)


def shift(group: str, day: int, run: str) -> np.ndarray:
    """What the drug, the fibre and the run add to the log2 abundance of each species."""
    total = np.zeros(len(ORGANISMS))
    on_drug = group == "antibiotics" and day >= ANTIBIOTIC_DAYS[0]
    left = 0.5 ** (max(0, day - ANTIBIOTIC_DAYS[-1]) / HALF_LIFE) if on_drug else 0.0
    for number, (species, above, _, _) in enumerate(ORGANISMS):
        if any(name in above for name in SUSCEPTIBLE_CLASSES):
            total[number] += ANTIBIOTIC_EFFECT * left
        if species in RESISTANT:
            total[number] += 2.5 * left
        if species in FED and group == "fibre" and day in FIBRE_DAYS:
            total[number] += FIBRE_EFFECT
        if "p__Bacteroidota" in above and run == "run2":
            total[number] += BATCH_EFFECT
    return total


def shares(log2_abundance: np.ndarray, noise: float, generator: np.random.Generator) -> np.ndarray:
    """Shares of all cells, with noise; the rest is unclassified."""
    return closed(log2_abundance + generator.normal(0, noise, len(log2_abundance)))


def closed(log2_abundance: np.ndarray) -> np.ndarray:
    """Shares of all cells; the rest is unclassified."""
    cells = np.exp2(log2_abundance)
    return np.asarray(0.9 * cells / cells.sum())


def draw_study(generator: np.random.Generator) -> list[Draw]:
    """Samples of the study, before the swap."""
    draws = []
    number = 0
    for group, people in GROUPS.items():
        for _ in range(people):
            number += 1
            subject, own = f"P{number:02d}", person(generator)
            age = "" if number == 5 else str(int(generator.integers(22, 70)))
            for visit, day in enumerate(DAYS):
                run = "run1" if visit % 2 == 0 else "run2"
                on = {"antibiotics": ANTIBIOTIC_DAYS, "fibre": FIBRE_DAYS}.get(group, ())
                event = group if day in on else ""
                planted = own + shift(group, day, run)
                expected = closed(planted)
                true = planted + generator.normal(0, WITHIN, len(own))
                # Four people gave material twice at the first visit, for technical replicates.
                replicates = ("1", "2") if day == 0 and number % 7 == 0 else ("",)
                for replicate in replicates:
                    depth = int(READS * generator.lognormal(0, 0.3))
                    if (number, visit) in {(3, 4), (20, 2)}:
                        depth = 60_000
                    name = f"{subject}_d{day:02d}" + (f"_r{replicate}" if replicate else "")
                    abundance = shares(true, 0.08, generator)
                    one = Draw(
                        name, subject, day, event, replicate, group, age, run, depth, expected,
                        abundance,
                    )  # fmt: skip
                    draws.append(one)
    return draws


def draw_reference(generator: np.random.Generator) -> list[Draw]:
    """One sample of each of 60 other people."""
    draws = []
    for number in range(60):
        name = f"ref{number:03d}"
        run = "run1" if number % 2 else "run2"
        true = person(generator) + shift("", 0, run)
        depth = int(READS * generator.lognormal(0, 0.3))
        abundance = shares(true, WITHIN, generator)
        draws.append(
            Draw(name, name, None, "", "", "reference", "", run, depth, closed(true), abundance)
        )
    return draws


def swapped(draws: Sequence[Draw], first: str, second: str) -> list[Draw]:
    """The study with the material of two samples exchanged, as by a mistake at the bench."""
    of = {draw.sample: draw.abundance for draw in draws}
    given = {first: of[second], second: of[first]}
    return [replace(d, abundance=given.get(d.sample, d.abundance)) for d in draws]


# Tables ------------------------------------------------------------------------------------------


def taxon_rows(draw: Draw) -> list[dict[str, Cell]]:
    """Species that the depth of the sample shows, and the unclassified rest."""
    base: dict[str, Cell] = dict.fromkeys(TAXONOMY_COLUMNS)
    base |= {"sample": draw.sample, "database": "simulated"}
    # Some 30 reads are near the least of a genome of 4 Mb that sylph reports at its k-mer sampling.
    seen = [
        (float(share), number)
        for number, share in enumerate(draw.abundance)
        if share * draw.reads >= 30
    ]
    rows: list[dict[str, Cell]] = [
        base
        | {
            "taxon": ORGANISMS[number][0], "rank": "species", "lineage": lineage_of(number),
            "relative_abundance": share, "sequence_abundance": share,
            "reads": round(share * draw.reads), "coverage": share * draw.reads * 100 / 4e6,
            "ani": 98.0,
        }
        for share, number in sorted(seen, reverse=True)
    ]  # fmt: skip
    rest = 1 - sum(share for share, _ in seen)
    unclassified = dict.fromkeys(("taxon", "rank", "lineage"), "unclassified")
    shares_of_rest = {"relative_abundance": rest, "sequence_abundance": rest}
    return [*rows, base | unclassified | shares_of_rest | {"reads": round(rest * draw.reads)}]


@dataclass(frozen=True)
class Copies:
    """Copies per genome of a route as they would be measured, with a 95 % interval."""

    value: float
    low: float
    high: float
    limit: float
    genera: dict[str, float]

    @property
    def call(self) -> str:
        """As the workflow calls it."""
        if self.value > 0:
            return "present"
        return "absent" if self.limit <= 0.1 else "below_detection"


def measure(draw: Draw, route: str, generator: np.random.Generator) -> Copies:
    """Draw what would be measured of a route."""
    limit = DETECTION_LIMIT * READS / draw.reads
    genera: dict[str, float] = {}
    for share, (species, _, _, routes) in zip(draw.abundance, ORGANISMS, strict=True):
        if route in routes and share > 0:
            genera[genus_of(species)] = genera.get(genus_of(species), 0.0) + float(share)
    true = sum(genera.values())
    # Counts of fragments, as if the limit were three of them, and a spread between genes.
    fragments = int(generator.poisson(3 * true / limit))
    if fragments < 3:
        return Copies(0.0, 0.0, limit, limit, {})
    spread = math.sqrt(1 / fragments + 0.05**2)
    value = float(fragments * limit / 3 * math.exp(generator.normal(0, 0.05)))
    parts = {genus: 0.9 * value * part / true for genus, part in sorted(genera.items())}
    return Copies(
        value,
        value * math.exp(-1.96 * spread),
        value * math.exp(1.96 * spread),
        limit,
        parts | {"unassigned": 0.1 * value},
    )


def family_rows(draw: Draw, measured: dict[str, Copies]) -> list[dict[str, Cell]]:
    """One row per marker family."""
    base: dict[str, Cell] = dict.fromkeys(FAMILY_COLUMNS)
    return [
        base
        | {
            "sample": draw.sample, "family": ROUTES[route][1], "taxon": "community",
            "role": "target", "copies_per_genome": copies.value, "ci_low": copies.low,
            "ci_high": copies.high,
        }
        for route, copies in measured.items()
    ]  # fmt: skip


def pathway_rows(draw: Draw, measured: dict[str, Copies]) -> list[dict[str, Cell]]:
    """One row per route for the community, and one for each genus that carries it."""
    rows: list[dict[str, Cell]] = []
    for route, copies in measured.items():
        base: dict[str, Cell] = dict.fromkeys(PATHWAY_COLUMNS)
        base |= {
            "sample": draw.sample, "pathway": route, "product": ROUTES[route][0],
            "direction": "formation", "tier": "A", "call": copies.call,
            "organism_evidence": "not_assessed", "missing_steps": "", "reason": "",
        }  # fmt: skip
        rows.append(
            base
            | {
                "taxon": "community", "copies_per_genome": copies.value, "ci_low": copies.low,
                "ci_high": copies.high, "detection_limit": copies.limit,
            }
        )  # fmt: skip
        rows += [
            base | {"taxon": genus, "copies_per_genome": value}
            for genus, value in copies.genera.items()
        ]
    return rows


def product_rows(draw: Draw, measured: dict[str, Copies]) -> list[dict[str, Cell]]:
    """One row per product: the sum of the routes that are present."""
    rows = []
    for product in sorted({product for product, _ in ROUTES.values()}):
        present = {
            route: copies
            for route, copies in measured.items()
            if ROUTES[route][0] == product and copies.value > 0
        }
        value = sum(copies.value for copies in present.values())
        low = value - math.hypot(*(c.value - c.low for c in present.values()))
        high = value + math.hypot(*(c.high - c.value for c in present.values()))
        row: dict[str, Cell] = dict.fromkeys(PRODUCT_COLUMNS)
        row |= {
            "sample": draw.sample, "product": product, "copies_per_genome": value,
            "ci_low": low if present else None, "ci_high": high if present else None,
            "routes_present": ",".join(sorted(present)), "unserved_routes": "",
        }  # fmt: skip
        rows.append(row)
    return rows


def read_row(draw: Draw) -> dict[str, Cell]:
    """Row of the table of reads, with the columns of the sheet."""
    return {
        "sample": draw.sample, "status": "ok", "raw_reads": draw.reads, "trimmed_reads": draw.reads,
        "host_reads": 0, "clean_reads": draw.reads, "clean_pairs": draw.reads // 2,
        "clean_single_reads": 0, "clean_bases": draw.reads * 100, "mean_clean_read_length": 100.0,
        "subject": draw.subject, "timepoint": "" if draw.day is None else f"day {draw.day}",
        "event": draw.event, "replicate": draw.replicate, "group": draw.group, "age": draw.age,
        "sequencing_run": draw.run,
    }  # fmt: skip


def write_results(folder: Path, draws: Sequence[Draw], generator: np.random.Generator) -> None:
    """Write the tables of a run."""
    tables = folder / "tables"
    tables.mkdir(parents=True, exist_ok=True)
    draws = sorted(draws, key=lambda draw: draw.sample)
    measured = [
        {route: measure(draw, route, generator) for route in sorted(ROUTES)} for draw in draws
    ]
    reads = [read_row(draw) for draw in draws]
    write_table(tables / "reads.tsv", list(reads[0]), reads)
    write_table(tables / "taxa.tsv", TAXONOMY_COLUMNS, [r for d in draws for r in taxon_rows(d)])
    for name, columns, rows_of in (
        ("families", FAMILY_COLUMNS, family_rows),
        ("pathways", PATHWAY_COLUMNS, pathway_rows),
        ("products", PRODUCT_COLUMNS, product_rows),
    ):
        pairs = zip(draws, measured, strict=True)
        rows = [row for draw, copies in pairs for row in rows_of(draw, copies)]
        write_table(tables / f"{name}.tsv", columns, rows)


def write_processing(folder: Path) -> None:
    """Write what the reads would have gone through: the same for study and reference."""
    (folder / "databases").mkdir(exist_ok=True)
    (folder / "databases/processing.yaml").write_text(PROCESSING, encoding="utf-8")


def write_metabolites(path: Path, draws: Sequence[Draw], generator: np.random.Generator) -> None:
    """Write measured acids: butyrate follows its potential, propionate follows nothing."""
    rows: list[dict[str, Cell]] = []
    for draw in sorted(draws, key=lambda draw: draw.sample):
        if draw.replicate == "2" or draw.day not in (0, 21, 91):
            continue
        potential = sum(
            float(share)
            for share, organism in zip(draw.abundance, ORGANISMS, strict=True)
            if {BUT, BUK} & set(organism[3])
        )
        butyrate = 30 * potential**0.7 * float(generator.lognormal(0, 0.5))
        propionate = 15 * float(generator.lognormal(0, 0.5))
        rows.append(
            {
                "sample": draw.sample,
                "butyrate [umol/g]": "<0.5" if butyrate < 0.5 else f"{butyrate:.3g}",
                "propionate [umol/g]": f"{propionate:.3g}",
            }
        )
    write_table(path, list(rows[0]), rows)


def write_truth(path: Path, draws: Sequence[Draw]) -> None:
    """Write the planted potential of each person and day: copies per genome of each product."""
    rows: list[dict[str, Cell]] = []
    for draw in sorted(draws, key=lambda draw: draw.sample):
        potential = dict.fromkeys(sorted({product for product, _ in ROUTES.values()}), 0.0)
        for share, (_, _, _, routes) in zip(draw.expected, ORGANISMS, strict=True):
            for route in routes:
                potential[ROUTES[route][0]] += float(share)
        given: dict[str, Cell] = {
            "sample": draw.sample, "subject": draw.subject, "group": draw.group, "day": draw.day,
        }  # fmt: skip
        rows += [
            given | {"product": product, "copies_per_genome": value}
            for product, value in potential.items()
        ]
    path.parent.mkdir(parents=True, exist_ok=True)
    write_table(path, list(rows[0]), rows)


def main() -> None:
    """Write everything."""
    parser = argparse.ArgumentParser(description="write the tables of an example cohort")
    parser.add_argument("--output", type=Path, required=True, help="folder to write")
    output = parser.parse_args().output
    generator = np.random.default_rng(SEED)
    true = draw_study(generator)
    reference = draw_reference(generator)
    output.mkdir(parents=True, exist_ok=True)
    write_metabolites(output / "metabolites.tsv", true, generator)
    write_results(output / "results", swapped(true, *SWAPPED), generator)
    write_results(output / "reference", reference, generator)
    for name in ("results", "reference"):
        write_processing(output / name)
    write_truth(output / "truth/products.tsv", true)
    (output / "cohort.yaml").write_text(CONFIGURATION, encoding="utf-8")


if __name__ == "__main__":
    main()
