"""Compare product calls with those of other tools and rule sets, on the same genomes and reads.

Fed the same annotations, in the same run:

- *Fermentome*: genome mode, and the workflow on reads;
- *HUMAnN 3.9*: its own program and MetaCyc structures with their gap filling and MinPath; on reads
  its translated search of the same proteins;
- *GMM v1.07*: modules complete, and from two thirds of their steps;
- *DRAM's form*: a product is claimed if any of its rows is lit.

The others get the orthologues and enzyme numbers of every family, decoys included, that genome
mode finds in a genome; and those that the names of all its other proteins stand for (RefSeq names
against the name tables that HUMAnN ships, and `peer_names.tsv`). A gene is named after the nearest
protein of the proteomes of the data, most often its own. What nothing could name is in
others_identifiers.tsv. On reads there is only the protein set: identifiers outside of it are
beyond the reach of all.

Writes others.tsv, others_summary.tsv, others_identifiers.tsv, others_reads.tsv,
others_speed.tsv, others.png and others.md. HUMAnN is used from ``--humann``, or put into an
environment of its own below the work folder; if neither works, its rows are missing and others.md
says "not run".

    python benchmarks/accuracy/others.py --reference DIR [--data DIR] [--humann PROGRAM]
"""

from __future__ import annotations

import argparse
import datetime
import re
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(ROOT / "scripts"), str(HERE)]

import annotation  # noqa: E402
import matplotlib as mpl  # noqa: E402
import peers  # noqa: E402
import phenotypes  # noqa: E402
from annotation import FULL  # noqa: E402
from matplotlib.axes import Axes  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402
from matplotlib.patches import Patch, Rectangle  # noqa: E402
from organisms import (  # noqa: E402
    Row,
    formed_products,
    load_library_catalogue,
    product_calls,
    reference_title,
)
from others_reads import compare_reads  # noqa: E402
from peer_calls import (  # noqa: E402
    HUMANN,
    OURS,
    TOOLS,
    Identifiers,
    Peers,
    calls_of_tools,
    compared_products,
    find_humann,
    humann_on_genomes,
    judged,
    load_peers,
    orthologues,
)

from fermentome.catalogue import Catalogue  # noqa: E402
from fermentome.figures import BLUE, GREY, ORANGE, STYLE, VERMILION  # noqa: E402
from fermentome.genomes import ScoredGenome  # noqa: E402
from fermentome.lineage import read_lineages  # noqa: E402
from fermentome.reference import read_fasta, write_fasta  # noqa: E402
from fermentome.tables import Cell, write_table  # noqa: E402

IDENTITY = 90
"""Per cent; the second reference lacks proteins this close to the genome."""
TRANSFER_IDENTITY, TRANSFER_COVER = 50, 80
"""Per cent; the nearest named protein lends its name to one without."""


#: Products with a target, whose absence from a list of products means something.
MAIN = ("butyrate", "propionate")
SHOWN = ("butyrate", "propionate", "acetate", "lactate")

COLUMNS = ("reference", "tool", "genome", "organism", "product", "called", "rules", "made",
           "verdict")  # fmt: skip
VERDICTS = ("true_positive", "false_negative", "false_positive", "true_negative")
SUMMARY_COLUMNS = ("reference", "tool", "product", *VERDICTS, "not_listed_called", "errors")
READ_COLUMNS = ("community", "members", "tool", "product", "called", "rules", "made", "verdict")
SPEED_COLUMNS = ("community", "fragments", "tool", "step", "seconds", "fragments_kept",
                 "relative_time", "relative_fragments")  # fmt: skip
IDENTIFIER_COLUMNS = ("identifier", "rules", "families", "genomes_by_family", "genomes_by_name")


# --- annotation -----------------------------------------------------------------------------------


def identify(
    genome: ScoredGenome,
    names: Mapping[str, str],
    tables: peers.NameTables,
    catalogue: Catalogue,
) -> Identifiers:
    """Identifiers of a genome.

    A protein that counts for a family has the family's orthologues and numbers. What the family
    lacks (it may have no orthologue), and proteins without a family, go by their names.

    Parameters
    ----------
    names
        Product name of each protein that has one.
    """
    found = Identifiers()
    of_protein: dict[str, set[str]] = defaultdict(set)
    for match in genome.annotation.matches:
        if match.family in catalogue.families:
            found.families[match.family] += 1
            of_protein[match.protein.name].add(match.family)
    for protein, name in names.items():
        families = of_protein.get(protein, set())
        has_orthologue = any(orthologues(catalogue, f) for f in families)
        has_number = any(catalogue.families[f].ec for f in families)
        for identifier in tables.identifiers(name):
            if not (has_orthologue if identifier.startswith("K") else has_number):
                found.names[identifier] += 1
    return found


