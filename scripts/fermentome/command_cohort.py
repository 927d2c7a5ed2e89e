"""Compare samples, groups and people on feature tables, and make reference cohorts.

`run` does what the workflow does after its tables, on those of a run or of another tool.
`reference` makes a reference cohort of people, in which others can be placed. All results are
about genetic potential.
"""

import argparse
from pathlib import Path

TABLES = ("taxa", "families", "pathways", "products")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``fermentome cohort``."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    run_parser = actions.add_parser("run", help="compare samples, groups and people")
    _add_inputs(run_parser)
    run_parser.add_argument(
        "--out", metavar="DIR", type=Path, required=True, help="folder to write"
    )
    _add_settings(run_parser)
    reference = actions.add_parser("reference", help="make a reference cohort")
    _add_inputs(reference)
    _add_description(reference)


def _add_inputs(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--results", metavar="DIR", type=Path, help="results of a run: its tables and databases"
    )
    for name in TABLES:
        parser.add_argument(f"--{name}", metavar="TSV", type=Path, help=f"table of {name}")
    parser.add_argument(
        "--metadata", metavar="TSV", type=Path, help="what is known of the samples, which are its"
        " rows or its columns (with --results: tables/reads.tsv)",
    )  # fmt: skip
    parser.add_argument(
        "--reads", metavar="TSV", type=Path, help="counts of reads beside metadata without them"
    )
    parser.add_argument(
        "--phenotypes", metavar="TSV", type=Path, help="routes of genomes (phenotypes.tsv), for the"
        " potential by organisms",
    )  # fmt: skip
    parser.add_argument("--rank", default="species", help="rank of the taxa (default: species)")
    parser.add_argument(
        "--unit", metavar="TABLE=UNIT", action="append", default=[], help="unit of a table of"
        " another tool, as 'pathways=copies per genome'; others are closed to 1",
    )  # fmt: skip
    parser.add_argument(
        "--processing", metavar="YAML", type=Path, help="what the reads went through (with"
        " --results: databases/processing.yaml)",
    )  # fmt: skip
    parser.add_argument(
        "--rarefaction-depth", metavar="READS", type=int, help="reads to which richness is"
        " standardised; the same in a reference and in those who are placed in it",
    )  # fmt: skip


def _add_settings(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--config", metavar="YAML", type=Path, help="sections `cohort` and `model`, as in"
        " config/config.yaml; the options below go before it",
    )  # fmt: skip
    for option, text in (
        ("group", "column whose levels are compared"),
        ("covariate", "column along which effects are estimated"),
        ("batch", "column of technical origin"),
    ):
        parser.add_argument(f"--{option}", metavar="COLUMN", action="append", help=text)
    parser.add_argument(
        "--reference-level", metavar="COLUMN=LEVEL", action="append",
        help="level with which the others of its column are compared",
    )  # fmt: skip
    parser.add_argument("--reference-group", metavar="COLUMN=LEVEL", help="compare people to these")
    parser.add_argument("--baseline", metavar="TIMEPOINT", help="everybody's baseline")
    parser.add_argument("--permutations", metavar="N", type=int, help="of each permutation test")
    parser.add_argument("--seed", metavar="N", type=int, help="of all that is random")
    parser.add_argument("--metabolites", metavar="TSV", help="measured metabolites")
    parser.add_argument("--metabolite-unit", metavar="UNIT", help="where its columns name none")
    parser.add_argument(
        "--reference-cohort", metavar="DIR", help="reference cohort, for percentiles"
    )
    parser.add_argument("--target", metavar="COLUMN", help="train a model of this column")


def _add_description(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--name", required=True, help="as hmp2-non-ibd")
    parser.add_argument("--version", required=True, help="as 1")
    parser.add_argument("--description", required=True, help="who these people are")
    parser.add_argument("--source", required=True, help="where the data came from, as a DOI")
    parser.add_argument("--licence", required=True, help="of the values")
    parser.add_argument("--selection", required=True, help="how the people were chosen")
    parser.add_argument(
        "--where", metavar="COLUMN=LEVEL", action="append", default=[], help="only these samples"
    )
    parser.add_argument(
        "--stratum", metavar="COLUMN[=EDGE,...]", action="append", default=[],
        help="column by which people are told apart, with edges of bands for numbers",
    )  # fmt: skip
    parser.add_argument("--out", metavar="DIR", type=Path, required=True, help="folder to write")


def run(arguments: argparse.Namespace) -> int:
    """Run an action.

    Returns
    -------
    int
        1 if an analysis ended with an error; the others are made all the same.
    """
    # The statistics take seconds to import, and `fermentome --help` asks every command for its
    # arguments.
    from fermentome.command_cohort_run import analyse, make_reference

    return make_reference(arguments) if arguments.action == "reference" else analyse(arguments)
