"""Say which SCFA routes genomes, MAGs (nucleotide FASTA) or proteomes (protein FASTA) carry.

What is called is genetic potential. Every input is one genome; what a file holds is told by its
letters.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from fermentome.catalogue import Catalogue, load_catalogue
from fermentome.defaults import catalogue_files
from fermentome.genes import (
    EMPTY,
    FAILED,
    GenomeError,
    GenomeFile,
    call_genomes,
    list_genomes,
    shared_names,
)
from fermentome.genomes import (
    HIT_COLUMNS,
    MIN_BITS,
    TABLES,
    Member,
    join_batches,
    members_of,
    same_name,
    score_batch,
    write_called,
)
from fermentome.lineage import read_lineages
from fermentome.reference import read_reference
from fermentome.scoring import PRESENT

BATCH = 25
#: Flags of the search, the same as in the workflow (workflow/rules/genomes.smk).
SEARCH = ("--sensitive", "--max-target-seqs", "0", "--min-score", str(MIN_BITS),
          "--block-size", "0.4", "--index-chunks", "1")  # fmt: skip


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
        help="columns genome and lineage, or genome and seven ranks; without, no veto is applied",
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
        _diamond("makedb", "--in", reference.fasta, "--db", index, threads=arguments.threads)
        batches, statuses, products = _make_batches(
            genomes, work, index, members_of(reference), lineages, catalogue,
            arguments.threads,
        )  # fmt: skip
        for table in TABLES:
            join_batches([batch[table] for batch in batches], out / f"{table}.tsv")
    _report(statuses, products, out)
    return 1 if statuses[FAILED] else 0


def _make_batches(
    genomes: Sequence[GenomeFile],
    work: Path,
    index: Path,
    reference: Mapping[str, Member],
    lineages: Mapping[str, tuple[str, ...]],
    catalogue: Catalogue,
    threads: int,
) -> tuple[list[dict[str, Path]], Counter[str], Counter[str]]:
    """Tables of each batch, genomes by status, and genomes by product of a present route."""
    refused = {name: same_name(files) for name, files in shared_names(genomes).items()}
    batches = []
    statuses: Counter[str] = Counter()
    products: Counter[str] = Counter()
    for begin in range(0, len(genomes), BATCH):
        stem = f"{begin // BATCH:06d}"
        proteins, called, hits = (
            work / f"{stem}.{name}" for name in ("faa.gz", "called.tsv", "hits.tsv")
        )
        found = call_genomes(genomes[begin : begin + BATCH], proteins, threads, refused)
        write_called(called, found)
        hits.touch()
        if any(genome.proteins for genome in found):  # DIAMOND refuses an empty file
            _diamond(
                "blastp", "--query", proteins, "--db", index, "--out", hits, *SEARCH,
                "--outfmt", "6", *HIT_COLUMNS, threads=threads,
            )  # fmt: skip
        tables = {table: work / f"{stem}.{table}.tsv" for table in TABLES}
        scored = score_batch(called, proteins, hits, reference, lineages, catalogue, tables)
        for genome in scored:
            statuses[genome.called.status] += 1
            formed = [call for call in genome.calls if call.direction == "formation"]
            products.update({call.product for call in formed if call.call == PRESENT})
        batches.append(tables)
        proteins.unlink()
        hits.unlink()
    return batches, statuses, products


def _diamond(command: str, *arguments: str | Path, threads: int) -> None:
    program = shutil.which("diamond")
    if program is None:
        raise GenomeError(
            "diamond is not on PATH; `make setup` finds or installs it, or install DIAMOND 2.1"
        )
    done = subprocess.run(
        [program, command, *map(str, arguments), "--threads", str(threads)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or ["no message"]
        raise GenomeError(f"diamond {command} ended with {done.returncode}: {last[0]}")


def _report(statuses: Mapping[str, int], products: Mapping[str, int], out: Path) -> None:
    made = sum(statuses.values()) - statuses[FAILED]
    lines = [f"{made} genomes: tables in {out}"]
    if statuses[EMPTY]:
        lines.append(f"{statuses[EMPTY]} of them without a gene")
    if statuses[FAILED]:
        lines.append(f"{statuses[FAILED]} failed: see status and reason in genomes.tsv")
    lines += [f"{name}: a route is present in {products[name]}" for name in sorted(products)]
    sys.stdout.write("\n".join(lines) + "\n")
