"""Check a catalogue: its form, its references, its identifiers and what they stand for.

With that of Fermentome the tables of literature are checked too, which name its routes.
"""

import argparse
from pathlib import Path

from fermentome.catalogue import CatalogueFiles, load_catalogue
from fermentome.defaults import WORKFLOW
from fermentome.enzymes import read_identifiers
from fermentome.lint import Finding, lint
from fermentome.literature import CAUTION, DIET, check_caution, check_diet, read_literature

IDENTIFIERS = "identifiers.tsv"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``fermentome lint``."""
    parser.add_argument(
        "--catalogue",
        metavar="DIR",
        default=WORKFLOW / "resources",
        type=Path,
        help="folder with families.yaml, pathways.yaml and single_copy.yaml, and an"
        f" {IDENTIFIERS} of its own if it has one (default: that of Fermentome)",
    )
    parser.add_argument(
        "--schemas",
        metavar="DIR",
        default=WORKFLOW / "schemas",
        type=Path,
        help="folder with the JSON Schemas (default: those of Fermentome)",
    )
    parser.add_argument(
        "--identifiers",
        metavar="TSV",
        action="append",
        default=[],
        type=Path,
        help="further table of identifiers that are known, in the form of Fermentome's"
        f" {IDENTIFIERS}; may be given several times",
    )


def run(arguments: argparse.Namespace) -> int:
    """Print one line per finding.

    Returns
    -------
    int
        1 if there is an error; warnings do not count.
    """
    folder = _shortened(arguments.catalogue)
    tables = [WORKFLOW / "resources" / IDENTIFIERS]
    own = folder / IDENTIFIERS
    if own.exists() and own.resolve() != tables[0].resolve():
        tables.append(own)
    identifiers = read_identifiers([*tables, *arguments.identifiers])
    files = CatalogueFiles.in_folders(folder, arguments.schemas)
    findings = lint(files, identifiers)
    broken = any(finding.severity == "error" for finding in findings)
    if own.exists() and own.resolve() == tables[0].resolve() and not broken:
        findings = [*findings, *_literature(arguments.schemas)]
    for finding in findings:
        print(finding.line())
    errors = sum(finding.severity == "error" for finding in findings)
    print(f"{folder}: {errors} errors, {len(findings) - errors} warnings")
    return 1 if errors else 0


def _literature(schemas: Path) -> list[Finding]:
    """Faults of the tables of diets and of organisms of caution."""
    folder = WORKFLOW / "resources"
    diet, caution = (
        read_literature(folder / f"{name}.yaml", schemas / f"{name}.schema.yaml")
        for name in (DIET, CAUTION)
    )
    pathways = load_catalogue(CatalogueFiles.in_folders(folder, schemas)).pathways
    reported = [name for name, route in pathways.items() if route.reported]
    faults = ((DIET, check_diet(diet, reported)), (CAUTION, check_caution(caution)))
    return [Finding("error", f"{name}.yaml", "", text) for name, own in faults for text in own]


def _shortened(folder: Path) -> Path:
    """Path from the working directory, where the folder lies below it."""
    here = Path.cwd()
    return folder.relative_to(here) if folder.is_relative_to(here) else folder
