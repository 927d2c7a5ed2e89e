"""Compare the products that genome mode calls with those that organisms are known to make.

Runs genome mode on the genomes of ``truth/genomes.tsv`` and compares the products whose routes it
calls present with the measured ones (`phenotypes`). Everything is done with the whole reference,
and again without reference proteins that are at least 90 % and 70 % identical to a protein of the
genome: the reference was built from some of these genomes.

Writes organisms.tsv (genome, product, call, truth, verdict), organisms_routes.tsv,
organisms_summary.tsv, organisms_reference.tsv, organisms.png and organisms.md. Any folder with
``genomes/`` (or ``proteomes/``) and ``truth/genomes.tsv`` of that layout will do.

    python benchmarks/accuracy/organisms.py --reference DIR [--data DIR]
"""

from __future__ import annotations

import argparse
import datetime
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(ROOT / "scripts"), str(HERE)]

import annotation  # noqa: E402
import matplotlib as mpl  # noqa: E402
import phenotypes  # noqa: E402
from annotation import FULL  # noqa: E402
from matplotlib.axes import Axes  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402
from matplotlib.lines import Line2D  # noqa: E402
from matplotlib.patches import Patch, Rectangle  # noqa: E402

from fermentome.catalogue import Catalogue, load_catalogue  # noqa: E402
from fermentome.defaults import catalogue_files  # noqa: E402
from fermentome.figures import BLUE, GREY, STYLE, VERMILION  # noqa: E402
from fermentome.genes import GenomeFile  # noqa: E402
from fermentome.genomes import Member, ScoredGenome  # noqa: E402
from fermentome.lineage import read_lineages  # noqa: E402
from fermentome.tables import Cell, read_table, write_table  # noqa: E402

IDENTITIES = (90, 70)
"""Per cent; reference proteins this close to the genome are taken away."""
PRESENT, INDETERMINATE = "present", "indeterminate"
ORDER_OF_CALLS = (PRESENT, INDETERMINATE, "below_detection", "absent")
WRONG = ("false_positive", "false_negative")

COLUMNS = ("reference", "genome", "organism", "product", "call", "routes", "why_not", "made",
           "verdict", "source")  # fmt: skip
SUMMARY_COLUMNS = ("reference", "product", "true_positive", "false_negative", "false_positive",
                   "true_negative", "debated_called", "debated_not_called", "not_listed_called",
                   "not_listed_not_called", "wrong")  # fmt: skip
ROUTE_COLUMNS = ("reference", "genome", "organism", "pathway", "product", "direction", "call",
                 "completeness", "copies", "missing_steps", "reason")  # fmt: skip
REFERENCE_COLUMNS = ("reference", "genome", "organism", "proteins_removed", "families_lost",
                     "genome_completeness", "status")  # fmt: skip

Row = dict[str, Cell]


def load_library_catalogue() -> Catalogue:
    """The catalogue of this repository."""
    return load_catalogue(catalogue_files(None))


# --- calls ----------------------------------------------------------------------------------------


def formed_products(catalogue: Catalogue) -> dict[str, tuple[str, ...]]:
    """Reported routes that form each product, or turn it to and fro."""
    routes: dict[str, list[str]] = defaultdict(list)
    for name in sorted(catalogue.pathways):
        pathway = catalogue.pathways[name]
        if pathway.reported and pathway.direction != "consumption":
            routes[pathway.product].append(name)
    return {product: tuple(names) for product, names in routes.items()}


def product_calls(genome: ScoredGenome, routes: Mapping[str, Sequence[str]]) -> dict[str, Row]:
    """Call of each product of a genome: that of its best route.

    ``why_not`` is the reason of the best route that is not present.
    """
    calls = {call.pathway: call for call in genome.calls}
    found: dict[str, Row] = {}
    for product, names in routes.items():
        own = [calls[name] for name in names if name in calls]
        if not own:
            found[product] = {"call": None, "routes": "", "why_not": genome.called.reason}
            continue
        best = min(own, key=lambda call: ORDER_OF_CALLS.index(call.call))
        present = [call.pathway for call in own if call.call == PRESENT]
        nearest = max(own, key=lambda call: (-ORDER_OF_CALLS.index(call.call), call.completeness))
        found[product] = {
            "call": best.call,
            "routes": ",".join(present),
            "why_not": "" if present else f"{nearest.pathway}: {nearest.reason}",
        }
    return found


