"""Measure what the linter's comparison of numbers and names catches, and what it wrongly blames.

Slips: each KEGG orthologue of each family is replaced by every number that a slip of the finger
makes of it (see build_identifiers.py), and the family judged anew. Names: each number and name of
the enzyme list in HUMAnN 3.9 is judged as if it were a family; as both are right, a contradiction
is a false alarm.

    python benchmarks/identifiers/measure.py humann-3.9.tar.gz

Results: slips.tsv (one row per outcome) and missed_slips.tsv (one row per slip that passes).
"""

import argparse
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

from build_identifiers import ROOT, read_names, slips

from fermentome.catalogue import CatalogueFiles, Family, load_catalogue
from fermentome.enzymes import Identifiers, enzyme_types, is_of_type, read_identifiers
from fermentome.lint import family_remarks, orthologues
from fermentome.tables import Cell, write_table

HERE = Path(__file__).parent


def outcome(family: Family, wrong: str, identifiers: Identifiers) -> str:
    """What the linter says of a family with a wrong orthologue."""
    if ("ko", wrong) not in identifiers:
        return "unknown number"
    errors = [r for r in family_remarks(family, identifiers) if r.severity == "error"]
    return "other meaning" if any(wrong in error.text for error in errors) else "missed"


def main(argv: list[str] | None = None) -> int:
    """Write the two tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("package", type=Path, help="humann-3.9.tar.gz, or the folder unpacked")
    options = parser.parse_args(argv)
    resources = ROOT / "workflow/resources"
    catalogue = load_catalogue(CatalogueFiles.in_folders(resources, ROOT / "workflow/schemas"))
    identifiers = read_identifiers([resources / "identifiers.tsv"])
    counts: Counter[str] = Counter()
    missed: list[dict[str, Cell]] = []
    for family in catalogue.families.values():
        for number in orthologues(family):
            for wrong in sorted(set(slips(number)) - set(orthologues(family))):
                logic = (family.ko_logic or "").replace(number, wrong)
                said = outcome(replace(family, ko_logic=logic), wrong, identifiers)
                counts[said] += 1
                if said == "missed":
                    meaning = identifiers["ko", wrong].meaning()
                    missed.append(
                        {"family": family.id, "ko": number, "slip": wrong, "slip_is": meaning}
                    )
    names = read_names(options.package)["ec"]
    judged = {ec: types for ec, name in names.items() if (types := enzyme_types(name))}
    false = sum(not is_of_type(ec, types) for ec, types in judged.items())
    rows: list[dict[str, Cell]] = [
        {"measured": f"slips: {said}", "count": counts[said], "of": counts.total()}
        for said in ("unknown number", "other meaning", "missed")
    ]
    rows.append({"measured": "names: false alarms", "count": false, "of": len(judged)})
    version = {"catalogue": catalogue.version}
    write_table(
        HERE / "slips.tsv",
        ("measured", "count", "of", "share", "catalogue"),
        (
            {**row, "share": float(row["count"] or 0) / float(row["of"] or 1), **version}
            for row in rows
        ),
    )
    write_table(HERE / "missed_slips.tsv", ("family", "ko", "slip", "slip_is"), missed)
    return 0


if __name__ == "__main__":
    sys.exit(main())
