"""Bacterial reads lost, and host reads removed, with and without masking the host.

Reads are cut from the genomes at even distances, every second one from the other strand, with 0.5 %
wrong bases, and mapped one by one as the workflow maps them. The table ``measured.tsv`` beside this
file says on what.

    python benchmarks/host/measure.py --host FILE ... --genomes DIR [--threads 2]
"""

import argparse
import datetime
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

from fermentome.databases.host_mask import (  # noqa: E402
    find_mask,
    index_host,
    join_fasta,
    mask_fasta,
    masked_bases,
    minimap2_version,
)
from fermentome.genes import read_sequences  # noqa: E402
from fermentome.tables import write_table  # noqa: E402
from fermentome.taxonomy import list_genomes  # noqa: E402

COLUMNS = ("date", "reads_of", "length", "reads", "taken_unmasked", "taken_masked", "host_bases",
           "masked_bases", "genomes", "minimap2")  # fmt: skip
WRONG = 0.005
STRANDS = str.maketrans("ACGT", "TGCA")


def cut(paths: Mapping[str, Path], length: int, step: int) -> Iterator[str]:
    """Reads of genomes."""
    chance = random.Random(1)
    number = 0
    for path in paths.values():
        for _, sequence in read_sequences(path)[1]:
            for start in range(0, len(sequence) - length + 1, step):
                read = list(sequence[start : start + length])
                position = int(chance.expovariate(WRONG))
                while position < length:
                    read[position] = chance.choice("ACGT")
                    position += 1 + int(chance.expovariate(WRONG))
                number += 1
                text = "".join(read)
                yield text if number % 2 else text.translate(STRANDS)[::-1]


def count_taken(index: Path, reads: Path, threads: int) -> int:
    """Reads that are taken for the host's."""
    command = ["minimap2", "-a", "-x", "sr", "-t", str(threads), str(index), str(reads)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as sam:
        count = ["samtools", "view", "--count", "--exclude-flags", "2308", "-"]
        done = subprocess.run(count, stdin=sam.stdout, capture_output=True, check=True)
    return int(done.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", required=True, nargs="+", type=Path)
    parser.add_argument("--genomes", required=True, type=Path)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    genomes = list_genomes(options.genomes.iterdir())
    rows = []
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        host = work / "host.fa"
        join_fasta(options.host, host)
        mask, _ = find_mask(host, genomes, work, options.threads)
        mask_fasta(host, mask, work / "masked.fa")
        for kind in ("host", "masked"):
            index_host(work / f"{kind}.fa", work / f"{kind}.mmi", options.threads)
        bases = sum(len(sequence) for _, sequence in read_sequences(host)[1])
        for of, paths, step in (("bacteria", genomes, 10), ("host", {"host": host}, 5)):
            for length in (100, 150):
                reads, number = work / "reads.fa", 0
                with reads.open("w") as out:
                    for number, read in enumerate(cut(paths, length, step), start=1):
                        out.write(f">{number}\n{read}\n")
                taken = [
                    count_taken(work / f"{kind}.mmi", reads, options.threads)
                    for kind in ("host", "masked")
                ]
                rows.append(
                    {
                        "date": datetime.date.today().isoformat(),
                        "reads_of": of,
                        "length": length,
                        "reads": number,
                        "taken_unmasked": taken[0],
                        "taken_masked": taken[1],
                        "host_bases": bases,
                        "masked_bases": masked_bases(mask),
                        "genomes": len(genomes),
                        "minimap2": minimap2_version(),
                    }
                )
    write_table(Path(__file__).with_name("measured.tsv"), COLUMNS, rows)


if __name__ == "__main__":
    main()
