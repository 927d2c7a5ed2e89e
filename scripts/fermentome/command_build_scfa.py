"""Build an SCFA protein reference from labelled proteins, UniProt tables and genomes.

Sources are given by options, or by a YAML file that says more of them. How each file was read is
printed, and the database holds families.tsv: per family what came, what fell and why.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from dataclasses import replace
from pathlib import Path

from fermentome.catalogue import load_catalogue
from fermentome.databases.families import Families
from fermentome.databases.labels import NOT_USED, read_organisms
from fermentome.databases.scfa import Options
from fermentome.databases.scfa import build as build_scfa
from fermentome.databases.sources import (
    AUTO,
    GENOMES,
    UNIPROT,
    Sources,
    SourceSpec,
    read_sources,
)
from fermentome.databases.uniprot import fetch_families, queries_of
from fermentome.defaults import catalogue_files
from fermentome.errors import DatabaseError

DEFAULTS = Options()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``fermentome db build scfa``."""
    given = parser.add_argument_group("sources; those of --sources come first")
    given.add_argument(
        "--proteins", nargs="+", type=Path, default=[], metavar="FILE|FOLDER",
        help="FASTA whose headers begin with '<family>|', files named by EC number, or EC numbers"
        " in the headers; labels are put to the test",
    )  # fmt: skip
    given.add_argument(
        "--alias", nargs="+", default=[], metavar="LABEL=FAMILY",
        help="what a label of --proteins means; `LABEL=-` leaves it out",
    )  # fmt: skip
    given.add_argument("--trusted", action="store_true", help="labels of --proteins are right")
    given.add_argument(
        "--uniprot", type=Path, metavar="FOLDER",
        help="UniProt entries by family; reviewed ones are trusted",
    )  # fmt: skip
    given.add_argument(
        "--fetch", action="store_true",
        help="first fetch what --uniprot lacks, by the queries of the catalogue",
    )  # fmt: skip
    given.add_argument(
        "--release", metavar="YYYY_NN",
        help="release of UniProt that --fetch must find; without, the current one",
    )  # fmt: skip
    given.add_argument(
        "--allow-empty", nargs="+", default=[], metavar="FAMILY",
        help="families of which --fetch may find no entry",
    )  # fmt: skip
    given.add_argument(
        "--genomes", nargs="+", type=Path, default=[], metavar="FILE|FOLDER",
        help="genomes, genes (.ffn) or proteomes (.faa); give single-copy families and lineages",
    )  # fmt: skip
    given.add_argument(
        "--lineages", type=Path, metavar="TSV",
        help="of --genomes: columns genome and lineage, or genome and seven ranks",
    )  # fmt: skip
    given.add_argument(
        "--organisms", type=Path, metavar="TSV",
        help="columns organism (pattern) and lineage: for organisms that headers name",
    )  # fmt: skip
    given.add_argument("--sources", type=Path, metavar="YAML", help="docs/databases.md")
    given.add_argument(
        "--data", type=Path, metavar="DIR",
        help="folder that the paths of --sources start from; default: its own",
    )  # fmt: skip
    limits = parser.add_argument_group("what is kept")
    limits.add_argument(
        "--dereplicate", type=float, default=DEFAULTS.dereplicate, metavar="PERCENT",
        help="identity above which members that add no lineage fall; default %(default)g",
    )  # fmt: skip
    limits.add_argument(
        "--max-per-family", type=int, default=DEFAULTS.max_per_family, metavar="N",
        help="members of a family at most, chosen for diversity; default %(default)s",
    )  # fmt: skip
    limits.add_argument(
        "--min-members", type=int, default=DEFAULTS.min_members, metavar="N",
        help="warn of families with fewer; default %(default)s",
    )  # fmt: skip
    parser.add_argument(
        "--catalogue", metavar="DIR", help="families.yaml, pathways.yaml, single_copy.yaml"
    )
    parser.add_argument("--licence", default="", help="of the database; default: of its sources")
    parser.add_argument("--description", default="", help="one or two sentences")
    parser.add_argument(
        "--threads", type=int, default=os.cpu_count() or 1, metavar="N", help="default: all cores"
    )


def build(arguments: argparse.Namespace, folder: Path) -> None:
    """Write a finished reference into `folder`."""
    catalogue = load_catalogue(catalogue_files(arguments.catalogue))
    families = Families.of(catalogue)
    if not (arguments.name and arguments.version):
        raise DatabaseError("the database has no name; give --name and --version")
    if arguments.fetch and arguments.uniprot:
        fetch_families(
            queries_of(catalogue),
            arguments.uniprot,
            release=arguments.release,
            allow_empty=arguments.allow_empty,
        )
    with tempfile.TemporaryDirectory(prefix="fermentome-scfa-") as work:
        build_scfa(
            sources_of(arguments, families),
            families,
            folder,
            Path(work),
            Options(
                dereplicate=arguments.dereplicate,
                max_per_family=arguments.max_per_family,
                min_members=arguments.min_members,
                threads=arguments.threads,
            ),
            name=arguments.name,
            version=arguments.version,
            catalogue_version=catalogue.version,
        )


def sources_of(arguments: argparse.Namespace, families: Families) -> Sources:
    """Sources of a command line.

    Raises
    ------
    DatabaseError
        If there is none, or an option lacks the one that it belongs to.
    """
    pairs = (("data", "sources"), ("lineages", "genomes"), ("trusted", "proteins"),
             ("alias", "proteins"), ("fetch", "uniprot"), ("release", "fetch"),
             ("allow_empty", "fetch"))  # fmt: skip
    for option, needed in pairs:
        if getattr(arguments, option) and not getattr(arguments, needed):
            raise DatabaseError(f"--{option} says more of --{needed}, which was not given")
    sources = (
        read_sources(arguments.sources, families, arguments.data)
        if arguments.sources
        else Sources(())
    )
    specs = list(sources.specs)
    if arguments.genomes:
        genomes = tuple(sorted(arguments.genomes, key=_by_name))
        specs.append(SourceSpec("genomes", GENOMES, genomes, lineages=arguments.lineages))
    if arguments.uniprot:
        specs.append(SourceSpec("uniprot", UNIPROT, (arguments.uniprot,)))
    if arguments.proteins:
        proteins = tuple(sorted(arguments.proteins, key=_by_name))
        specs.append(
            SourceSpec(
                "proteins",
                AUTO,
                proteins,
                trusted=arguments.trusted,
                aliases=_aliases(arguments.alias, families),
            )  # fmt: skip
        )
    if not specs:
        raise DatabaseError(
            "nothing to build from; give --proteins, --uniprot, --genomes or --sources"
        )
    if arguments.organisms:
        sources = replace(
            sources,
            organisms=read_organisms(arguments.organisms),
            tables=(*sources.tables, arguments.organisms),
        )
    return replace(
        sources,
        specs=tuple(specs),
        licence=arguments.licence or sources.licence,
        description=arguments.description or sources.description,
    )


def _aliases(pairs: list[str], families: Families) -> dict[str, str]:
    """Label to family of ``LABEL=FAMILY`` pairs."""
    aliases = {}
    for pair in pairs:
        label, sign, family = pair.partition("=")
        if not (label and sign) or family not in families.all_ids | {NOT_USED}:
            raise DatabaseError(
                f"--alias {pair!r}: expected LABEL=FAMILY with a family of the catalogue, or"
                f" LABEL={NOT_USED}"
            )
        aliases[label] = family
    return aliases


def _by_name(path: Path) -> tuple[str, str]:
    return path.name, str(path)
