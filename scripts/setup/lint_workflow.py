"""Run `snakemake --lint` with a configuration that switches every optional part on.

The configuration in config/ is the user's: as shipped it names no samples, and parts that are
switched off would not be looked at.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
READS = "@r1\nACGT\n+\nIIII\n"
SHEET = (
    "sample\trun\treads1\treads2\tsubject\ttimepoint\tgroup\n"
    "a\tpaired\tp_1.fastq\tp_2.fastq\t\t\t\n"
    "a\tsingle\ts.fastq\t\t\t\t\n"
)


def write_inputs(folder: Path) -> None:
    """Write a sheet with both layouts, its reads, and the configuration."""
    for name in ("p_1.fastq", "p_2.fastq", "s.fastq"):
        (folder / name).write_text(READS, encoding="utf-8")
    (folder / "host.fasta").write_text(">h\nACGT\n", encoding="utf-8")
    (folder / "lineages.tsv").write_text("genome\tlineage\n", encoding="utf-8")
    for name in ("proteins", "genomes", "config"):
        (folder / name).mkdir()
    for name in ("manifest.yaml", "proteins.faa.gz", "proteins.tsv"):
        (folder / "proteins" / name).touch()
    (folder / "genomes/g.fna").write_text(">g\nACGT\n", encoding="utf-8")
    (folder / "config/samples.tsv").write_text(SHEET, encoding="utf-8")
    config = {
        "samples": "config/samples.tsv",
        "host": {"reference": "host.fasta"},
        "taxonomy": {"genomes": "genomes", "lineages": "lineages.tsv"},
        "function": {"reference": "proteins"},
    }
    # JSON is YAML.
    (folder / "config/config.yaml").write_text(json.dumps(config), encoding="utf-8")


def main() -> int:
    """Exit code of Snakemake."""
    snakemake = str(Path(sys.executable).with_name("snakemake"))
    with tempfile.TemporaryDirectory() as folder:
        write_inputs(Path(folder))
        command = [snakemake, "--lint", "--snakefile", str(ROOT / "Snakefile")]
        return subprocess.run([*command, "--directory", folder], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
