"""Set organism evidence beside the acids that were measured in people's stool.

Organism evidence for a product is the sum, over the species of a sample, of relative abundance
times phenotype: 1 where genome mode calls a reported route to the product present in the reference
genome of the species. A species without a genome has the mean phenotype of its genus, one without
either has none; what share of the abundance each kind has is reported. Names of the profile are
brought to those of the genomes by `synonyms.tsv`.

Beside it stand published lists of producers (`producers.tsv`, and the organisms of the curated
list of butyrate genes, Vital 2014), summed in the same way.

Each is compared with the measured acid by Spearman's rank correlation, with

* a 95 % interval after Fisher's transformation with the standard error of Bonett and Wright
  (doi:10.1007/BF02294183), sqrt((1 + r^2 / 2) / (n - 3));
* a permutation null: samples shuffled, two-sided p = (1 + as extreme) / (1 + permutations);
* for organism evidence, a second null: phenotypes shuffled among the species that have one. It
  asks whether the phenotypes add anything to the make-up of the communities;
* the partial correlation given the study group (ranks, group means taken away).

This is association in one cohort. Concentrations in stool are what production, absorption, water
and transit leave; relative abundances are closed to one. Nothing here predicts a concentration.

Writes people.tsv, people_species.tsv, people_served.tsv, people.png and people.md.

    python benchmarks/accuracy/people.py --reference DIR [--data DIR]
"""

from __future__ import annotations

import argparse
import csv
import datetime
import gzip
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from scipy.stats import norm, rankdata

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(ROOT / "scripts")]

from fermentome import command_genomes  # noqa: E402
from fermentome.catalogue import Catalogue, load_catalogue  # noqa: E402
from fermentome.defaults import catalogue_files  # noqa: E402
from fermentome.errors import FermentomeError  # noqa: E402
from fermentome.figures import BLACK, BLUE, GREY, LIGHT_GREY, ORANGE, STYLE  # noqa: E402
from fermentome.reference import read_fasta  # noqa: E402
from fermentome.tables import Cell, parse_number, read_table, write_table  # noqa: E402

Numbers = npt.NDArray[np.float64]

COHORT = "cohort/yachida_crc_2019"
COHORT_SOURCE = "doi:10.1038/s41591-019-0458-7"
ACIDS = {"butyrate": "C00246_Butyrate", "propionate": "C00163_Propionate"}
GROUP = "Study.Group"
VITAL = "Vital 2014"
EVIDENCE = "organism evidence"
PERMUTATIONS = 10_000
SEED = 2019
RANKS = {"k": "kingdom", "p": "phylum", "c": "class", "o": "order", "f": "family", "g": "genus"}

COLUMNS = ("product", "predictor", "given", "samples", "spearman", "lower_95", "upper_95",
           "p_samples_shuffled", "null_lower", "null_upper", "p_phenotypes_shuffled",
           "phenotype_null_lower", "phenotype_null_upper")  # fmt: skip
SPECIES_COLUMNS = ("species", "name_of_genomes", "mean_abundance", "served_by", "genomes",
                   "butyrate", "propionate", "routes")  # fmt: skip
SERVED_COLUMNS = ("served_by", "species", "mean_abundance", "least", "most")


class CohortError(FermentomeError):
    """The cohort cannot be read."""


@dataclass(frozen=True)
class Taxon:
    """A species of the profile: its names by rank, as the profile has them."""

    ranks: Mapping[str, str]

    @property
    def species(self) -> str:
        """Binomial, with spaces."""
        return self.ranks["species"]

    @property
    def genus(self) -> str:
        """Genus in the profile, or the first word of the binomial."""
        return self.ranks.get("genus") or self.species.split()[0]


@dataclass(frozen=True)
class Cohort:
    """Samples that have a profile, the acids and a study group."""

    samples: Sequence[str]
    taxa: Sequence[Taxon]
    abundance: Numbers
    acids: Mapping[str, Numbers]
    groups: Sequence[str]


