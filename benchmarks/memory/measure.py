"""Peak memory and time of every stage on 25,000 and 250,000 pairs.

Simulates both samples from the genomes of the embedded example, runs the workflow on each with
one core, and writes Snakemake's measurements side by side to ``memory.tsv`` beside this file.

Usage: ``.venv/bin/python benchmarks/memory/measure.py [--pairs 25000 250000]``
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

from fermentome.simulate import ReadModel, read_genome, simulate_run  # noqa: E402
from fermentome.tables import read_table, write_table  # noqa: E402

CONFIG = """\
host: {{reference: {data}/host/host.fa.gz}}
taxonomy: {{genomes: {data}/genomes, lineages: {data}/lineages.tsv}}
function: {{reference: {data}/reference}}
"""


def measure(pairs: int, folder: Path) -> dict[str, tuple[float, float]]:
    """Seconds and megabytes by rule on one simulated sample, 10 % of it host."""
    data = ROOT / "example/data"
    genomes = [read_genome(path) for path in sorted((data / "genomes").iterdir())]
    (folder / "config").mkdir(parents=True)
    simulate_run(
        genomes, {genome.name: 1.0 for genome in genomes}, ReadModel(), pairs, seed=1,
        reads1=folder / "r1.fastq.gz", reads2=folder / "r2.fastq.gz",
        host=read_genome(data / "host/host.fa.gz"), host_share=0.1,
    )  # fmt: skip
    (folder / "config/samples.tsv").write_text(
        "sample\treads1\treads2\na\tr1.fastq.gz\tr2.fastq.gz\n"
    )
    (folder / "config/config.yaml").write_text(CONFIG.format(data=data))
    subprocess.run(
        [str(Path(sys.executable).with_name("snakemake")), "--snakefile", str(ROOT / "Snakefile"),
         "--cores", "1", "--quiet"],
        cwd=folder,
        check=True,
    )  # fmt: skip
    measured: dict[str, tuple[float, float]] = {}
    for path in sorted((folder / "benchmarks").rglob("*.tsv")):
        rule = path.relative_to(folder / "benchmarks").parts[0].removesuffix(".tsv")
        (row,) = read_table(path)
        memory = 0.0 if row["max_rss"] == "-" else float(row["max_rss"])
        seconds, most = measured.get(rule, (0.0, 0.0))
        measured[rule] = (seconds + float(row["s"]), max(most, memory))
    return measured


def main() -> None:
    """Measure and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, nargs=2, default=[25_000, 250_000])
    few, many = parser.parse_args().pairs
    with tempfile.TemporaryDirectory() as folder:
        before = measure(few, Path(folder, "few"))
        after = measure(many, Path(folder, "many"))
    columns = ["rule"]
    for pairs in (few, many):
        columns += [f"seconds_{pairs}_pairs", f"megabytes_{pairs}_pairs"]
    rows = [
        dict(zip(columns, [rule, *before[rule], *after[rule]], strict=True))
        for rule in sorted(before)
    ]
    output = Path(__file__).with_name("memory.tsv")
    write_table(output, columns, rows)
    print(output.read_text())


if __name__ == "__main__":
    main()