def compare(
    reference: str,
    genomes: Iterable[ScoredGenome],
    organisms: Mapping[str, phenotypes.Organism],
    routes: Mapping[str, Sequence[str]],
    products: Sequence[str],
    truth: Mapping[tuple[str, str], phenotypes.Fact],
) -> list[Row]:
    """Rows of organisms.tsv for one reference."""
    rows: list[Row] = []
    for genome in genomes:
        name = genome.called.name
        calls = product_calls(genome, routes)
        for product in products:
            fact = truth[name, product]
            call = calls[product]
            verdict = phenotypes.verdict(fact.made, call["call"] == PRESENT)
            rows.append(
                {"reference": reference, "genome": name, "organism": organisms[name].organism,
                 "product": product, **call, "made": fact.made, "verdict": verdict,
                 "source": fact.source}
            )  # fmt: skip
    return rows


def summarise(rows: Iterable[Mapping[str, Cell]]) -> list[Row]:
    """Counts of verdicts by reference and product, and over the complete ones."""
    counts: dict[tuple[str, str], Counter[str]] = {}
    for row in rows:
        key = (str(row["reference"]), str(row["product"]))
        verdict = str(row["verdict"])
        if verdict in ("debated", "not_listed"):
            verdict += "_called" if row["call"] == PRESENT else "_not_called"
        counts.setdefault(key, Counter())[verdict] += 1
    return [
        {"reference": reference, "product": product,
         **{column: count[column] for column in SUMMARY_COLUMNS[2:-1]},
         "wrong": sum(count[word] for word in WRONG)}
        for (reference, product), count in counts.items()
    ]  # fmt: skip


def route_rows(
    reference: str,
    genomes: Iterable[ScoredGenome],
    organisms: Mapping[str, phenotypes.Organism],
) -> list[Row]:
    """Rows of organisms_routes.tsv for one reference."""
    return [
        {"reference": reference, "genome": genome.called.name,
         "organism": organisms[genome.called.name].organism, "pathway": call.pathway,
         "product": call.product, "direction": call.direction, "call": call.call,
         "completeness": call.completeness, "copies": call.copies,
         "missing_steps": ",".join(call.missing_steps), "reason": call.reason}
        for genome in genomes
        for call in genome.calls
    ]  # fmt: skip


def reference_rows(
    reference: str,
    genomes: Iterable[ScoredGenome],
    organisms: Mapping[str, phenotypes.Organism],
    members: Mapping[str, Member],
    removed: Mapping[int, set[str]],
) -> list[Row]:
    """Rows of organisms_reference.tsv: what was taken away."""
    rows: list[Row] = []
    every = {member.family for member in members.values()}
    for position, genome in enumerate(genomes):
        gone = removed.get(position, set())
        left = {m.family for protein, m in members.items() if protein not in gone}
        rows.append(
            {"reference": reference, "genome": genome.called.name,
             "organism": organisms[genome.called.name].organism, "proteins_removed": len(gone),
             "families_lost": ",".join(sorted(every - left)),
             "genome_completeness": genome.completeness, "status": genome.called.status}
        )  # fmt: skip
    return rows


# --- figure ---------------------------------------------------------------------------------------