def proteome_names(path: Path) -> dict[str, str]:
    """Product name of each protein of a RefSeq proteome."""
    return {
        record.identifier: peers.product_of_header(record.description)
        for record in read_fasta(path)
    }


def lend_names(
    found: annotation.Search,
    unnamed: Iterable[int],
    proteomes: Sequence[Path],
    work: Path,
    threads: int,
) -> dict[int, dict[str, str]]:
    """Names for the genes of genomes: that of the nearest protein of the proteomes.

    Only where at least `TRANSFER_IDENTITY` per cent of residues agree over `TRANSFER_COVER` per
    cent of both.
    """
    wanted = set(unnamed)
    if not wanted or not proteomes:
        return {position: {} for position in wanted}
    named: dict[str, str] = {}
    records = []
    for path in proteomes:
        for record in read_fasta(path):
            named[record.identifier] = peers.product_of_header(record.description)
            records.append((record.identifier, record.sequence))
    write_fasta(work / "named.faa", records)
    queries = [(f"{position}|{name}", sequence)
               for position, name, sequence in annotation.read_sequences(found.proteins)
               if position in wanted]  # fmt: skip
    write_fasta(work / "unnamed.faa", queries)
    index, hits = work / "named.dmnd", work / "named.tsv"
    call = ["diamond", "makedb", "--in", str(work / "named.faa"), "--db", str(index), "--quiet"]
    subprocess.run(call, check=True)
    subprocess.run(
        ["diamond", "blastp", "--query", str(work / "unnamed.faa"), "--db", str(index),
         "--out", str(hits), "--id", str(TRANSFER_IDENTITY), "--query-cover", str(TRANSFER_COVER),
         "--subject-cover", str(TRANSFER_COVER), "--max-target-seqs", "1", "--quiet",
         "--threads", str(threads), "--outfmt", "6", "qseqid", "sseqid"],
        check=True,
    )  # fmt: skip
    lent: dict[int, dict[str, str]] = {position: {} for position in wanted}
    for line in hits.read_text(encoding="utf-8").splitlines():
        query, subject = line.split("\t")
        position, _, name = query.partition("|")
        lent[int(position)][name] = named[subject]
    return lent


# --- genomes --------------------------------------------------------------------------------------


@dataclass
class Genomes:
    """The genomes of a data folder, searched once.

    Parameters
    ----------
    names
        Product names by position and protein.
    """

    organisms: list[phenotypes.Organism]
    search: annotation.Search
    names: dict[int, dict[str, str]]


def prepare(data: Path, reference: Path, work: Path, threads: int) -> Genomes:
    """Search all genomes, and name their proteins."""
    listed = phenotypes.read_organisms(data / "truth/genomes.tsv")
    files = {o.genome: annotation.find_file(data, o.genome, ("genomes", "proteomes"))
             for o in listed}  # fmt: skip
    organisms = [o for o in listed if files[o.genome]]
    used = [file for file in files.values() if file]
    search = annotation.search(used, reference, work, threads)
    names = {
        position: proteome_names(file.path)
        for position, file in enumerate(used)
        if file.path.parent.name == "proteomes"
    }
    unnamed = [position for position in range(len(used)) if position not in names]
    proteomes = sorted((data / "proteomes").glob("*.faa*"))
    names |= lend_names(search, unnamed, proteomes, work, threads)
    return Genomes(organisms, search, names)