@dataclass
class Phenotype:
    """What the genomes of a species, or a genus, can make: shares of them, and the routes."""

    genomes: list[str] = field(default_factory=list)
    share: dict[str, float] = field(default_factory=dict)
    routes: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class Served:
    """How one species of the profile gets its phenotype."""

    name: str
    by: str
    phenotype: Phenotype


# --- the cohort -----------------------------------------------------------------------------------


def read_cohort(folder: Path) -> Cohort:
    """Profile, acids and groups of the samples that are in all three tables."""
    with gzip.open(folder / "species.tsv.gz", "rt", encoding="utf-8", newline="") as handle:
        header, *rows = csv.reader(handle, delimiter="\t", quoting=csv.QUOTE_NONE)
    profile = {row[0]: [float(value) for value in row[1:]] for row in rows}
    acids = {row["sample"]: row for row in read_table(folder / "measured_acids.tsv")}
    groups = {row["sample"]: row[GROUP] for row in read_table(folder / "metadata.tsv")}
    samples = [name for name in profile if name in acids and name in groups]
    if len(samples) < 10:
        raise CohortError(
            f"{folder}: {len(samples)} samples are in species, acids and metadata; expected at "
            "least 10; see that the three tables name the samples alike"
        )
    return Cohort(
        samples,
        [parse_taxon(name) for name in header[1:]],
        np.array([profile[name] for name in samples]),
        {
            product: np.array([parse_number(acids[name][column]) for name in samples])
            for product, column in ACIDS.items()
        },
        [groups[name] for name in samples],
    )


def parse_taxon(text: str) -> Taxon:
    """Taxon of a column name such as ``k__Bacteria;...;s__Dorea_longicatena``.

    >>> parse_taxon("k__Bacteria;g__Dorea;s__Dorea_longicatena").species
    'Dorea longicatena'
    """
    ranks = {}
    for part in text.split(";"):
        prefix, _, name = part.partition("__")
        rank = "species" if prefix == "s" else RANKS.get(prefix, prefix)
        ranks[rank] = name.replace("_", " ")
    return Taxon(ranks)


# --- phenotypes -----------------------------------------------------------------------------------


def run_genome_mode(data: Path, reference: Path, out: Path, threads: int) -> Path:
    """Phenotypes of all genomes of the data folder, by ``fermentome genomes``."""
    parser = argparse.ArgumentParser()
    command_genomes.add_arguments(parser)
    folders = [data / name for name in ("genomes", "genomes_extra") if (data / name).is_dir()]
    status = command_genomes.run(
        parser.parse_args(
            ["--reference", str(reference), "--out", str(out), "--threads", str(threads),
             "--lineages", str(data / "truth/lineages.tsv"), *map(str, folders)]
        )
    )  # fmt: skip
    if status:
        raise CohortError(f"{out}: genome mode failed for some genome; see genomes.tsv there")
    return out / "phenotypes.tsv"