def draw(rows: Sequence[Mapping[str, Cell]], products: Sequence[str], path: Path) -> None:
    """Heat map, one panel per reference: colour and letter are the call, the frame is the truth.

    Blue with a dot: present. Pale orange: indeterminate. White: absent. Frame solid: measured.
    Hatched: debated. Dotted grey: not listed. A cross marks what contradicts the truth.
    """
    references = list(dict.fromkeys(str(row["reference"]) for row in rows))
    organisms = {str(row["genome"]): str(row["organism"]) for row in rows}
    places = {genome: number for number, genome in enumerate(organisms)}
    with mpl.rc_context(STYLE):
        height = 0.21 * len(organisms) + 1.4
        figure = Figure(figsize=(1.6 + 0.30 * len(products) * len(references) + 0.3, height))
        panels = figure.subplots(1, len(references), sharey=True, squeeze=False)[0]
        for panel, reference in zip(panels, references, strict=True):
            own = [row for row in rows if row["reference"] == reference]
            for row in own:
                _cell(panel, row, places, products)
            panel.set_xlim(0, len(products))
            panel.set_ylim(len(organisms), 0)
            panel.set_xticks([i + 0.5 for i in range(len(products))], products, rotation=90)
            panel.set_yticks(
                [i + 0.5 for i in range(len(organisms))],
                [phenotypes.short_name(name) for name in organisms.values()],
                style="italic",
            )
            panel.tick_params(length=0)
            panel.set_title(reference_title(reference), fontsize=8)
            for spine in panel.spines.values():
                spine.set_visible(False)
        figure.legend(handles=_legend(), loc="upper center", bbox_to_anchor=(0.5, 0.0), ncol=4,
                      frameon=False, fontsize=7)  # fmt: skip
        figure.subplots_adjust(left=0.18, right=0.99, top=0.93, bottom=0.2, wspace=0.06)
        figure.savefig(path, metadata={"Software": None}, bbox_inches="tight", pad_inches=0.08)


def reference_title(reference: str) -> str:
    """Name of a reference over its panel."""
    if reference == FULL:
        return "whole reference"
    return f"without proteins ≥ {reference.rsplit('_', 1)[1]} % identical"


FACES = {PRESENT: BLUE, INDETERMINATE: "#F6D38B"}


def _cell(
    panel: Axes, row: Mapping[str, Cell], places: Mapping[str, int], products: Sequence[str]
) -> None:
    x, y = products.index(str(row["product"])), places[str(row["genome"])]
    face = FACES.get(str(row["call"]), "white")
    panel.add_patch(
        Rectangle((x + 0.06, y + 0.06), 0.88, 0.88, facecolor=face, edgecolor="#CCCCCC", lw=0.4)
    )
    if row["made"] == "yes":
        frame = Rectangle((x + 0.1, y + 0.1), 0.8, 0.8, fill=False, edgecolor="black", lw=1.3)
        panel.add_patch(frame)
    if row["made"] == "debated":
        frame = Rectangle((x + 0.06, y + 0.06), 0.88, 0.88, fill=False, edgecolor="black",
                          lw=0.6, hatch="//////")  # fmt: skip
        panel.add_patch(frame)
    if row["made"] == "not_listed":
        colour = "white" if row["call"] == PRESENT else GREY
        panel.text(x + 0.5, y + 0.54, "?", ha="center", va="center", fontsize=6,
                   color=colour)  # fmt: skip
    if row["verdict"] in WRONG:
        panel.plot([x + 0.25, x + 0.75], [y + 0.25, y + 0.75], color=VERMILION, lw=1.6)
        panel.plot([x + 0.25, x + 0.75], [y + 0.75, y + 0.25], color=VERMILION, lw=1.6)


def _legend() -> list[object]:
    return [
        Patch(facecolor=BLUE, label="route present"),
        Patch(facecolor=FACES[INDETERMINATE], edgecolor="#CCCCCC", label="indeterminate"),
        Patch(facecolor="white", edgecolor="#CCCCCC", label="absent"),
        Patch(facecolor="white", edgecolor="black", lw=1.3, label="product measured"),
        Patch(facecolor="white", edgecolor="black", hatch="//////", label="debated"),
        Patch(facecolor="white", edgecolor="white", label="?  not listed: no verdict"),
        Line2D([], [], marker="x", color=VERMILION, lw=0, mew=1.6, label="against the truth"),
    ]


# --- summary --------------------------------------------------------------------------------------


