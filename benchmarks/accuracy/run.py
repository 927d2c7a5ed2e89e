"""The judge: build the reference and measure how right the calls are.

    make benchmark-accuracy
    python benchmarks/accuracy/run.py [--data DIR] [--only organisms reads ...] [--quick]

Each part is a program of its own beside this file; its tables and figures go to `results/`, with
a summary `results/<part>.md` in which every target is said to be met or missed.
`results/summary.md` joins them.
"""

from __future__ import annotations

import argparse
import datetime
import platform
import subprocess
import sys
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
PARTS = ("organisms", "reads", "communities", "others", "people")


def tool_version(*call: str) -> str:
    """First line that a tool prints about itself."""
    answer = subprocess.run(call, capture_output=True, text=True, check=False)
    return (answer.stdout or answer.stderr).strip().splitlines()[0]


def versions() -> list[str]:
    """What was measured with."""
    families = yaml.safe_load((ROOT / "workflow/resources/families.yaml").read_text("utf-8"))
    commit = tool_version("git", "-C", str(ROOT), "rev-parse", "--short", "HEAD")
    packages = ("pyrodigal", "pysylph", "numpy", "scipy")
    return [
        f"date {datetime.date.today().isoformat()}, on top of commit {commit}",
        f"catalogue {families['version']}",
        f"{tool_version('diamond', 'version')}, Python {platform.python_version()}, "
        + ", ".join(f"{name} {version(name)}" for name in packages),
    ]


def build_reference(data: Path, folder: Path, threads: int) -> Path:
    """The protein and the taxonomic reference of the data; built once per folder."""
    if not (folder / "reference/manifest.yaml").is_file():
        subprocess.run(
            [sys.executable, str(ROOT / "benchmarks/real/build_reference.py"),
             "--data", str(data), "--out", str(folder), "--threads", str(threads)],
            check=True,
        )  # fmt: skip
    return folder / "reference"


def write_summary(out: Path, parts: Sequence[str], seconds: dict[str, float]) -> None:
    """Join the summaries of the parts, whoever made them and when."""
    lines = ["# Accuracy", "", *(f"- {line}" for line in versions()), ""]
    for part in parts:
        text = out / f"{part}.md"
        took = f" ({seconds[part]:.0f} s)" if part in seconds else ""
        body = text.read_text(encoding="utf-8").strip() if text.is_file() else "not run"
        heading, _, rest = body.partition("\n")
        lines += [f"## {heading.lstrip('# ')}{took}", rest.strip(), ""]
    (out / "summary.md").write_text("\n".join(lines), encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared/data")
    parser.add_argument("--reference", type=Path, help="protein reference; default: built here")
    parser.add_argument("--work", type=Path, default=ROOT / "real/accuracy")
    parser.add_argument("--out", type=Path, default=HERE / "results")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--quick", action="store_true", help="smaller samples, to try it out")
    options = parser.parse_args(arguments)
    if not (options.data / "genomes").is_dir():
        print(f"benchmark-accuracy: skipped, there is no {options.data}/genomes on this machine")
        return 0
    data = options.data.resolve()
    options.work.mkdir(parents=True, exist_ok=True)
    options.out.mkdir(parents=True, exist_ok=True)
    reference = options.reference or build_reference(data, options.work / "built", options.threads)
    seconds: dict[str, float] = {}
    failed = []
    for part in options.only:
        print(f"benchmark-accuracy: {part}", flush=True)
        started = time.monotonic()
        call = [sys.executable, str(HERE / f"{part}.py"), "--data", str(data),
                "--reference", str(reference.resolve()), "--work", str(options.work / part),
                "--out", str(options.out), "--threads", str(options.threads)]  # fmt: skip
        if subprocess.run(call + ["--quick"] * options.quick, check=False).returncode:
            failed.append(part)
        seconds[part] = time.monotonic() - started
    write_summary(options.out, PARTS, seconds)
    if failed:
        print(f"benchmark-accuracy: {', '.join(failed)} ended with an error", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