def read_phenotypes(
    path: Path, lineages: Path, catalogue: Catalogue
) -> tuple[dict[str, Phenotype], dict[str, Phenotype]]:
    """Phenotypes by species and by genus of the genomes.

    A genome counts for a product where one of the reported routes that form it is present. Where
    none is, and one is below detection (the genome is not complete), it says nothing of it.
    """
    routes = {p.id: p for p in catalogue.pathways.values() if p.reported}
    calls: dict[str, dict[str, dict[str, str]]] = defaultdict(lambda: defaultdict(dict))
    for row in read_table(path):
        route = routes.get(row["pathway"])
        if route and route.direction == "formation" and route.product in ACIDS:
            calls[row["genome"]][route.product][route.id] = row["call"]
    names = {row["genome"]: row for row in read_table(lineages)}
    species: dict[str, Phenotype] = defaultdict(Phenotype)
    genera: dict[str, Phenotype] = defaultdict(Phenotype)
    for genome in sorted(calls):
        if genome not in names:
            raise CohortError(
                f"{lineages}: no row for genome {genome!r} of {path}; add its lineage"
            )
        lineage = names[genome]
        if lineage["species"].endswith(" sp."):
            members = [genera[lineage["genus"]]]
        else:
            members = [species[lineage["species"]], genera[lineage["genus"]]]
        for member in members:
            member.genomes.append(genome)
    for phenotype in (*species.values(), *genera.values()):
        for product in ACIDS:
            known = []
            for genome in phenotype.genomes:
                found = calls[genome][product]
                present = {route for route, call in found.items() if call == "present"}
                phenotype.routes |= present
                if present or "below_detection" not in found.values():
                    known.append(bool(present))
            phenotype.share[product] = float(np.mean(known)) if known else float("nan")
    return species, genera


def serve(
    taxa: Sequence[Taxon], species: Mapping[str, Phenotype], genera: Mapping[str, Phenotype],
    synonyms: Mapping[tuple[str, str], str],
) -> list[Served]:  # fmt: skip
    """The phenotype of each species of the profile, from its own genomes or its genus."""
    served = []
    for taxon in taxa:
        name = synonyms.get(("species", taxon.species), taxon.species)
        genus = name.split()[0] if name != taxon.species else taxon.genus
        if ("species", taxon.species) not in synonyms:
            genus = synonyms.get(("genus", genus), genus)
        if name in species:
            served.append(Served(name, "species", species[name]))
        elif genus in genera:
            served.append(Served(genus, "genus", genera[genus]))
        else:
            served.append(Served("", "none", Phenotype(share=dict.fromkeys(ACIDS, float("nan")))))
    return served


def read_synonyms(path: Path) -> dict[tuple[str, str], str]:
    """Rank and old name to the name of the genomes; empty where the old name does not say."""
    return {(row["rank"], row["old_name"]): row["name"] for row in read_table(path)}


# --- predictors -----------------------------------------------------------------------------------


def weights_of(served: Sequence[Served], product: str, kinds: Iterable[str]) -> Numbers:
    """Phenotype of each species of the profile; 0 where it has none of these kinds."""
    wanted = set(kinds)
    values = [s.phenotype.share[product] if s.by in wanted else 0.0 for s in served]
    return np.asarray(np.nan_to_num(np.array(values)))


def listed(taxa: Sequence[Taxon], rows: Iterable[Mapping[str, str]]) -> Numbers:
    """1 for the species of the profile that a list names, by any rank."""
    named = {(row["rank"], row["name"]) for row in rows}
    return np.array([float(any(item in named for item in t.ranks.items())) for t in taxa])


def vital_species(path: Path) -> list[dict[str, str]]:
    """Species of the curated butyrate genes, as rows of a list; unnamed species are left out."""
    found = set()
    for _, description, _ in read_fasta(path):
        words = description.rpartition("[")[2].rstrip("]").split()
        if len(words) > 1 and words[1].islower() and not words[1].startswith("sp"):
            found.add(" ".join(words[:2]))
    return [{"rank": "species", "name": name} for name in sorted(found)]


# --- statistics -----------------------------------------------------------------------------------


def ranks(values: Numbers, groups: Sequence[str] | None = None) -> Numbers:
    """Standardised ranks, group means taken away where groups are given."""
    ranked = rankdata(values)
    if groups is not None:
        for group in set(groups):
            own = np.array([name == group for name in groups])
            ranked[own] -= ranked[own].mean()
    centred = ranked - ranked.mean()
    length = float(np.sqrt((centred**2).sum()))
    return np.asarray(centred / length if length else centred * 0.0)


