"""Genetic potential beside measured metabolites: how they go together, and what chance does.

A concentration in stool is what production, consumption, absorption, water and transit leave. A
potential is what genomes or genes would allow. Their correlation is an association in one cohort;
it says neither that one makes the other nor that one can be told from the other.

Each pair gets Spearman's correlation, alone and given depth, batch and the covariates of the
settings, with an interval by people and the range that shuffled measurements reach
(`fermentome.cohort.rank_association`). Measurements are shuffled within batch, whole people where
people are compared; where samples of one person are, within people. Beside the potential stands
what depth, batch and covariates explain on their own in people that the model has not seen.

Potential by organisms gets a second null: the copies of the product are dealt at random to the
taxa whose copies are known. Abundances are closed to one and follow few gradients, so that any sum
of taxa may go with a metabolite; this null says what such sums reach, and so whether the genomes
add anything to the make-up of the communities.

A product and the metabolite of the same name are a named pair. There are few, they were the
question from the start, and they are one family of tests. All other pairs are exploratory: another
family, with an interval by formula and no cross-validation.
"""

from __future__ import annotations

import math
import os
import zlib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from fermentome.cohort.carriers import Organisms, organism_potential, read_organisms
from fermentome.cohort.data import (
    CARRIERS,
    FAMILIES,
    ORGANISMS,
    PATHWAYS,
    PRODUCTS,
    TAXA,
    Account,
    Cohort,
    FeatureTable,
    Numbers,
    generator,
)
from fermentome.cohort.metabolite_sheet import Metabolite, Sheet, product_of, read_sheet
from fermentome.cohort.metabolite_units import (
    WITHIN,
    Given,
    Units,
    given_of,
    levels_of,
    people_of,
    units_of,
    why_not,
)
from fermentome.cohort.multiple_testing import adjust
from fermentome.cohort.rank_association import (
    TIE,
    Associations,
    Labels,
    analytic_interval,
    associate,
    bootstrap_interval,
    held_out,
    jackknife_interval,
    permuted,
)
from fermentome.cohort.settings import Settings
from fermentome.tables import Cell, write_table

NAMED, EXPLORATORY = "named", "exploratory"
BEYOND_NULL, WITHIN_NULL, NOT_TESTED = "beyond_null", "within_null", "not_tested"
BOOTSTRAP, JACKKNIFE, ANALYTIC = "bootstrap_people", "jackknife_people", "analytic"

NAMED_TABLES = (PRODUCTS, ORGANISMS)
"""Tables whose features are products."""
EXPLORED_TABLES = (PRODUCTS, ORGANISMS, CARRIERS, PATHWAYS, FAMILIES, TAXA)

MOST_PAIRS = 200_000
"""Exploratory pairs; more make a table of more than 50 MB, and a q that nothing can pass."""

