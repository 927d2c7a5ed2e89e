"""Say which SCFA routes genomes, MAGs (nucleotide FASTA) or proteomes (protein FASTA) carry.

What is called is genetic potential. Every input is one genome; what a file holds is told by its
letters.
"""

import argparse
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from fermentome.catalogue import load_catalogue
from fermentome.defaults import catalogue_files
from fermentome.genes import EMPTY, FAILED, GenomeError, GenomeFile, list_genomes, shared_names
from fermentome.genome_search import BATCH, GenomeSearcher, index_proteins
from fermentome.genome_search import SEARCH as SEARCH
from fermentome.genomes import TABLES, join_batches, members_of, same_name
from fermentome.lineage import read_lineages
from fermentome.reference import read_reference
from fermentome.scoring import PRESENT


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``fermentome genomes``."""
    parser.add_argument(
        "genomes", nargs="+", metavar="FILE|FOLDER",
        help="FASTA files, plain or gzip, or folders of them; a name that begins with - as ./-name",
    )  # fmt: skip
    parser.add_argument(
        "--reference", required=True, metavar="DIR",
        help="protein reference: manifest.yaml, proteins.faa.gz, proteins.tsv",
    )  # fmt: skip
    parser.add_argument("--out", required=True, metavar="DIR", help="folder of the tables")
    parser.add_argument(
        "--lineages", metavar="TSV",
        help="columns genome and lineage, or genome and seven ranks, or a table of GTDB, GTDB-Tk,"
        " sylph-tax or MGnify; without, no veto is applied",
    )  # fmt: skip
    parser.add_argument(
        "--catalogue", metavar="DIR", help="families.yaml, pathways.yaml, single_copy.yaml"
    )
    parser.add_argument(
        "--threads", type=int, default=os.cpu_count() or 1, metavar="N", help="default: all cores"
    )


def run(arguments: argparse.Namespace) -> int:
    """Make the tables; 1 if a genome failed, which the table of genomes explains."""
    if arguments.threads < 1:
        raise GenomeError(f"--threads {arguments.threads}: expected 1 or more")
    catalogue = load_catalogue(catalogue_files(arguments.catalogue))
    reference = read_reference(
        Path(arguments.reference), [*catalogue.families, *catalogue.single_copy]
    )
    lineages = read_lineages(arguments.lineages) if arguments.lineages else {}
    genomes = list_genomes(arguments.genomes)
    out = Path(arguments.out)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise GenomeError(f"{out}: cannot be made ({error.strerror}); give a folder") from error
    with tempfile.TemporaryDirectory(dir=out, prefix=".work-") as folder:
        work = Path(folder)
        index = work / "proteins.dmnd"
        index_proteins(reference.fasta, index, arguments.threads)
        refused = {name: same_name(files) for name, files in shared_names(genomes).items()}
        searcher = GenomeSearcher(
            index, members_of(reference), lineages, catalogue, arguments.threads, refused
        )
        batches, statuses, products = _make_batches(genomes, searcher, work)
        for table in TABLES:
            join_batches([batch / f"{table}.tsv" for batch in batches], out / f"{table}.tsv")
    _report(statuses, products, out)
    return 1 if statuses[FAILED] else 0


def _make_batches(
    genomes: Sequence[GenomeFile], searcher: GenomeSearcher, work: Path
) -> tuple[list[Path], Counter[str], Counter[str]]:
    """Folder of each batch, genomes by status, and genomes by product of a present route."""
    folders = []
    statuses: Counter[str] = Counter()
    products: Counter[str] = Counter()
    for begin in range(0, len(genomes), BATCH):
        folder = work / f"{begin // BATCH:06d}"
        for genome in searcher.run(genomes[begin : begin + BATCH], folder):
            statuses[genome.called.status] += 1
            formed = [call for call in genome.calls if call.direction == "formation"]
            products.update({call.product for call in formed if call.call == PRESENT})
        folders.append(folder)
    return folders, statuses, products


def _report(statuses: Mapping[str, int], products: Mapping[str, int], out: Path) -> None:
    made = sum(statuses.values()) - statuses[FAILED]
    lines = [f"{made} genomes: tables in {out}"]
    if statuses[EMPTY]:
        lines.append(f"{statuses[EMPTY]} of them without a gene")
    if statuses[FAILED]:
        lines.append(f"{statuses[FAILED]} failed: see status and reason in genomes.tsv")
    lines += [f"{name}: a route is present in {products[name]}" for name in sorted(products)]
    sys.stdout.write("\n".join(lines) + "\n")