def interval(r: float, samples: int, given: int = 0) -> tuple[float, float]:
    """95 % interval of Spearman's correlation (Bonett & Wright 2000, doi:10.1007/BF02294183).

    `given` is the number of parameters that were taken away first.

    >>> low, high = interval(0.5, 103)
    >>> round(low, 3), round(high, 3)
    (0.329, 0.639)
    """
    error = np.sqrt((1 + r**2 / 2) / (samples - 3 - given))
    z = np.arctanh(r) + np.array([-1, 1]) * norm.ppf(0.975) * error
    low, high = np.tanh(z)
    return float(low), float(high)


def shuffled_samples(x: Numbers, y: Numbers, generator: np.random.Generator) -> Numbers:
    """Correlations of `x` with shuffled `y`, both standardised ranks."""
    return np.array([x @ generator.permutation(y) for _ in range(PERMUTATIONS)])


def shuffled_phenotypes(
    abundance: Numbers, weights: Numbers, eligible: npt.NDArray[np.bool_], y: Numbers,
    generator: np.random.Generator,
) -> Numbers:  # fmt: skip
    """Correlations after shuffling the phenotypes among the species that have one."""
    places = np.flatnonzero(eligible)
    found = np.empty(PERMUTATIONS)
    for number in range(PERMUTATIONS):
        mixed = weights.copy()
        mixed[places] = weights[generator.permutation(places)]
        found[number] = ranks(abundance @ mixed) @ y
    return found


def p_value(null: Numbers, seen: float) -> float:
    """Two-sided, with the data as one of the permutations."""
    return float((1 + (np.abs(null) >= abs(seen) - 1e-12).sum()) / (1 + len(null)))


@dataclass(frozen=True)
class Null:
    """Where shuffled data fall: the middle 95 %, and how often as far out as the data."""

    p: float
    lower: float
    upper: float

    @classmethod
    def of(cls, found: Numbers, p: float) -> Null:
        """Describe the correlations of shuffled data."""
        lower, upper = np.quantile(found, [0.025, 0.975])
        return cls(p, float(lower), float(upper))

    def row(self, prefix: str, p: str) -> dict[str, Cell]:
        """Cells of the table."""
        return {p: self.p, f"{prefix}_lower": self.lower, f"{prefix}_upper": self.upper}


NO_NULL = Null(float("nan"), float("nan"), float("nan"))


@dataclass(frozen=True)
class Result:
    """One correlation with its interval and its nulls."""

    product: str
    predictor: str
    given: str
    samples: int
    spearman: float
    lower: float
    upper: float
    samples_null: Null
    phenotypes_null: Null | None

    def row(self) -> dict[str, Cell]:
        """Row of people.tsv."""
        return {
            "product": self.product,
            "predictor": self.predictor,
            "given": self.given,
            "samples": self.samples,
            "spearman": self.spearman,
            "lower_95": self.lower,
            "upper_95": self.upper,
            **self.samples_null.row("null", "p_samples_shuffled"),
            **(self.phenotypes_null or NO_NULL).row("phenotype_null", "p_phenotypes_shuffled"),
        }


def compare(
    product: str, predictor: str, x: Numbers, cohort: Cohort,
    phenotypes: tuple[Numbers, npt.NDArray[np.bool_]] | None = None, by_group: bool = False,
) -> Result:  # fmt: skip
    """Correlation of one predictor with one acid, its interval and its nulls."""
    generator = np.random.default_rng(SEED)
    groups = cohort.groups if by_group else None
    ours, theirs = ranks(x, groups), ranks(cohort.acids[product], groups)
    seen = float(ours @ theirs)
    low, high = interval(seen, len(x), len(set(cohort.groups)) - 1 if by_group else 0)
    shuffled = shuffled_samples(ours, theirs, generator)
    second = None
    if phenotypes is not None:
        found = shuffled_phenotypes(cohort.abundance, *phenotypes, theirs, generator)
        second = Null.of(found, float((1 + (found >= seen).sum()) / (1 + len(found))))
    return Result(
        product,
        predictor,
        "study group" if by_group else "",
        len(x),
        seen,
        low,
        high,
        Null.of(shuffled, p_value(shuffled, seen)),
        second,
    )