ASSOCIATION_COLUMNS = (
    "metabolite", "unit", "product", "table", "feature", "feature_unit", "kind", "level", "given",
    "samples", "subjects", "below_limit", "spearman", "ci_low", "ci_high", "interval", "null_low",
    "null_high", "p", "q", "permutations", "least_p", "shuffled", "phenotypes_null_low",
    "phenotypes_null_high", "phenotypes_p", "q2_given", "q2_given_and_potential", "finding",
    "reason",
)  # fmt: skip
POINT_COLUMNS = (
    "metabolite", "unit", "table", "feature", "feature_unit", "sample", "subject", "potential",
    "measured", "below_limit", "above_limit", "replicates",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Association:
    """One correlation of a feature with a metabolite, at one level, given columns or nothing.

    Attributes
    ----------
    product
        That the metabolite is, or empty.
    below_limit
        Samples whose measurement lies below a limit of detection.
    permutations
        0 where none were made.
    phenotypes_null_low, phenotypes_null_high, phenotypes_p
        Of the second null: copies of the product dealt at random to the taxa that have them known.
    q2_given, q2_given_and_potential
        Share of the variance of the ranks of the metabolite that a model explains in people it
        has not seen: of the given columns, and of these and the potential.
    reason
        Why something is not known.
    """

    metabolite: str
    unit: str
    product: str
    table: str
    feature: str
    feature_unit: str
    kind: str
    level: str
    given: str
    samples: int
    subjects: int
    below_limit: int
    spearman: float = math.nan
    ci_low: float = math.nan
    ci_high: float = math.nan
    interval: str = ""
    null_low: float = math.nan
    null_high: float = math.nan
    p: float = math.nan
    q: float = math.nan
    permutations: int = 0
    least_p: float = math.nan
    shuffled: str = ""
    phenotypes_null_low: float = math.nan
    phenotypes_null_high: float = math.nan
    phenotypes_p: float = math.nan
    q2_given: float = math.nan
    q2_given_and_potential: float = math.nan
    finding: str = NOT_TESTED
    reason: str = ""

    def row(self) -> dict[str, Cell]:
        """Cells by column."""
        return {column: getattr(self, column) for column in ASSOCIATION_COLUMNS}


@dataclass(frozen=True, slots=True)
class Results:
    """What was found, and the points of the named pairs."""

    associations: Sequence[Association]
    points: Sequence[Mapping[str, Cell]]


# --- correlations ---------------------------------------------------------------------------------


def associate_metabolites(
    cohort: Cohort,
    sheet: Sheet,
    settings: Settings,
    account: Account,
    organisms: Organisms | None = None,
) -> Results:
    """Correlations of all metabolites of a sheet with the features of a cohort.

    Parameters
    ----------
    organisms
        Copies in species and genera that table `ORGANISMS` was made with, for its second null.

    Returns
    -------
    Results
        Named pairs first, then exploratory ones; each by metabolite, table, feature, level.
    """
    given = given_of(cohort, settings, account)
    people = people_of(cohort)
    _say_of_missing(cohort, sheet, given, account)
    products = {
        feature
        for name in NAMED_TABLES
        if name in cohort.tables
        for feature in cohort.tables[name].features
    }
    dealt = _dealt(cohort, organisms, settings, account)
    matches = {one.name: _match(one, products, account) for one in sheet.metabolites}
    explored = _explored(cohort, sheet, settings, account)
    found: list[Association] = []
    points: list[dict[str, Cell]] = []
    for one in sheet.metabolites:
        for name in EXPLORED_TABLES:
            if name not in cohort.tables:
                continue
            table = cohort.tables[name]
            product = matches[one.name]
            named = [product] if name in NAMED_TABLES and product in table.features else []
            other = [f for f in explored.get(name, ()) if f not in named]
            at = _Place(cohort, table, one, product or "", given, people, settings, dealt)
            if named:
                found += at.named(product or "")
                points += at.points(product or "")
            found += at.exploratory(other)
    if not any(association.kind == NAMED for association in found):
        account.left_out(
            "named pairs",
            "no metabolite of the sheet is a product of the tables"
            f" {' or '.join(NAMED_TABLES)}; metabolites:"
            f" {', '.join(one.name for one in sheet.metabolites[:8])}",
        )
    found = _with_q(found, settings.fdr)
    _say_of_findings(found, settings, account)
    order = {NAMED: 0, EXPLORATORY: 1}
    tables = {name: i for i, name in enumerate(EXPLORED_TABLES)}
    found.sort(
        key=lambda a: (order[a.kind], a.metabolite, tables[a.table], a.feature, a.level, a.given)
    )
    return Results(found, points)


def _match(one: Metabolite, products: set[str], account: Account) -> str | None:
    try:
        product = product_of(one.name, products)
    except ValueError as error:
        account.left_out(f"match of {one.name}", f"{error}; mend the name in the sheet")
        return None
    return product


def _say_of_missing(cohort: Cohort, sheet: Sheet, given: Given, account: Account) -> None:
    """Say which measured samples are lost to unknown cells of the given columns."""
    measured = {sample for one in sheet.metabolites for sample in one.samples}
    lost = [
        sample
        for sample, known in zip(cohort.samples, given.known(), strict=True)
        if sample in measured and not known
    ]
    if lost:
        account.partly(
            "given columns",
            f"{len(lost)} measured samples are left out, as {lost[0]}: a value of {given.text} is"
            " missing",
            len(measured) - len(lost),
        )


def _dealt(
    cohort: Cohort, organisms: Organisms | None, settings: Settings, account: Account
) -> dict[str, Numbers]:
    """Potential by organisms with copies dealt anew, by product: samples by shufflings."""
    if ORGANISMS not in cohort.tables or settings.permutations < 1:
        return {}
    if organisms is None or TAXA not in cohort.tables:
        account.left_out(
            "second null",
            "copies cannot be dealt anew to taxa: the table of phenotypes or that of taxa is not"
            " given",
        )
        return {}
    taxa = cohort.tables[TAXA]
    # A community of one taxon has that taxon's copies.
    single = replace(
        taxa, samples=taxa.features, values=np.eye(len(taxa.features)), low=None, high=None,
        limits=None, counts=None,
    )  # fmt: skip
    potential = organism_potential(single, organisms, Account(""))
    known = np.flatnonzero([potential.by[feature] != "" for feature in taxa.features])
    shares = np.nan_to_num(taxa.values[:, known])
    unknown = np.asarray(np.isnan(taxa.values).all(axis=1))
    result = {}
    for column, product in enumerate(potential.products.features):
        copies = potential.products.values[known, column]
        if np.unique(copies).size < 2:
            continue
        rng = generator(settings.seed, f"dealt {product}")
        mixed = permuted(copies, np.zeros(known.size, np.intp), settings.permutations, rng)
        result[product] = np.where(unknown[:, None], np.nan, shares @ mixed)
    return result


def _explored(
    cohort: Cohort, sheet: Sheet, settings: Settings, account: Account
) -> dict[str, list[str]]:
    """Features of each table that are seen often enough, as long as the pairs are not too many."""
    measured = {sample for one in sheet.metabolites for sample in one.samples}
    result: dict[str, list[str]] = {}
    pairs = 0
    for name in EXPLORED_TABLES:
        if name not in cohort.tables:
            continue
        table = cohort.tables[name]
        values = table.values[[sample in measured for sample in table.samples]]
        known = ~np.isnan(values)
        seen = (known & (values > 0)).sum(axis=0)
        share = seen / np.maximum(known.sum(axis=0), 1)
        often = (share >= settings.prevalence) & (seen > 0)
        kept = [feature for feature, own in zip(table.features, often, strict=True) if own]
        number = len(kept) * len(sheet.metabolites)
        if pairs + number > MOST_PAIRS:
            account.left_out(
                f"exploratory pairs of {name}",
                f"{len(kept)} features and {len(sheet.metabolites)} metabolites are too many pairs"
                f" ({MOST_PAIRS:,} in all at most); give fewer metabolites or a higher prevalence",
                len(measured),
            )
            continue
        pairs += number
        result[name] = kept
        if rare := len(table.features) - len(kept):
            account.partly(
                f"exploratory pairs of {name}",
                f"{rare} of {len(table.features)} features are seen in less than"
                f" {settings.prevalence:g} of the measured samples and not compared",
                len(measured),
            )
    return result


@dataclass(frozen=True, slots=True)
class _Place:
    """One metabolite beside one table."""

    cohort: Cohort
    table: FeatureTable
    one: Metabolite
    product: str
    given: Given
    people: Labels
    settings: Settings
    dealt: Mapping[str, Numbers]

    def named(self, feature: str) -> Iterator[Association]:
        """Correlations of the feature that is the metabolite's product."""
        rows, values, keys = self._complete(feature)
        people = self.people[rows]
        for level in levels_of(people):
            units = units_of(level, rows, values[:, None], keys, people, self.given)
            blank = self._blank(feature, NAMED, level, units)
            problem = why_not(units, level) or _constant(units)
            if problem:
                yield replace(blank, reason=problem)
                continue
            explained = self._explained(units, level)
            variants = [("", units.alone)]
            if self.given.columns:
                variants.append((self.given.text, units.given))
            for text, frame in variants:
                own = replace(blank, given=text)
                result = associate(
                    units.x, units.y, frame, self.settings.permutations, self._rng(level, feature)
                )
                own = _filled(own, result, 0, self.settings.permutations, units)
                if not math.isnan(own.spearman):
                    if frame.people is None:
                        name = BOOTSTRAP
                        low, high = bootstrap_interval(
                            units.x[:, 0], units.y, frame, self._rng(level, feature, "bootstrap")
                        )
                    else:
                        name = JACKKNIFE
                        low, high = jackknife_interval(units.x[:, 0], units.y, frame)
                    own = replace(own, ci_low=low, ci_high=high, interval=name)
                    own = self._with_phenotypes_null(own, level, keys, rows)
                if text == variants[-1][0]:
                    own = replace(own, q2_given=explained[0], q2_given_and_potential=explained[1])
                yield own

    def _with_phenotypes_null(
        self, own: Association, level: str, keys: Numbers, rows: Labels
    ) -> Association:
        """The association with its second null, where the table is that of organisms."""
        if self.table.name != ORGANISMS or own.feature not in self.dealt:
            return own
        values = self.dealt[own.feature][rows]
        others = units_of(level, rows, values, keys, self.people[rows], self.given)
        frame = others.given if own.given else others.alone
        null = associate(others.x, others.y, frame, 0, self._rng(level)).correlations
        null = null[~np.isnan(null)]
        if not null.size:
            return own
        low, high = np.quantile(null, [0.025, 0.975])
        p = (1 + int((null >= own.spearman - TIE).sum())) / (1 + null.size)
        return replace(
            own, phenotypes_null_low=float(low), phenotypes_null_high=float(high), phenotypes_p=p
        )

    def _explained(self, units: Units, level: str) -> tuple[float, float]:
        """Q2 of the given columns, and of these and the potential; none within people."""
        if level == WITHIN:
            return math.nan, math.nan
        seed = self._seed("folds")
        matrix = units.given.given
        both = np.column_stack([matrix, units.x])
        return (
            held_out(units.y, matrix, units.people, seed),
            held_out(units.y, both, units.people, seed),
        )

    def exploratory(self, features: Sequence[str]) -> Iterator[Association]:
        """Correlations of other features; those that cannot be made are not listed."""
        place = {feature: i for i, feature in enumerate(self.table.features)}
        values = self._values()
        groups: dict[bytes, list[str]] = defaultdict(list)
        for feature in features:
            groups[np.isnan(values[:, place[feature]]).tobytes()].append(feature)
        for members in groups.values():
            columns = [place[feature] for feature in members]
            rows, chosen, keys = self._complete_of(values[:, columns])
            people = self.people[rows]
            for level in levels_of(people):
                units = units_of(level, rows, chosen, keys, people, self.given)
                if why_not(units, level) or np.ptp(units.y) == 0:
                    continue
                result = associate(
                    units.x, units.y, units.given, self.settings.permutations, self._rng(level)
                )
                blank = replace(self._blank("", EXPLORATORY, level, units), given=self.given.text)
                for i, feature in enumerate(members):
                    if math.isnan(result.correlations[i]):
                        continue
                    own = _filled(
                        replace(blank, feature=feature), result, i, self.settings.permutations,
                        units,
                    )  # fmt: skip
                    low, high = analytic_interval(own.spearman, result.degrees)
                    yield replace(own, ci_low=low, ci_high=high, interval=ANALYTIC)

    def points(self, feature: str) -> Iterator[dict[str, Cell]]:
        """Samples of a named pair, for the figure."""
        rows, values, _ = self._complete(feature)
        subjects = self.cohort.metadata.column("subject").values
        place = {sample: i for i, sample in enumerate(self.one.samples)}
        for row, value in zip(rows, values, strict=True):
            sample = self.cohort.samples[row]
            i = place[sample]
            yield {
                "metabolite": self.one.name, "unit": self.one.unit, "table": self.table.name,
                "feature": feature, "feature_unit": self.table.unit, "sample": sample,
                "subject": subjects[row], "potential": float(value),
                "measured": float(self.one.values[i]), "below_limit": bool(self.one.below[i]),
                "above_limit": bool(self.one.above[i]), "replicates": int(self.one.replicates[i]),
            }  # fmt: skip

    def _values(self) -> Numbers:
        """Values of the table in the samples of the cohort; NaN where it lacks one."""
        if self.table.samples == self.cohort.samples:
            return self.table.values
        place = {sample: i for i, sample in enumerate(self.table.samples)}
        values = np.full((len(self.cohort.samples), len(self.table.features)), np.nan)
        for row, sample in enumerate(self.cohort.samples):
            if sample in place:
                values[row] = self.table.values[place[sample]]
        return values

    def _complete(self, feature: str) -> tuple[Labels, Numbers, Numbers]:
        column = self.table.features.index(feature)
        rows, values, keys = self._complete_of(self._values()[:, [column]])
        return rows, values[:, 0], keys

    def _complete_of(self, values: Numbers) -> tuple[Labels, Numbers, Numbers]:
        """Samples with measurement, given columns and features; values and keys of these."""
        measured = dict(zip(self.one.samples, self.one.keys(), strict=True))
        known = self.given.known() & ~np.isnan(values).any(axis=1)
        kept = [
            i for i, sample in enumerate(self.cohort.samples) if known[i] and sample in measured
        ]
        rows = np.array(kept, dtype=np.intp)
        keys = np.array([measured[self.cohort.samples[i]] for i in kept], dtype=np.float64)
        return rows, values[rows], keys

    def _blank(self, feature: str, kind: str, level: str, units: Units) -> Association:
        below = dict(zip(self.one.samples, self.one.below, strict=True))
        return Association(
            self.one.name, self.one.unit, self.product, self.table.name, feature, self.table.unit,
            kind, level, "", len(units.rows), units.subjects,
            sum(bool(below[self.cohort.samples[i]]) for i in units.rows),
        )  # fmt: skip

    def _seed(self, *words: str) -> int:
        text = "\t".join((self.one.name, self.table.name, *words))
        return int(np.random.SeedSequence([self.settings.seed, zlib.crc32(text.encode())])
                   .generate_state(1)[0])  # fmt: skip

    def _rng(self, *words: str) -> np.random.Generator:
        return generator(self.settings.seed, "\t".join((self.one.name, self.table.name, *words)))


def _constant(units: Units) -> str:
    if np.ptp(units.x) == 0:
        return "the potential is the same in all samples"
    if np.ptp(units.y) == 0:
        return "the measurement is the same in all samples, or below a limit in all"
    return ""


def _filled(
    blank: Association, result: Associations, place: int, permutations: int, units: Units
) -> Association:
    """An association with its correlation and null, or the reason why there is none."""
    value = float(result.correlations[place])
    reason = ""
    if math.isnan(value):
        reason = (
            "nothing of potential or measurement varies"
            + (" within people" if units.given.people is not None else "")
            + (f" once {blank.given} is given" if blank.given else "")
        )
    elif math.isnan(result.p[place]):
        reason = (
            "no permutations are asked for"
            if permutations < 1
            else f"no two {units.shuffled} can change places, so there is no null"
        )
    made = 0 if math.isnan(result.p[place]) else permutations
    return replace(
        blank, spearman=value, null_low=float(result.null_low[place]),
        null_high=float(result.null_high[place]), p=float(result.p[place]), permutations=made,
        least_p=result.least_p if made else math.nan, shuffled=units.shuffled if made else "",
        reason=reason,
    )  # fmt: skip


# --- what was found -------------------------------------------------------------------------------


def _with_q(found: Sequence[Association], fdr: float) -> list[Association]:
    """False discovery rates: named and exploratory pairs apart, each level and frame too."""
    families = [f"{a.kind}|{a.level}|{'given' if a.given else 'alone'}" for a in found]
    rates = adjust(np.array([a.p for a in found], dtype=np.float64), families)
    result = []
    for association, q in zip(found, rates, strict=True):
        finding = NOT_TESTED
        if not math.isnan(q):
            finding = BEYOND_NULL if q <= fdr else WITHIN_NULL
        result.append(replace(association, q=float(q), finding=finding))
    return result


def _say_of_findings(found: Sequence[Association], settings: Settings, account: Account) -> None:
    """One line per named pair and level, one for all exploratory pairs."""
    for one in found:
        if one.kind != NAMED:
            continue
        item = f"{one.metabolite} and {one.table} {one.feature}, {one.level}"
        if one.given:
            item += f", given {one.given}"
        if one.reason:
            account.left_out(item, one.reason, one.samples, one.subjects)
        elif one.least_p > settings.fdr:
            account.partly(
                item,
                f"only {round(1 / one.least_p)} shufflings are possible, so p is"
                f" {one.least_p:.2g} at least",
                one.samples, one.subjects,
            )  # fmt: skip
        else:
            account.done(item, one.samples, one.subjects)
    other = [one for one in found if one.kind == EXPLORATORY]
    if not other:
        account.left_out("exploratory pairs", "no other feature could be compared")
        return
    tested = [one for one in other if not math.isnan(one.p)]
    samples = max(one.samples for one in other)
    least = min((one.least_p for one in tested), default=math.nan)
    # The least q is least_p times tests over the number of features that reach it together.
    alone = least * len(tested)
    if tested and alone > settings.fdr:
        account.partly(
            "exploratory pairs",
            f"{len(tested)} tests with a least p of {least:.2g}: q can fall to {settings.fdr:g}"
            f" only if {math.ceil(alone / settings.fdr)} pairs reach it together; more"
            " permutations would tell more",
            samples,
        )
    else:
        account.done("exploratory pairs", samples)


def write_metabolites(
    cohort: Cohort,
    sheet: str | os.PathLike[str] | None,
    settings: Settings,
    account: Account,
    outputs: Mapping[str, str | os.PathLike[str]],
    *,
    unit: str | None = None,
    phenotypes: str | os.PathLike[str] | None = None,
) -> Results:
    """Read the sheet, compare, and write both tables.

    Parameters
    ----------
    sheet
        Of measured metabolites; without one the tables have no rows, and the account says so.
    outputs
        Paths of ``associations`` and ``points``.
    unit
        Setting ``metabolite_unit``.
    phenotypes
        Table of phenotypes that the cohort was read with, for the second null.
    """
    results = Results([], [])
    if sheet is None:
        account.left_out(
            "metabolites", "no sheet of measured metabolites is given (setting `metabolites`)"
        )
    else:
        measured = read_sheet(sheet, cohort.samples, account, unit=unit)
        organisms = None if phenotypes is None else read_organisms(phenotypes)
        results = associate_metabolites(cohort, measured, settings, account, organisms)
    write_table(
        outputs["associations"], ASSOCIATION_COLUMNS, (one.row() for one in results.associations)
    )
    write_table(outputs["points"], POINT_COLUMNS, results.points)
    return results
