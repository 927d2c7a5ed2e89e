"""The command line: ``fermentome genomes``, ``table``, ``cohort``, ``lint`` and ``db``.

The workflow does not need it. It opens the doors in the middle of the road: genomes and the
tables of other tools, scored by the same catalogue and the same code. ``fermentome cohort`` does
what the workflow does after its feature tables. ``fermentome db`` looks
after the reference databases that all of them use.
"""

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module

from fermentome.errors import FermentomeError

COMMANDS = {
    "genomes": "say which SCFA routes genomes, MAGs or proteomes carry",
    "table": "score the routes from a KO, EC or UniRef table of another tool",
    "cohort": "compare samples, groups and people, or make a reference cohort",
    "lint": "check a catalogue",
    "db": "get, build, check and carry reference databases",
}


def build_parser() -> argparse.ArgumentParser:
    """Parser of all commands; each command's module adds its own arguments."""
    parser = argparse.ArgumentParser(
        prog="fermentome",
        description="Genetic potential for short-chain fatty acids. Reads are annotated by the"
        " Snakemake workflow; these commands serve what is not reads.",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, summary in COMMANDS.items():
        module = import_module(f"fermentome.command_{name}")
        command = commands.add_parser(name, help=summary, description=module.__doc__)
        module.add_arguments(command)
        command.set_defaults(run=module.run)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Returns
    -------
    int
        0 if everything asked for was made; 1 if something failed, which is said on standard
        error; 2 for a mistake on the command line.
    """
    options = build_parser().parse_args(arguments)
    try:
        code: int = options.run(options)
    except FermentomeError as error:
        print(f"fermentome {options.command}: {error}", file=sys.stderr)
        return 1
    return code