def compare_all(
    cohort: Cohort, served: Sequence[Served], lists: Mapping[str, Mapping[str, Numbers]]
) -> list[Result]:
    """All predictors of both acids."""
    results = []
    for product in ACIDS:
        both = weights_of(served, product, ("species", "genus"))
        known = np.array([not np.isnan(s.phenotype.share[product]) for s in served])
        covered = cohort.abundance @ known
        evidence = cohort.abundance @ both
        own = weights_of(served, product, ("species",))
        relative = np.divide(evidence, covered, out=np.zeros_like(covered), where=covered > 0)
        results += [
            compare(product, EVIDENCE, evidence, cohort, (both, known)),
            compare(product, EVIDENCE, evidence, cohort, by_group=True),
            compare(product, f"{EVIDENCE}, of what is served", relative, cohort),
            compare(product, f"{EVIDENCE}, species only", cohort.abundance @ own, cohort),
        ]
        for name, weights in lists[product].items():
            results.append(compare(product, f"list: {name}", cohort.abundance @ weights, cohort))
            results.append(
                compare(product, f"list: {name}", cohort.abundance @ weights, cohort, by_group=True)
            )
    return results


# --- tables and figure ----------------------------------------------------------------------------


def species_rows(cohort: Cohort, served: Sequence[Served]) -> list[dict[str, Cell]]:
    """How each species is served, most abundant first."""
    means = cohort.abundance.mean(axis=0)
    order = sorted(range(len(served)), key=lambda i: (-means[i], cohort.taxa[i].species))
    return [
        {
            "species": cohort.taxa[i].species,
            "name_of_genomes": served[i].name,
            "mean_abundance": float(means[i]),
            "served_by": served[i].by,
            "genomes": len(served[i].phenotype.genomes),
            **{product: served[i].phenotype.share[product] for product in ACIDS},
            "routes": ",".join(sorted(served[i].phenotype.routes)),
        }
        for i in order
    ]


def served_rows(cohort: Cohort, served: Sequence[Served]) -> list[dict[str, Cell]]:
    """Share of the abundance that is served by species, by genus and not at all."""
    rows: list[dict[str, Cell]] = []
    for kind in ("species", "genus", "none"):
        own = np.array([s.by == kind for s in served])
        share = cohort.abundance[:, own].sum(axis=1)
        rows.append(
            {
                "served_by": kind,
                "species": int(own.sum()),
                "mean_abundance": float(share.mean()),
                "least": float(share.min()),
                "most": float(share.max()),
            }
        )
    return rows


def draw(path: Path, cohort: Cohort, served: Sequence[Served], results: Sequence[Result]) -> None:
    """Acid against organism evidence, and beside it the correlations with their nulls."""
    style: dict[Any, Any] = {**STYLE}
    with mpl.rc_context(style):
        figure = Figure(figsize=(7.2, 5.6), layout="constrained")
        panels = figure.subplots(2, 2, width_ratios=[1, 1.25])
        for (left, right), product in zip(panels, ACIDS, strict=True):
            own = [r for r in results if r.product == product and not r.given]
            _scatter(left, cohort, served, product)
            _forest(right, own, product)
        ours: dict[str, Any] = {"ls": "none", "mec": BLACK, "mew": 0.5, "ms": 4}
        keys = [
            Line2D([], [], marker="o", color=BLUE, label="genomes of the reference", **ours),
            Line2D([], [], marker="D", color=ORANGE, label="published list", **ours),
            Patch(color=LIGHT_GREY, label="samples shuffled"),
            Patch(fill=False, hatch="////", ec=GREY, lw=0.5, label="phenotypes shuffled"),
        ]
        figure.legend(handles=keys, loc="outside lower right", ncols=4, frameon=False, fontsize=7)
        figure.savefig(path, metadata={"Software": None})


