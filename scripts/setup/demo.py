"""Run the embedded example: simulate reads, run the workflow, compare with the truth.

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


def run(command: Sequence[str], folder: Path) -> None:
    """Show and run a command; its failure ends the demo with its exit code."""
    print(f"demo: {shlex.join(command)}", flush=True)
    status = subprocess.run(command, cwd=folder, stdin=subprocess.DEVNULL, check=False).returncode
    if status:
        # A child ended by a signal has a negative status; shells report 128 + signal.
        status = status if status > 0 else 128 - status
        print(f"demo: failed with exit code {status}; logs are in demo/logs", file=sys.stderr)
        sys.exit(status)


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
        print(f"demo: done in {time.monotonic() - started:.0f} s", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