def write_summary(
    path: Path,
    rows: Sequence[Mapping[str, Cell]],
    summary: Sequence[Mapping[str, Cell]],
    extra: Sequence[str],
    missing: Sequence[str],
    catalogue: Catalogue,
) -> None:
    """Write organisms.md: the targets, met or missed, and what else there is to know."""
    lines = ["# Organisms", "",
             f"{datetime.date.today().isoformat()}, catalogue {catalogue.version}, "
             f"{len({row['genome'] for row in rows})} genomes. "
             "Calls are of genetic potential; truth is what cultures made.", "",
             "| target | reference | value | |", "|---|---|---|---|"]  # fmt: skip
    references = list(dict.fromkeys(str(row["reference"]) for row in rows))
    products = list(dict.fromkeys(str(row["product"]) for row in rows))
    for product in ("butyrate", "propionate"):
        for reference in references:
            lines.append(target_line(product, reference, rows))
    lines += ["", "Debated: " + (debated_line(rows) or "nothing") + ".", "",
              "Other products: called of measured; in brackets, called though not listed (no "
              "verdict), and called though known not to be made.", "",
              f"| product | {' | '.join(map(reference_title, references))} |",
              "|---" * (len(references) + 1) + "|"]  # fmt: skip
    cells = {(row["product"], row["reference"]): row for row in summary}
    for product in products:
        if product not in ("butyrate", "propionate"):
            counts = [_counts(cells[product, reference]) for reference in references]
            lines.append(f"| {product} | {' | '.join(counts)} |")
    lines += ["", *unreported_lines(products, missing, catalogue), *extra]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _counts(row: Mapping[str, Cell]) -> str:
    right, missed = int(str(row["true_positive"])), int(str(row["false_negative"]))
    return f"{right} of {right + missed} ({row['not_listed_called']}, {row['false_positive']})"


def unreported_lines(
    products: Iterable[str], missing: Iterable[str], catalogue: Catalogue
) -> list[str]:
    """Why measured products may go uncalled: routes that are not reported, or not there at all."""
    silent: dict[str, list[str]] = defaultdict(list)
    for pathway in catalogue.pathways.values():
        if pathway.direction != "consumption" and not pathway.reported:
            silent[pathway.product].append(pathway.id)
    lines = [f"- {product}: in the catalogue, but not reported (reasons there): "
             f"{', '.join(sorted(silent[product]))}."
             for product in [*products, *missing] if silent[product]]  # fmt: skip
    absent = [product for product in missing if not silent[product]]
    lines += (
        [f"- measured, without a route in the catalogue: {', '.join(absent)}."] if absent else []
    )
    return ["Not called by design:", "", *lines, ""] if lines else []


def target_line(product: str, reference: str, rows: Iterable[Mapping[str, Cell]]) -> str:
    """One line of the table of targets."""
    own = [row for row in rows if (row["product"], row["reference"]) == (product, reference)]
    by_verdict: dict[str, list[str]] = defaultdict(list)
    for row in own:
        by_verdict[str(row["verdict"])].append(phenotypes.short_name(str(row["organism"])))
    right, missed = by_verdict["true_positive"], by_verdict["false_negative"]
    wrong = by_verdict["false_positive"]
    value = f"{len(right)} of {len(right) + len(missed)}"
    value += f" (missed: {', '.join(missed)})" if missed else ""
    value += f"; {len(wrong)} others" + (f" ({', '.join(wrong)})" if wrong else "")
    met = "met" if not missed and not wrong else "missed"
    return (
        f"| {product}: all producers, no other | {reference_title(reference)} | {value} | {met} |"
    )


def debated_line(rows: Iterable[Mapping[str, Cell]]) -> str:
    """What is called of what is debated."""
    parts = defaultdict(list)
    for row in rows:
        if row["made"] == "debated":
            parts[f"{row['organism']}, {row['product']}"].append(
                f"{row['call']} ({reference_title(str(row['reference']))})"
            )
    return "; ".join(f"{name}: {', '.join(calls)}" for name, calls in parts.items())


# --- the embedded example -------------------------------------------------------------------------