def _scatter(panel: Axes, cohort: Cohort, served: Sequence[Served], product: str) -> None:
    x = cohort.abundance @ weights_of(served, product, ("species", "genus"))
    panel.plot(100 * x, cohort.acids[product] / 1000, "o", ms=2.4, mfc="none", mec=BLUE, mew=0.6)
    panel.set_xlabel(f"species with a {product} route\n(% of relative abundance)")
    panel.set_ylabel(f"measured {product}\n(thousands, units of the source)")
    panel.set_title(f"{product}: {len(x)} people", loc="left")


def _forest(panel: Axes, results: Sequence[Result], product: str) -> None:
    """Each predictor with its interval, over the 95 % range of its nulls."""
    for place, result in enumerate(reversed(results)):
        null, second = result.samples_null, result.phenotypes_null
        panel.barh(place, null.upper - null.lower, left=null.lower, height=0.62, color=LIGHT_GREY)
        if second is not None:
            panel.barh(
                place, second.upper - second.lower, left=second.lower, height=0.62, fill=False,
                hatch="////", edgecolor=GREY, lw=0.5,
            )  # fmt: skip
        ours = result.predictor.startswith(EVIDENCE)
        panel.errorbar(
            result.spearman, place,
            xerr=[[result.spearman - result.lower], [result.upper - result.spearman]],
            fmt="o" if ours else "D", ms=4, color=BLUE if ours else ORANGE, mec=BLACK, mew=0.5,
            ecolor=BLACK, elinewidth=0.9, capsize=2,
        )  # fmt: skip
    panel.axvline(0, color=BLACK, lw=0.6)
    panel.set_yticks(range(len(results)), [result.predictor for result in reversed(results)])
    panel.set_ylim(-0.6, len(results) - 0.4)
    panel.set_xlim(-0.45, 0.65)
    panel.set_xlabel("Spearman correlation with 95 % interval;\nbars: 95 % of each null")
    panel.set_title(f"with measured {product}", loc="left")


def summary(
    cohort: Cohort, results: Sequence[Result], shares: Sequence[Mapping[str, Cell]], version: str
) -> str:
    """The text of people.md."""

    def line(result: Result) -> str:
        null, second = result.samples_null, result.phenotypes_null
        cells = [
            result.product,
            result.predictor,
            result.given or "-",
            f"{two_digits(result.spearman)} ({two_digits(result.lower)} to "
            f"{two_digits(result.upper)})",
            f"{null.lower:.2f} to {null.upper:.2f}, p = {null.p:.2g}",
            f"{second.lower:.2f} to {second.upper:.2f}, p = {second.p:.2g}" if second else "-",
        ]
        return f"| {' | '.join(cells)} |"

    share = {row["served_by"]: f"{100 * parse_number(str(row['mean_abundance'])):.0f}"
             for row in shares}  # fmt: skip
    return "\n".join(
        [
            "# People: organism evidence beside measured acids",
            "",
            f"{len(cohort.samples)} people ({COHORT_SOURCE}), measured "
            f"{datetime.date.today().isoformat()}, catalogue {version}. "
            "No target: reported whatever it is. Association, not prediction.",
            "",
            f"Of the relative abundance {share['species']} % belongs to species with a "
            f"reference genome, {share['genus']} % has only its genus, {share['none']} % "
            "neither and counts as no potential.",
            "",
            "| product | predictor | given | Spearman (95 %) | null: samples shuffled "
            "| null: phenotypes shuffled |",
            "|---|---|---|---|---|---|",
            *(line(result) for result in results),
            "",
            *(beside_lists(results, product) for product in ACIDS),
            "",
            f"{PERMUTATIONS} permutations. The second null is one-sided: how often phenotypes "
            "dealt at random to the same species do as well. Acids are concentrations in stool in "
            "the units of the curated table, which states none; they mirror absorption, water "
            "and transit as well as production, and abundances are closed to one.",
            "",
        ]
    )


