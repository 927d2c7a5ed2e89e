"""Time and memory of genome mode on 25 and on 100 genomes of 3 Mb.

The genomes are made of those of a folder: each is cut or repeated to 3 Mb and mutated at one base
in a thousand, so that no two are the same and genes stay whole. What is measured is
``fermentome genomes`` in a process of its own, DIAMOND included, with the largest resident memory
of any process in it. The table ``measured.tsv`` beside this file says on what.

    python benchmarks/genomes/measure.py --reference FOLDER [--data ../shared/data] [--threads 2]
"""

import argparse
import datetime
import gzip
import os
import random
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

from fermentome.genes import read_sequences  # noqa: E402
from fermentome.tables import read_table, write_table  # noqa: E402

BASES = 3_000_000
MUTATED = 0.001
CONTIG = 100_000
COLUMNS = ("date", "genomes", "megabases", "proteins", "threads", "seconds", "seconds_per_genome",
           "peak_megabytes", "reference_proteins", "pyrodigal", "diamond")  # fmt: skip


def make_genome(source: str, seed: int) -> str:
    """FASTA of a mutated genome of `BASES` bases in contigs of `CONTIG`."""
    chance = random.Random(seed)
    start = chance.randrange(len(source))
    text = bytearray((source[start:] + source * (BASES // len(source) + 1))[:BASES].encode())
    for position in chance.sample(range(BASES), int(BASES * MUTATED)):
        text[position] = ord(chance.choice("ACGT"))
    contigs = (text[n : n + CONTIG].decode() for n in range(0, BASES, CONTIG))
    return "".join(f">c{number}\n{contig}\n" for number, contig in enumerate(contigs, start=1))


def make_genomes(sources: list[Path], count: int, folder: Path) -> None:
    """Write `count` genomes, taking the sources in turn."""
    folder.mkdir()
    texts = ["".join(sequence for _, sequence in read_sequences(path)[1]) for path in sources]
    for number in range(count):
        text = make_genome(texts[number % len(texts)], number)
        with gzip.open(folder / f"genome{number:03d}.fna.gz", "wt", compresslevel=1) as out:
            out.write(text)


def run(folder: Path, reference: Path, out: Path, threads: int) -> tuple[float, float]:
    """Seconds, and megabytes of the largest process, of one run."""
    command = [sys.executable, "-m", "fermentome", "genomes", "--reference", str(reference),
               "--out", str(out), "--threads", str(threads), str(folder)]  # fmt: skip
    began = time.monotonic()
    process = subprocess.Popen(
        command,
        env={**os.environ, "PYTHONPATH": str(ROOT / "scripts")},
        stdout=subprocess.DEVNULL,
    )
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.monotonic() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"fermentome genomes ended with {process.returncode}")
    return seconds, usage.ru_maxrss / 1024


def main() -> None:
    """Make the genomes, measure, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared/data")
    parser.add_argument("--reference", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--counts", type=int, nargs="+", default=[25, 100])
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("measured.tsv"))
    options = parser.parse_args()
    sources = sorted((options.data / "genomes").glob("*.fna.gz"))
    if not sources:
        raise SystemExit(f"{options.data}/genomes: no genomes; give their parent with --data")
    diamond = subprocess.run(["diamond", "version"], capture_output=True, text=True, check=True)
    rows = []
    with tempfile.TemporaryDirectory() as work:
        for count in options.counts:
            folder, out = Path(work, f"in{count}"), Path(work, f"out{count}")
            make_genomes(sources, count, folder)
            seconds, megabytes = run(folder, options.reference, out, options.threads)
            genomes = read_table(out / "genomes.tsv")
            rows.append(
                {
                    "date": datetime.date.today().isoformat(),
                    "genomes": len(genomes),
                    "megabases": sum(int(row["bases"]) for row in genomes) // 1_000_000,
                    "proteins": sum(int(row["proteins"]) for row in genomes),
                    "threads": options.threads,
                    "seconds": round(seconds),
                    "seconds_per_genome": seconds / count,
                    "peak_megabytes": round(megabytes),
                    "reference_proteins": len(read_table(options.reference / "proteins.tsv")),
                    "pyrodigal": version("pyrodigal"),
                    "diamond": diamond.stdout.split()[-1],
                }
            )
    write_table(options.out, COLUMNS, rows)
    print(options.out.read_text())


if __name__ == "__main__":
    main()
