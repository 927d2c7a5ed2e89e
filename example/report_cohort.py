"""Say what the analysis of the example cohort found of what was planted in it.

Usage: ``report_cohort.py FOLDER``, the folder that `simulate_cohort.py` wrote, with the analysis
in ``FOLDER/analysis``. Prints each planted fact beside what was found, writes the same to
``FOLDER/recovery.tsv`` and ends with exit code 1 if a fact is missed that must be found. What
chance may hide in so few people is shown and not demanded.
"""

from __future__ import annotations

import math
import statistics
import sys
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from scipy import stats

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "scripts")]

from simulate_cohort import (  # noqa: E402  # after the path is set
    ANTIBIOTIC_DAYS,
    BATCH_EFFECT,
    BUK,
    BUT,
    DAYS,
    FIBRE_DAYS,
    GROUPS,
    HALF_LIFE,
    ORGANISMS,
    SUSCEPTIBLE_CLASSES,
    SWAPPED,
    genus_of,
)

from fermentome.cohort.settings import Settings  # noqa: E402
from fermentome.tables import parse_number, read_table, write_table  # noqa: E402

FINDING_COLUMNS = ("fact", "planted", "found", "must_be_found", "verdict")
FDR = Settings().fdr
EVENT_DAYS = {"antibiotics": ANTIBIOTIC_DAYS, "fibre": FIBRE_DAYS}
BUTYRATE = "product:butyrate"
PLACED = (BUTYRATE, "product:propionate", "product:acetate", "diversity:shannon")
"""Measures whose percentiles are looked at."""
Row = Mapping[str, str]


@dataclass(frozen=True)
class Finding:
    """A planted fact, what was found of it, and whether that is right."""

    fact: str
    planted: str
    found: str
    right: bool
    must: bool = True

    @property
    def verdict(self) -> str:
        """One word."""
        if self.right:
            return "found"
        return "MISSED" if self.must else "not found"


