"""Run the embedded examples: simulate, run, compare with the truth.

First three samples from their reads to figures, by the workflow; then the tables of a made-up
cohort, by `fermentome cohort`, since the reads of its 256 samples would take hours.

Runs under the Python of `.venv`. Can be repeated after an interruption: it clears the lock
that a dead Snakemake left, and Snakemake makes incomplete files again.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DEMO = ROOT / "demo"
# bootstrap.py deletes demo/ only where this file says that we made it.
MARK = ".made-by-make-demo"


def snakemake_command(cores: str, extra: Sequence[str]) -> list[str]:
    """Command that runs the workflow in demo/."""
    program = str(Path(sys.executable).with_name("snakemake"))
    return [program, "--snakefile", "../Snakefile", "--cores", cores, "--rerun-incomplete", *extra]


def stale_lock(demo: Path) -> bool:
    """Whether a Snakemake run left its lock; the caller makes sure that none is running."""
    locks = demo / ".snakemake/locks"
    return locks.is_dir() and any(locks.iterdir())


def run(command: Sequence[str], folder: Path, where: str = "logs are in demo/logs") -> None:
    """Show and run a command; its failure ends the demo with its exit code."""
    print(f"demo: {shlex.join(command)}", flush=True)
    status = subprocess.run(command, cwd=folder, stdin=subprocess.DEVNULL, check=False).returncode
    if status:
        # A child ended by a signal has a negative status; shells report 128 + signal.
        status = status if status > 0 else 128 - status
        print(f"demo: failed with exit code {status}; {where}", file=sys.stderr)
        sys.exit(status)


def cohort_commands(cohort: Path) -> list[list[str]]:
    """Commands of the example cohort: simulate it, make its reference, analyse, report."""
    program = [str(Path(sys.executable).with_name("fermentome")), "cohort"]
    description = {
        "name": "made-up", "version": "1", "description": "60 people who do not exist",
        "source": "example/simulate_cohort.py", "licence": "CC0-1.0", "selection": "at random",
        # That of the study, in cohort.yaml.
        "rarefaction-depth": "1000000",
    }  # fmt: skip
    described = [word for key, value in description.items() for word in (f"--{key}", value)]
    reference = str(cohort / "made-up")
    return [
        [sys.executable, "example/simulate_cohort.py", "--output", str(cohort)],
        [
            *program, "reference", "--results", str(cohort / "reference"), *described,
            "--out", reference,
        ],
        [
            *program, "run", "--results", str(cohort / "results"),
            "--config", str(cohort / "cohort.yaml"),
            "--metabolites", str(cohort / "metabolites.tsv"), "--reference-cohort", reference,
            "--out", str(cohort / "analysis"),
        ],
        [sys.executable, "example/report_cohort.py", str(cohort)],
    ]  # fmt: skip


def run_cohort(cohort: Path) -> None:
    """Run the example cohort afresh."""
    shutil.rmtree(ROOT / cohort, ignore_errors=True)
    for command in cohort_commands(cohort):
        run(command, ROOT, "the message is above")


def main(arguments: Sequence[str]) -> None:
    """Simulate, run, report."""
    parser = argparse.ArgumentParser(prog="demo.py", description=__doc__.splitlines()[0])
    parser.add_argument("--cores", default=str(os.cpu_count() or 1))
    parser.add_argument("snakemake_arguments", nargs="*", metavar="argument of Snakemake")
    options = parser.parse_args(arguments)

    if DEMO.is_dir() and any(DEMO.iterdir()) and not (DEMO / MARK).is_file():
        sys.exit(f"demo: {DEMO} exists and was not made by `make demo`; move it away.")
    DEMO.mkdir(exist_ok=True)
    with (DEMO / MARK).open("a") as mark:
        try:
            fcntl.flock(mark, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            sys.exit("demo: another `make demo` is running in this folder.")
        started = time.monotonic()
        run([sys.executable, "example/simulate_example.py", "--output", "demo"], ROOT)
        shutil.copyfile(ROOT / "example/config.yaml", DEMO / "config/config.yaml")
        command = snakemake_command(options.cores, options.snakemake_arguments)
        if stale_lock(DEMO):
            run([*command, "--unlock"], DEMO)
        run(command, DEMO)
        run([sys.executable, "example/report_recovery.py", "demo"], ROOT)
        run_cohort(Path("demo/cohort"))
        print(f"demo: done in {time.monotonic() - started:.0f} s", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