def compare_genomes(
    genomes: Genomes,
    reference: Path,
    data: Path,
    known: Peers,
    catalogue: Catalogue,
    work: Path,
) -> tuple[list[Row], dict[str, dict[str, Identifiers]]]:
    """Rows of others.tsv, and the identifiers by reference and genome."""
    routes = formed_products(catalogue)
    products = compared_products(genomes.organisms, routes, known)
    truth = phenotypes.read_truth(genomes.organisms, products, phenotypes.read_literature())
    members = annotation.read_members(reference, catalogue)
    table = data / "truth/lineages.tsv"
    lineages = read_lineages(table) if table.is_file() else {}
    rows: list[Row] = []
    fed: dict[str, dict[str, Identifiers]] = {}
    for identity in (None, IDENTITY):
        name = FULL if identity is None else f"without_{identity}"
        hits = genomes.search.hits
        removed = {} if identity is None else annotation.close_relatives(hits, identity)
        scored = annotation.score(genomes.search, members, lineages, catalogue, removed, work)
        fed[name] = {
            genome.called.name: identify(genome, genomes.names[position], known.names, catalogue)
            for position, genome in enumerate(scored)
        }
        pathways = humann_on_genomes(fed[name], known, catalogue, work / name)
        for organism, genome in zip(genomes.organisms, scored, strict=True):
            own = product_calls(genome, routes)
            ours = {p: [r for r in str(own[p]["routes"]).split(",") if r] for p in products}
            calls = calls_of_tools(
                ours, fed[name][organism.genome].all(catalogue),
                pathways.get(organism.genome), known, products,
            )  # fmt: skip
            for (tool, product), rules in calls.items():
                row: Row = {"reference": name, "tool": tool, "genome": organism.genome,
                            "organism": organism.organism, "product": product}  # fmt: skip
                rows.append(row | judged(rules, truth[organism.genome, product].made))
    rows.sort(key=lambda row: (row["reference"] != FULL, TOOLS.index(str(row["tool"]))))
    return rows, fed


def summarise(rows: Iterable[Mapping[str, Cell]]) -> list[Row]:
    """Verdicts by reference, tool and product, and over the products of the targets."""
    counts: dict[tuple[str, str, str], Counter[str]] = {}
    for row in rows:
        if row["verdict"] == "no_rule":
            continue
        verdict = str(row["verdict"])
        if verdict == "not_listed":
            verdict = f"not_listed_{'called' if row['called'] == 'yes' else 'not_called'}"
        product = str(row["product"])
        groups = [product, "all"] + ["butyrate and propionate"] * (product in MAIN)
        for group in groups:
            key = (str(row["reference"]), str(row["tool"]), group)
            counts.setdefault(key, Counter())[verdict] += 1
    return [
        {"reference": reference, "tool": tool, "product": product,
         **{column: count[column] for column in SUMMARY_COLUMNS[3:-1]},
         "errors": count["false_negative"] + count["false_positive"]}
        for (reference, tool, product), count in sorted(
            counts.items(), key=lambda item: (item[0][0] != FULL, item[0][2],
                                              TOOLS.index(item[0][1])))
    ]  # fmt: skip


def identifier_rows(
    known: Peers, catalogue: Catalogue, fed: Mapping[str, Identifiers]
) -> list[Row]:
    """Each identifier that a rule asks for, and in how many genomes it was found, by what."""
    asked: dict[str, set[str]] = defaultdict(set)
    for rules in known.rules["gmm"].values():
        for rule in rules:
            for step in known.modules[rule].steps:
                for orthologue in set().union(*step):
                    asked[orthologue].add(rule)
    for rules in known.rules["dram"].values():
        for rule in rules:
            for identifier in known.form[rule]:
                asked[identifier].add(f"DRAM {rule}")
    if known.package is not None:
        numbers = peers.reaction_numbers(known.package)
        wanted = {rule for rules in known.rules["humann"].values() for rule in rules}
        text = (known.package / peers.HUMANN_PATHWAYS).read_text(encoding="utf-8")
        for line in text.splitlines():
            pathway, _, structure = line.partition("\t")
            if pathway in wanted:
                for reaction in re.findall(r"[^\s(),+]+", structure):
                    for number in numbers.get(reaction.lstrip("-"), ()):
                        asked[f"EC:{number}"].add(pathway)
    families: dict[str, set[str]] = defaultdict(set)
    for family in catalogue.families.values():
        for orthologue in orthologues(catalogue, family.id):
            families[orthologue].add(family.id)
        for number in family.ec:
            families[f"EC:{number}"].add(family.id)
    rows: list[Row] = []
    for identifier in sorted(asked):
        own = families.get(identifier, set())
        name = identifier.removeprefix("EC:")
        rows.append(
            {"identifier": identifier, "rules": ",".join(sorted(asked[identifier])),
             "families": ",".join(sorted(own)),
             "genomes_by_family": sum(bool(own & ids.families.keys()) for ids in fed.values()),
             "genomes_by_name": sum(name in ids.names for ids in fed.values())}
        )  # fmt: skip
    return rows