def check_example(catalogue: Catalogue, work: Path, threads: int) -> str:
    """Genome mode on the embedded genomes against the families that were put into them."""
    folder = ROOT / "example/data"
    planted: dict[str, set[str]] = defaultdict(set)
    for row in read_table(folder / "truth/genomes.tsv", ["genome", "family", "copies"]):
        if row["copies"] != "0":
            planted[row["genome"]].add(row["family"])
    files = [GenomeFile(path.name.split(".")[0], path)
             for path in sorted((folder / "genomes").glob("*.fna.gz"))]  # fmt: skip
    members = annotation.read_members(folder / "reference", catalogue)
    found = annotation.search(files, folder / "reference", work, threads)
    genomes = annotation.score(found, members, {}, catalogue, {}, work)
    held = {member.family for member in members.values()}
    counts: Counter[tuple[str, str]] = Counter()
    for genome in genomes:
        seen = {match.family for match in genome.annotation.matches}
        truth = planted[genome.called.name] & held
        for word, names in (("found", seen & truth), ("lost", truth - seen), ("new", seen - truth)):
            for name in names:
                kind = "single-copy" if name in catalogue.single_copy else "route and decoy"
                counts[kind, word] += 1
    parts = [
        f"{counts[kind, 'found']} of {counts[kind, 'found'] + counts[kind, 'lost']} planted {kind} "
        f"families found, {counts[kind, 'new']} that were not planted"
        for kind in ("route and decoy", "single-copy")
    ]
    return f"Embedded example ({len(files)} genomes): {'; '.join(parts)}."


# --- run ------------------------------------------------------------------------------------------


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared/data")
    parser.add_argument("--reference", type=Path, required=True, help="protein reference folder")
    parser.add_argument("--work", type=Path, help="scratch folder; default: a temporary one")
    parser.add_argument("--out", type=Path, default=HERE / "results")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--quick", action="store_true", help="without the 70 %% reference")
    options = parser.parse_args(arguments)
    if not (options.data / "truth/genomes.tsv").is_file():
        print(f"organisms: skipped, there is no {options.data}/truth/genomes.tsv")
        return 0
    with tempfile.TemporaryDirectory() as scratch:
        work = options.work or Path(scratch)
        run(options.data, options.reference, work, options.out, options.threads, options.quick)
    return 0


def run(data: Path, reference: Path, work: Path, out: Path, threads: int, quick: bool) -> None:
    """Score, compare, write."""
    out.mkdir(parents=True, exist_ok=True)
    work.mkdir(parents=True, exist_ok=True)
    catalogue = load_library_catalogue()
    listed = phenotypes.read_organisms(data / "truth/genomes.tsv")
    files = {o.genome: annotation.find_file(data, o.genome, ("genomes", "proteomes"))
             for o in listed}  # fmt: skip
    organisms = {o.genome: o for o in listed if files[o.genome]}
    routes = formed_products(catalogue)
    literature = phenotypes.read_literature()
    products = phenotypes.products_of(listed, routes, literature)
    truth = phenotypes.read_truth(listed, products, literature)
    members = annotation.read_members(reference, catalogue)
    table = data / "truth/lineages.tsv"
    lineages = read_lineages(table) if table.is_file() else {}
    found = annotation.search([f for f in files.values() if f], reference, work, threads)
    rows: list[Row] = []
    by_route: list[Row] = []
    by_reference: list[Row] = []
    for identity in (None, *(IDENTITIES[:1] if quick else IDENTITIES)):
        name = FULL if identity is None else f"without_{identity}"
        removed = {} if identity is None else annotation.close_relatives(found.hits, identity)
        genomes = annotation.score(found, members, lineages, catalogue, removed, work)
        rows += compare(name, genomes, organisms, routes, products, truth)
        by_route += route_rows(name, genomes, organisms)
        by_reference += reference_rows(name, genomes, organisms, members, removed)
    summary = summarise(rows)
    write_table(out / "organisms.tsv", COLUMNS, rows)
    write_table(out / "organisms_routes.tsv", ROUTE_COLUMNS, by_route)
    write_table(out / "organisms_summary.tsv", SUMMARY_COLUMNS, summary)
    write_table(out / "organisms_reference.tsv", REFERENCE_COLUMNS, by_reference)
    draw(rows, products, out / "organisms.png")
    absent = [o.organism for o in listed if not files[o.genome]]
    extra = [check_example(catalogue, work / "example", threads)]
    extra += [f"No sequence of: {', '.join(absent)}."] if absent else []
    missing = phenotypes.not_covered(listed, products)
    write_summary(out / "organisms.md", rows, summary, extra, missing, catalogue)
    print((out / "organisms.md").read_text(encoding="utf-8"))


if __name__ == "__main__":
    sys.exit(main())