def two_digits(value: float) -> str:
    """A number with two digits, never minus zero."""
    return f"{round(value, 2) + 0.0:.2f}"


def beside_lists(results: Sequence[Result], product: str) -> str:
    """One sentence: organism evidence of a product and the published lists."""
    plain = [result for result in results if result.product == product and not result.given]
    ours = next(result for result in plain if result.predictor == EVIDENCE)
    lists = [result.spearman for result in plain if result.predictor.startswith("list")]
    within = "within" if ours.samples_null.lower <= ours.spearman <= ours.samples_null.upper \
        else "outside"  # fmt: skip
    return (
        f"- {product}: {two_digits(ours.spearman)}, {within} the middle 95 % of shuffled samples; "
        f"published lists {two_digits(min(lists))} to {two_digits(max(lists))}."
    )


# --- command line ---------------------------------------------------------------------------------


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared/data")
    parser.add_argument("--reference", type=Path, help="protein reference, for genome mode")
    parser.add_argument("--phenotypes", type=Path, help="phenotypes.tsv of an earlier run")
    parser.add_argument("--work", type=Path, default=ROOT / "real/accuracy")
    parser.add_argument("--out", type=Path, default=HERE / "results")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--quick", action="store_true", help="taken; this part is quick")
    options = parser.parse_args(arguments)
    folder = options.data / COHORT
    if not folder.is_dir():
        print(f"people: {folder} is not there; nothing is measured")
        return 0
    try:
        measure(options, folder)
    except FermentomeError as error:
        print(f"people: {error}", file=sys.stderr)
        return 1
    return 0


def measure(options: argparse.Namespace, folder: Path) -> None:
    """Compare, and write the tables, the figure and the summary."""
    cohort = read_cohort(folder)
    catalogue = load_catalogue(catalogue_files(None))
    phenotypes = options.phenotypes
    if phenotypes is None:
        if options.reference is None:
            raise CohortError("give --reference (genome mode is run) or --phenotypes")
        phenotypes = run_genome_mode(
            options.data, options.reference, options.work / "people", options.threads
        )
    species, genera = read_phenotypes(phenotypes, options.data / "truth/lineages.tsv", catalogue)
    served = serve(cohort.taxa, species, genera, read_synonyms(HERE / "synonyms.tsv"))
    results = compare_all(cohort, served, producer_lists(options.data, cohort))
    shares = served_rows(cohort, served)
    options.out.mkdir(parents=True, exist_ok=True)
    write_table(options.out / "people.tsv", COLUMNS, [result.row() for result in results])
    write_table(options.out / "people_species.tsv", SPECIES_COLUMNS, species_rows(cohort, served))
    write_table(options.out / "people_served.tsv", SERVED_COLUMNS, shares)
    draw(options.out / "people.png", cohort, served, results)
    text = summary(cohort, results, shares, catalogue.version)
    (options.out / "people.md").write_text(text, encoding="utf-8")


def producer_lists(data: Path, cohort: Cohort) -> dict[str, dict[str, Numbers]]:
    """Weights of each published list, by product and name of the list."""
    lists: dict[str, dict[str, Numbers]] = {product: {} for product in ACIDS}
    grouped: dict[tuple[str, str], list[dict[str, str]]] = defaultdict(list)
    for row in read_table(HERE / "producers.tsv"):
        grouped[row["product"], row["list"]].append(row)
    curated = data / "proteins/vital2014_butyrate.faa.gz"
    if curated.is_file():
        grouped["butyrate", VITAL] = vital_species(curated)
    for (product, name), rows in grouped.items():
        lists[product][name] = listed(cohort.taxa, rows)
    return lists


if __name__ == "__main__":
    sys.exit(main())