# --- figure ---------------------------------------------------------------------------------------

FACES = {
    "true_positive": BLUE,
    "true_negative": "white",
    "false_positive": VERMILION,
    "false_negative": ORANGE,
}
SIGNS = {"false_positive": "+", "false_negative": "−"}


def draw(rows: Sequence[Mapping[str, Cell]], path: Path) -> None:
    """Verdicts by organism (lines), tool (columns) and product (panels), errors on top."""
    genomes = {str(row["genome"]): str(row["organism"]) for row in rows}
    places = {genome: number for number, genome in enumerate(genomes)}
    tools = [tool for tool in TOOLS if any(row["tool"] == tool and row["verdict"] != "no_rule"
                                           for row in rows)]  # fmt: skip
    products = [p for p in SHOWN if any(row["product"] == p for row in rows)]
    with mpl.rc_context(STYLE):
        cell, left, top, bottom = 0.21, 1.3, 0.62, 1.85
        width = left + 0.2 + cell * (len(tools) + 1) * len(products)
        height = top + bottom + cell * len(genomes)
        figure = Figure(figsize=(width, height))
        panels = figure.subplots(1, len(products), sharey=True, squeeze=False)[0]
        for panel, product in zip(panels, products, strict=True):
            _panel(panel, [row for row in rows if row["product"] == product], tools, places)
            panel.set_title(product, fontsize=9, pad=20)
        panels[0].set_yticks(
            [i + 0.5 for i in range(len(genomes))],
            [phenotypes.short_name(name) for name in genomes.values()],
            style="italic",
        )
        figure.text(left / width - 0.01, 1 - (top - 0.14) / height, "wrong calls", ha="right",
                    va="center", fontsize=7, weight="bold")  # fmt: skip
        figure.legend(handles=_legend(), loc="lower center", bbox_to_anchor=(0.5, 0.0), ncol=3,
                      frameon=False, fontsize=7)  # fmt: skip
        figure.subplots_adjust(left=left / width, right=1 - 0.1 / width, top=1 - top / height,
                               bottom=bottom / height, wspace=1 / len(tools))  # fmt: skip
        title = reference_title(str(rows[0]["reference"])) if rows else ""
        figure.text(0.99, -0.02, f"reference {title} to the genome", ha="right", fontsize=6)
        figure.savefig(path, metadata={"Software": None}, bbox_inches="tight", pad_inches=0.08)


def _panel(
    panel: Axes,
    rows: Sequence[Mapping[str, Cell]],
    tools: Sequence[str],
    places: Mapping[str, int],
) -> None:
    """One product: a cell for each organism and tool, the errors of the tool on top."""
    for number, tool in enumerate(tools):
        own = [row for row in rows if row["tool"] == tool]
        for row in own:
            _cell(panel, row, number, places[str(row["genome"])])
        wrong = sum(row["verdict"] in SIGNS for row in own)
        ruled = any(row["verdict"] != "no_rule" for row in own)
        panel.text(number + 0.5, -0.2, str(wrong) if ruled else "–", ha="center", va="bottom",
                   fontsize=7, weight="bold")  # fmt: skip
    panel.set_xlim(0, len(tools))
    panel.set_ylim(len(places), 0)
    panel.set_xticks([i + 0.5 for i in range(len(tools))], tools, rotation=90, fontsize=7)
    panel.tick_params(length=0)
    for spine in panel.spines.values():
        spine.set_visible(False)


def _cell(panel: Axes, row: Mapping[str, Cell], x: int, y: int) -> None:
    verdict = str(row["verdict"])
    face = FACES.get(verdict, "white")
    hatch = "//////" if verdict == "debated" else None
    panel.add_patch(
        Rectangle((x + 0.06, y + 0.06), 0.88, 0.88, facecolor=face,
                  edgecolor="black" if hatch else "#CCCCCC", lw=0.4, hatch=hatch)
    )  # fmt: skip
    text, colour = SIGNS.get(verdict, ""), "black"
    if verdict in ("debated", "not_listed") and row["called"] == "yes":
        text, colour = "●", "black" if hatch else GREY
    if verdict == "no_rule":
        text, colour = "–", GREY
    panel.text(x + 0.5, y + 0.52, text, ha="center", va="center", fontsize=8, color=colour)