class Study:
    """Tables of the analysis and of the truth, read when they are asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._read: dict[str, list[dict[str, str]]] = {}

    def table(self, name: str) -> list[dict[str, str]]:
        """Rows of a table of the analysis, or of another one by its path in the folder."""
        if name not in self._read:
            path = name if "/" in name else f"analysis/{name}.tsv"
            self._read[name] = read_table(self.folder / path)
        return self._read[name]

    def response(self, event: str, measure: str) -> Row:
        """Mean response of people during an event."""
        (row,) = (
            row
            for row in self.table("responses")
            if (row["event"], row["phase"], row["measure"]) == (event, "during", measure)
        )
        return row

    def groups(self) -> dict[str, str]:
        """Group of each person."""
        return {row["subject"]: row["group"] for row in self.table("truth/products.tsv")}

    def planted_change(self, event: str) -> float:
        """Planted mean net log2 change of the potential for butyrate during an event.

        Counted as the analysis counts: per person the mean over the days of the event less the
        mean over the days before it, and from the mean over people that of the people without any
        event, whose baseline is the first day. Composition is in it: on the drug everything else
        takes a larger share.
        """
        logs: dict[str, dict[int, float]] = defaultdict(dict)
        for row in self.table("truth/products.tsv"):
            if row["product"] == "butyrate":
                value = math.log2(parse_number(row["copies_per_genome"]))
                logs[row["subject"]][int(row["day"])] = value
        days = EVENT_DAYS[event]
        changes: dict[str, list[float]] = defaultdict(list)
        for subject, group in self.groups().items():
            before = DAYS[:1] if group == "control" else [day for day in DAYS if day < min(days)]
            own = logs[subject]
            change = statistics.fmean(own[d] for d in days) - statistics.fmean(
                own[d] for d in before
            )
            changes[group].append(change)
        return statistics.fmean(changes[event]) - statistics.fmean(changes["control"])


# Facts -------------------------------------------------------------------------------------------


def report_event(study: Study, event: str, sign: int) -> list[Finding]:
    """Butyrate during an event: on the average, in whom, through which carriers."""
    row = study.response(event, BUTYRATE)
    net, low, high = (parse_number(row[f"net_{name}"]) for name in ("difference", "low", "high"))
    direction = "up" if sign > 0 else "down"
    called, people = int(row[f"called_{direction}"]), GROUPS[event]
    other_way = int(row["called_down" if sign > 0 else "called_up"])
    return [
        Finding(
            f"{event}: potential for butyrate, mean net log2 change",
            f"{study.planted_change(event):+.2f}",
            f"{net:+.2f} ({low:+.2f} to {high:+.2f})",
            low > 0 if sign > 0 else high < 0,
        ),
        Finding(
            f"{event}: people whose butyrate is called {direction}",
            f"{people} of {people}",
            f"{called} of {row['people']}" + (f", {other_way} the other way" * bool(other_way)),
            other_way == 0 and called >= 0.75 * people,
            # What the fibre does lies within the noise band of a single person.
            must=event != "fibre" or other_way > 0,
        ),
    ]


def report_intervals(study: Study) -> list[Finding]:
    """How many of the intervals of the mean changes hold what was planted."""
    held = 0
    for event in EVENT_DAYS:
        row, planted = study.response(event, BUTYRATE), study.planted_change(event)
        held += parse_number(row["net_low"]) <= planted <= parse_number(row["net_high"])
    return [
        Finding(
            "intervals of these changes that hold the planted one",
            "95 %",
            f"{held} of {len(EVENT_DAYS)}",
            # In 100 studies drawn with other seeds, 94 % do; one of two may well miss.
            held > 0,
        )
    ]


def report_carriers(study: Study) -> list[Finding]:
    """Carriers of butyrate that fall on the drug."""
    planted = {
        genus_of(species)
        for species, lineage, _, routes in ORGANISMS
        if {BUT, BUK} & set(routes) and any(name in lineage for name in SUSCEPTIBLE_CLASSES)
    }
    fell = set()
    for row in study.table("responses"):
        kind, _, name = row["measure"].partition("|")
        if (kind, row["event"], row["phase"]) != ("carrier:butyrate", "antibiotics", "during"):
            continue
        if parse_number(row["net_q"]) <= FDR and parse_number(row["net_difference"]) < 0:
            fell.add(name)
    missed = ", ".join(sorted(planted - fell))
    return [
        Finding(
            "antibiotics: genera whose butyrate routes fall",
            f"{len(planted)}",
            f"{len(fell & planted)}" + (f" (not {missed})" if missed else ""),
            len(fell & planted) >= 0.5 * len(planted),
        )
    ]


def report_return(study: Study) -> list[Finding]:
    """Time to return after the drug."""
    (row,) = (
        row
        for row in study.table("recovery_summary")
        if (row["event"], row["measure"]) == ("antibiotics", BUTYRATE)
    )
    back, left = int(row["returned"]), int(row["left"])
    median, low, high = (parse_number(row[name]) for name in ("median_time", "ci_low", "ci_high"))
    upper = "later" if math.isnan(high) else f"{high:.0f}"
    return [
        Finding(
            "antibiotics: days until butyrate is back in the noise band",
            f"half-life {HALF_LIFE:.0f}",
            f"median {median:.0f} ({low:.0f} to {upper}), {back} of {left} back",
            # Deviations of 2 log2 are within a band of half to one log2 after one to two
            # half-lives; visits are up to two weeks apart.
            HALF_LIFE / 2 <= median <= 3 * HALF_LIFE and back >= left / 2,
        )
    ]


def report_swap(study: Study) -> list[Finding]:
    """The exchanged pair of samples, and no other."""
    flagged = {
        row["sample"]: (row["verdict"], row["partner"])
        for row in study.table("swaps")
        if row["verdict"] not in {"not_flagged", "NA"}
    }
    first, second = SWAPPED
    found = [name if partner == "NA" else f"{name}={partner}" for name, (_, partner) in
             sorted(flagged.items()) if partner == "NA" or name < partner]  # fmt: skip
    return [
        Finding(
            "samples exchanged between two people, and no other",
            f"{first}={second}",
            ", ".join(found) or "none",
            flagged == {first: ("pair", second), second: ("pair", first)},
        )
    ]


def report_batch(study: Study) -> list[Finding]:
    """The second sequencing run: seen in the composition, and its direction in propionate."""
    (row,) = (
        row
        for row in study.table("permanova")
        if (row["table"], row["metric"], row["term"]) == ("taxa", "aitchison", "sequencing_run")
    )
    runs = {row["sample"]: row["sequencing_run"] for row in study.table("results/tables/reads.tsv")}
    controls = {name for name, group in study.groups().items() if group == "control"}
    logs: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for point in study.table("people"):
        if point["measure"] != "product:propionate" or point["subject"] not in controls:
            continue
        value = parse_number(point["value"])
        # Replicates of a visit are one row, named for its samples; they are of one run.
        run = runs[point["sample"].split("; ")[0]]
        if value > 0:
            logs[point["subject"]][run].append(math.log2(value))
    steps = [
        statistics.fmean(of["run2"]) - statistics.fmean(of["run1"])
        for of in logs.values()
        if of["run1"] and of["run2"]
    ]
    step = statistics.fmean(steps)
    return [
        Finding(
            "second sequencing run: species differ (Aitchison)",
            "they do",
            f"p {row['p']}",
            parse_number(row["p"]) <= FDR,
        ),
        Finding(
            "second sequencing run: propionate of controls, log2",
            f"up to {BATCH_EFFECT:+.1f}",
            f"{step:+.2f}",
            0 < step <= BATCH_EFFECT,
        ),
    ]


def report_metabolites(study: Study) -> list[Finding]:
    """Measured butyrate follows its potential, propionate follows nothing."""
    named: dict[tuple[str, str], list[Row]] = defaultdict(list)
    others: list[Row] = []
    for row in study.table("metabolites"):
        if row["kind"] == "named":
            named[row["metabolite"], row["level"]].append(row)
        elif row["metabolite"] == "propionate" and row["p"] != "NA":
            others.append(row)

    def shown(rows: Sequence[Row]) -> str:
        return "; ".join(f"rho {parse_number(row['spearman']):+.2f}, q {row['q']}" for row in rows)

    between, within = named["butyrate", "between_people"], named["butyrate", "within_people"]
    nothing = [row for (name, _), rows in named.items() if name == "propionate" for row in rows]
    beyond = [row for row in others if row["finding"] == "beyond_null"]
    return [
        Finding(
            "measured butyrate follows its potential between people",
            "it does",
            shown(between),
            bool(between) and all(row["finding"] == "beyond_null" for row in between),
        ),
        Finding(
            "measured butyrate follows its potential within people",
            "it does",
            shown(within),
            bool(within) and all(row["finding"] == "beyond_null" for row in within),
            # Three samples per person are few.
            must=False,
        ),
        Finding(
            "measured propionate follows nothing: named associations",
            "0",
            f"{sum(row['finding'] == 'beyond_null' for row in nothing)} of {len(nothing)}",
            bool(nothing) and all(row["finding"] == "within_null" for row in nothing),
        ),
        Finding(
            "measured propionate follows nothing: all others",
            "0",
            f"{len(beyond)} of {len(others)}",
            len(beyond) <= FDR * len(others),
        ),
    ]


def report_nulls(study: Study) -> list[Finding]:
    """What was called although nothing was planted."""
    controls = {name for name, group in study.groups().items() if group == "control"}
    called: dict[str, int] = dict.fromkeys(controls, 0)
    compared = 0
    for row in study.table("people"):
        if row["subject"] in controls and row["sample"] not in SWAPPED:
            compared += row["change"] in {"up", "down", "no"}
            called[row["subject"]] += row["change"] in {"up", "down"}
    wrong, people = sum(called.values()), sum(map(bool, called.values()))
    ages = [
        parse_number(row["q"])
        for row in study.table("effects")
        if row["term"] == "age" and row["q"] != "NA"
    ]
    by_age = sum(q <= FDR for q in ages)
    return [
        Finding(
            "controls: changes called where none is",
            f"at most {100 * FDR:.0f} %",
            f"{wrong} of {compared}, in {people} of {len(controls)} people",
            compared > 0 and wrong <= FDR * compared,
        ),
        Finding(
            "age, which does nothing: features called",
            f"at most {100 * FDR:.0f} %",
            f"{by_age} of {len(ages)}",
            bool(ages) and by_age <= FDR * len(ages),
        ),
    ]


def report_percentiles(study: Study) -> list[Finding]:
    """People at baseline and people of the reference are drawn alike: percentiles are uniform."""
    before = {
        (row["subject"], row["timepoint"])
        for row in study.table("people")
        if row["phase"] == "baseline"
    }
    findings = []
    for measure in PLACED:
        places: dict[str, list[float]] = defaultdict(list)
        for row in study.table("percentiles"):
            if row["measure"] != measure or (row["subject"], row["timepoint"]) not in before:
                continue
            place = parse_number(row["percentile"])
            if not math.isnan(place):
                places[row["subject"]].append(place)
        own = [statistics.fmean(values) for _, values in sorted(places.items())]
        quarters = [sum(25 * i <= v < 25 * (i + 1) + (i == 3) for v in own) for i in range(4)]
        p = float(stats.kstest([value / 100 for value in own], "uniform").pvalue) if own else 0.0
        findings.append(
            Finding(
                f"percentiles at baseline, {measure.partition(':')[2]}",
                "uniform",
                f"{'/'.join(map(str, quarters))} in quarters, p {p:.2f}",
                # Four tests, and 60 people of a reference that are themselves drawn at random.
                p > 0.01 / len(PLACED),
            )
        )
    return findings


FACTS: tuple[Callable[[Study], list[Finding]], ...] = (
    lambda study: report_event(study, "antibiotics", -1),
    report_carriers,
    report_return,
    lambda study: report_event(study, "fibre", +1),
    report_intervals,
    report_swap,
    report_batch,
    report_metabolites,
    report_nulls,
    report_percentiles,
)


def findings_of(folder: Path) -> list[Finding]:
    """All facts."""
    study = Study(folder)
    return [finding for fact in FACTS for finding in fact(study)]


def main() -> None:
    """Print and write the report."""
    folder = Path(sys.argv[1])
    findings = findings_of(folder)
    print("\nThe example cohort against what was planted in it. Its tables are drawn at random:")
    print("this shows that the analyses find what is there, not what is true of people.\n")
    wide = max(len(finding.fact) for finding in findings)
    print(f"{'':{wide}}  {'planted':16}  found")
    for finding in findings:
        mark = "" if finding.right else f"  {finding.verdict}"
        print(f"{finding.fact:{wide}}  {finding.planted:16}  {finding.found}{mark}")
    rows = [
        {
            "fact": finding.fact, "planted": finding.planted, "found": finding.found,
            "must_be_found": "yes" if finding.must else "no", "verdict": finding.verdict.lower(),
        }
        for finding in findings
    ]  # fmt: skip
    write_table(folder / "recovery.tsv", FINDING_COLUMNS, rows)
    print(f"\nCohort: {folder}/analysis (tables, figures/, account.tsv), {folder}/recovery.tsv")
    missed = sum(finding.must and not finding.right for finding in findings)
    if missed:
        sys.exit(f"{missed} planted facts were missed")


if __name__ == "__main__":
    main()
