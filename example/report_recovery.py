"""Say what the run of the embedded example recovered of the known truth.

Usage: ``report_recovery.py FOLDER``, the folder in which the example ran. Prints where the
results are and, per pathway, the copies per genome found beside the true ones. Ends with exit
code 1 if a call is wrong.
"""

import sys
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "scripts"))

from fermentome.catalogue import (  # noqa: E402  # after the path is set
    Catalogue,
    CatalogueFiles,
    Pathway,
    load_catalogue,
)
from fermentome.scoring import pathway_value, step_value  # noqa: E402
from fermentome.tables import parse_number, read_table  # noqa: E402

Copies = Mapping[str, float]


def is_complete(pathway: Pathway, copies: Copies) -> bool:
    """Whether a set of markers and enough steps have copies."""
    required = [step for step in pathway.steps if step.required]
    found = sum(step_value(step, copies) > 0 for step in required)
    markers = any(all(copies.get(f, 0) > 0 for f in g) for g in pathway.required_markers)
    return markers and found / len(required) >= pathway.min_completeness


def true_call(pathway: Pathway, community: Copies, genomes: Mapping[str, Copies]) -> str:
    """Call that a perfect measurement would make."""
    if pathway.evidence_scope == "taxon":
        carried = any(is_complete(pathway, copies) for copies in genomes.values())
    else:
        carried = is_complete(pathway, community)
    return "present" if carried else "not present"


def read_truth(
    folder: Path,
) -> tuple[dict[str, Copies], dict[str, dict[str, Copies]], dict[str, dict[str, float]]]:
    """True copies per genome by sample, and by sample and genome; share of cells of the latter."""
    community: dict[str, dict[str, float]] = defaultdict(dict)
    for row in read_table(folder / "truth/families.tsv"):
        community[row["sample"]][row["family"]] = float(row["copies_per_genome"])
    carried: dict[str, dict[str, float]] = defaultdict(dict)
    for row in read_table(ROOT / "example/data/truth/genomes.tsv"):
        carried[row["genome"]][row["family"]] = float(row["copies"])
    genomes: dict[str, dict[str, Copies]] = defaultdict(dict)
    cells: dict[str, dict[str, float]] = defaultdict(dict)
    for row in read_table(folder / "truth/taxa.tsv"):
        if float(row["relative_abundance"]) > 0:
            genomes[row["sample"]][row["genome"]] = carried[row["genome"]]
            cells[row["sample"]][row["genome"]] = float(row["relative_abundance"])
    return dict(community), dict(genomes), dict(cells)


def report_pathways(folder: Path, catalogue: Catalogue) -> int:
    """Print one line per sample and pathway; returns the number of wrong calls."""
    community, genomes, cells = read_truth(folder)
    proteins = read_table(ROOT / "example/data/reference/proteins.tsv")
    served = {row["family"] for row in proteins}
    wrong = inside = total = 0
    print(f"{'sample':13}{'pathway':15}{'true':>7}{'found':>7}  {'95 % interval':16}call")
    for row in read_table(folder / "results/tables/pathways.tsv"):
        if row["taxon"] != "community":
            continue
        pathway = catalogue.pathways[row["pathway"]]
        expected = true_call(pathway, community[row["sample"]], genomes[row["sample"]])
        # The measurement leaves out steps that the small reference cannot show.
        steps = [s for s in pathway.steps if any(served.issuperset(g) for g in s.alternatives)]
        right = (row["call"] == "present") == (expected == "present")
        wrong += not right
        if not any(served.issuperset(group) for group in pathway.required_markers):
            print(f"{row['sample']:13}{row['pathway']:15}{'':16}not in this small reference")
            continue
        if pathway.evidence_scope == "taxon":
            copies = sum(
                cells[row["sample"]][genome] * pathway_value(steps, carried)
                for genome, carried in genomes[row["sample"]].items()
                if is_complete(pathway, carried)
            )
        else:
            copies = pathway_value(steps, community[row["sample"]])
        found, low, high = (
            parse_number(row[column]) for column in ("copies_per_genome", "ci_low", "ci_high")
        )
        if copies:
            total += 1
            inside += low <= copies <= high
        interval = f"{low:.2f} - {high:.2f}"
        verdict = "" if right else f"  WRONG: truth is {expected}"
        print(
            f"{row['sample']:13}{row['pathway']:15}{copies:7.2f}{found:7.2f}  {interval:16}"
            f"{row['call']}{verdict}"
        )
    print(f"Of {total} routes that are there, the interval holds the true copies in {inside}.")
    return wrong


def report_species(folder: Path) -> None:
    """Print how far the species tables are from the truth."""
    true: dict[str, dict[str, float]] = defaultdict(dict)
    for row in read_table(folder / "truth/taxa.tsv"):
        true[row["sample"]][row["species"]] = float(row["relative_abundance"])
    found: dict[str, dict[str, float]] = defaultdict(dict)
    for row in read_table(folder / "results/tables/taxa.tsv"):
        found[row["sample"]][row["taxon"]] = float(row["relative_abundance"])
    for sample, species in true.items():
        names = species.keys() | found[sample].keys()
        distance = sum(abs(species.get(n, 0) - found[sample].get(n, 0)) for n in names) / 2
        present = {name for name, share in species.items() if share > 0}
        seen = len(present & found[sample].keys())
        extra = len(found[sample].keys() - present - {"unclassified"})
        print(
            f"{sample}: {seen} of {len(present)} species found, {extra} others;"
            f" Bray-Curtis distance to the truth {distance:.3f}"
        )


def report_host(folder: Path) -> None:
    """Print how many reads of the stand-in host were removed."""
    reads = {row["sample"]: row for row in read_table(folder / "results/tables/reads.tsv")}
    for row in read_table(folder / "truth/host.tsv"):
        trimmed = int(reads[row["sample"]]["trimmed_reads"])
        share = int(reads[row["sample"]]["host_reads"]) / trimmed
        true = float(row["host_fraction"])
        print(f"{row['sample']}: {share:.1%} of reads removed as host, {true:.1%} true")


def main() -> None:
    """Print the report."""
    folder = Path(sys.argv[1])
    resources = ROOT / "workflow/resources"
    catalogue = load_catalogue(CatalogueFiles.in_folders(resources, ROOT / "workflow/schemas"))
    print("\nThe embedded example against its truth. Genomes are mosaics and the reference holds")
    print("a few hundred proteins: this shows that the road works, not how well on real samples.\n")
    report_host(folder)
    print()
    report_species(folder)
    print()
    wrong = report_pathways(folder, catalogue)
    print(f"\nResults: {folder}/results (tables/, figures/, status.tsv)")
    if wrong:
        sys.exit(f"{wrong} calls are wrong")


if __name__ == "__main__":
    main()