def _legend() -> list[Patch]:
    edge = "#CCCCCC"
    return [
        Patch(facecolor=BLUE, label="made and called"),
        Patch(facecolor="white", edgecolor=edge, label="neither made nor called"),
        Patch(facecolor=VERMILION, label="+ called, not made"),
        Patch(facecolor=ORANGE, label="− made, not called"),
        Patch(facecolor="white", edgecolor="black", hatch="//////", label="debated (● called)"),
        Patch(facecolor="white", edgecolor=edge, label="● called, not listed;  – no rule"),
    ]


# --- summary --------------------------------------------------------------------------------------


def write_summary(
    path: Path,
    summary: Sequence[Mapping[str, Cell]],
    rows: Sequence[Mapping[str, Cell]],
    reads: Sequence[Mapping[str, Cell]],
    speed: Sequence[Mapping[str, Cell]],
    identifiers: Sequence[Mapping[str, Cell]],
    known: Peers,
    catalogue: Catalogue,
) -> None:
    """Write others.md."""
    count = len({row["genome"] for row in rows})
    unmet = [str(row["identifier"]) for row in identifiers
             if not row["families"] and not row["genomes_by_name"]]  # fmt: skip
    lines = [
        "# Beside the others",
        "",
        f"{datetime.date.today().isoformat()}, catalogue {catalogue.version}, {count} genomes. "
        f"HUMAnN: {known.version}. GMM v1.07 and DRAM's form as in the data folder. All are fed the"
        " same annotations; see the head of `others.py`. Wrong calls = made but not called + called"
        " but not made.",
        "",
        "| tool | reference | butyrate and propionate: wrong (missed, too many) of | "
        "all products: wrong (missed, too many) of |",
        "|---|---|---|---|",
    ]
    cells = {(row["reference"], row["tool"], row["product"]): row for row in summary}
    for reference in dict.fromkeys(str(row["reference"]) for row in summary):
        for tool in TOOLS:
            if (reference, tool, "all") in cells:
                lines.append(
                    f"| {tool} | {reference_title(reference)} | "
                    f"{_errors(cells.get((reference, tool, 'butyrate and propionate')))} | "
                    f"{_errors(cells[reference, tool, 'all'])} |"
                )
    lines += ["", _first(cells, known), "", _misses(rows), ""]
    if reads:
        lines += read_lines(reads, speed)
    lines += [
        f"Identifiers that a rule asks for: {len(identifiers)}; {len(unmet)} of them were found in "
        "no genome by family or name (others_identifiers.tsv). Rules that claim a product: "
        "`peer_rules.tsv`.",
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _errors(row: Mapping[str, Cell] | None) -> str:
    if row is None:
        return "no rule"
    known = sum(int(str(row[verdict])) for verdict in VERDICTS)
    return f"{row['errors']} ({row['false_negative']}, {row['false_positive']}) of {known}"


def _first(cells: Mapping[tuple[Cell, Cell, Cell], Mapping[str, Cell]], known: Peers) -> str:
    """Whether we are first, without proteins of the genomes themselves."""
    reference, group = f"without_{IDENTITY}", "butyrate and propionate"
    errors = {tool: int(str(cells[reference, tool, group]["errors"])) for tool in TOOLS
              if (reference, tool, group) in cells}  # fmt: skip
    best = min((n, tool) for tool, n in errors.items() if tool != OURS)
    word = "met" if errors[OURS] < best[0] else "missed"
    left_out = "" if known.humann else " HUMAnN was not run."
    return (
        "Target, ours first on butyrate and propionate without proteins of the genomes themselves: "
        f"{errors[OURS]} wrong, the next ({best[1]}) {best[0]}: {word}.{left_out}"
    )


def _misses(rows: Iterable[Mapping[str, Cell]]) -> str:
    """What we miss among all products, and why a comparison over all of them says little."""
    missed = Counter(
        str(row["product"])
        for row in rows
        if row["tool"] == OURS
        and row["reference"] == f"without_{IDENTITY}"
        and row["verdict"] == "false_negative"
    )
    listed = ", ".join(f"{product} {n}" for product, n in missed.most_common()) or "none"
    return (
        f"Our misses by product, without close relatives: {listed}. Routes that the catalogue does "
        "not report (D-lactate, succinate) are never called. The truth "
        f"knows non-makers of {', '.join(phenotypes.COMPLETE)} alone: for the other products a "
        "rule that always holds makes no error (others_summary.tsv: not_listed_called)."
    )


def read_lines(
    reads: Sequence[Mapping[str, Cell]], speed: Sequence[Mapping[str, Cell]]
) -> list[str]:
    """Lines about the reads."""
    lines = ["Reads, simulated communities of equal cells:", "",
             "| tool | wrong calls of butyrate and propionate | of all products |",
             "|---|---|---|"]  # fmt: skip
    for tool in TOOLS:
        own = [row for row in reads if row["tool"] == tool and row["verdict"] in VERDICTS]
        if own:
            main = [row for row in own if row["product"] in MAIN]
            wrong = [sum(row["verdict"] in SIGNS for row in part) for part in (main, own)]
            lines.append(f"| {tool} | {wrong[0]} of {len(main)} | {wrong[1]} of {len(own)} |")
    ratios = [row for row in speed if row["tool"] == HUMANN]
    if ratios:
        times = [float(str(row["relative_time"])) for row in ratios]
        kept = [float(str(row["relative_fragments"])) for row in ratios]
        lines += ["", f"HUMAnN's run takes {min(times):.1f} to {max(times):.1f} times as long as "
                  f"our search of the same reads and proteins and keeps {min(kept):.2f} to "
                  f"{max(kept):.2f} of the fragments (identity from 50 %)."]  # fmt: skip
    return [*lines, ""]


# --- run ------------------------------------------------------------------------------------------


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared/data")
    parser.add_argument("--reference", type=Path, required=True, help="protein reference folder")
    parser.add_argument("--work", type=Path, help="scratch folder; default: a temporary one")
    parser.add_argument("--out", type=Path, default=HERE / "results")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--humann", default="", metavar="PROGRAM",
                        help="HUMAnN 3.9; 'none' to leave it out")  # fmt: skip
    parser.add_argument("--quick", action="store_true", help="one small community of reads")
    options = parser.parse_args(arguments)
    if not all((options.data / part).exists() for part in ("truth/genomes.tsv", "rules")):
        print(f"others: skipped, there is no truth/genomes.tsv or rules/ in {options.data}")
        return 0
    with tempfile.TemporaryDirectory() as scratch:
        run(options, (options.work or Path(scratch)).resolve())
    return 0


def run(options: argparse.Namespace, work: Path) -> None:
    """Compare and write."""
    options.out.mkdir(parents=True, exist_ok=True)
    work.mkdir(parents=True, exist_ok=True)
    catalogue = load_library_catalogue()
    known = load_peers(options.data, *find_humann(options.humann, work))
    genomes = prepare(options.data, options.reference, work, options.threads)
    rows, fed = compare_genomes(
        genomes, options.reference, options.data, known, catalogue, work / "genomes"
    )
    summary = summarise(rows)
    identifiers = identifier_rows(known, catalogue, fed[FULL])
    out = options.out
    write_table(out / "others.tsv", COLUMNS, rows)
    write_table(out / "others_summary.tsv", SUMMARY_COLUMNS, summary)
    write_table(out / "others_identifiers.tsv", IDENTIFIER_COLUMNS, identifiers)
    draw([row for row in rows if row["reference"] != FULL], out / "others.png")
    # Written before the reads too: their part takes longest, and the genomes stand alone.
    write_summary(out / "others.md", summary, rows, [], [], identifiers, known, catalogue)
    reads, speed = compare_reads(
        genomes.organisms, options.data, options.reference, known, catalogue, work / "reads",
        options.threads, options.quick,
    )  # fmt: skip
    write_table(out / "others_reads.tsv", READ_COLUMNS, reads)
    write_table(out / "others_speed.tsv", SPEED_COLUMNS, speed)
    write_summary(out / "others.md", summary, rows, reads, speed, identifiers, known, catalogue)
    print((out / "others.md").read_text(encoding="utf-8"))


if __name__ == "__main__":
    sys.exit(main())
