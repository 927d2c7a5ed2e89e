"""Make the virtual environment and find the tools: the set-up behind `make`.

Plain standard library, because it runs before anything is installed. Its commands:

setup           virtual environment and tools, as `make setup` needs them
venv            virtual environment only
snakemake-args  print what Snakemake must be told to find the tools (`--sdm conda` or nothing)
clean           delete what set-up and `make demo` made, and nothing else
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import hashlib
import importlib.util
import json
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

# The lock holds wheels for these versions only.
OLDEST_PYTHON = (3, 11)
NEWEST_PYTHON = (3, 13)

# Snakemake refuses an older conda, and cannot work with micromamba or mamba alone.
OLDEST_CONDA = (24, 7, 1)

MARK = ".made-by-fermentome-setup"
STAMP = ".fermentome-setup.json"
DEMO_MARK = ".made-by-make-demo"
CACHES = {"__pycache__", ".pytest_cache", ".mypy_cache", ".ruff_cache", ".hypothesis"}
# What an interrupted deletion leaves; no one else uses these names.
DOOMED = (".venv.removing", ".tools.removing", "demo.removing")
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class SetupError(Exception):
    """Set-up cannot go on; the message says what to type."""


# ---------------------------------------------------------------------------- tools


@dataclass(frozen=True)
class Tool:
    """A program that the workflow calls."""

    name: str
    debian_package: str
    minimum: tuple[int, ...]
    version_arguments: tuple[str, ...] = ("--version",)


TOOLS = (
    Tool("fastp", "fastp", (0, 23)),
    Tool("diamond", "diamond-aligner", (2, 1), ("version",)),
    Tool("minimap2", "minimap2", (2, 24)),
    Tool("samtools", "samtools", (1, 16)),
    Tool("kraken2", "kraken2", (2, 1)),
)


@dataclass(frozen=True)
class Found:
    """What `PATH` holds of one tool: no location = absent, no version = does not run."""

    tool: Tool
    location: str | None
    version: tuple[int, ...] | None

    @property
    def usable(self) -> bool:
        """Whether the tool runs and is new enough."""
        return self.version is not None and self.version >= self.tool.minimum


@dataclass(frozen=True)
class Plan:
    """Where the tools come from: `path`, `sdm-conda`, `prefix`, `apt`, or `stop` with a reason."""

    source: str
    packages: tuple[str, ...] = ()
    reason: str = ""


@dataclass(frozen=True)
class Machine:
    """What decides between the sources of tools."""

    conda: str | None
    conda_version: tuple[int, ...] | None
    mamba: str | None
    is_root: bool
    has_apt: bool

    @property
    def conda_is_usable(self) -> bool:
        """Whether Snakemake accepts this conda."""
        return self.conda_version is not None and self.conda_version >= OLDEST_CONDA


def parse_version(text: str) -> tuple[int, ...] | None:
    """First dotted number in `text`, as a tuple; None if there is none."""
    match = re.search(r"\d+(?:\.\d+)+", text)
    return tuple(int(part) for part in match.group().split(".")) if match else None


def dotted(version: Sequence[int]) -> str:
    """Version tuple as text."""
    return ".".join(str(part) for part in version)


def version_of(program: str, arguments: Sequence[str]) -> tuple[int, ...] | None:
    """Version that a program prints on either stream; None if it fails or hangs."""
    try:
        result = subprocess.run(
            [program, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=60,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    if result.returncode != 0:
        return None
    return parse_version(result.stdout.decode("utf-8", "replace"))


def find_tools(path: str) -> list[Found]:
    """Look for every tool on `path`."""
    found = []
    for tool in TOOLS:
        location = shutil.which(tool.name, path=path)
        version = version_of(location, tool.version_arguments) if location else None
        found.append(Found(tool, location, version))
    return found


def is_debian(os_release: str) -> bool:
    """Whether the text of /etc/os-release names Debian, Ubuntu or a system made from them."""
    names: set[str] = set()
    for line in os_release.splitlines():
        key, _, value = line.partition("=")
        if key in ("ID", "ID_LIKE"):
            names.update(value.strip().strip("\"'").split())
    return bool(names & {"debian", "ubuntu"})


def describe_machine(path: str) -> Machine:
    """Look at this machine."""
    conda = shutil.which("conda", path=path)
    release = Path("/etc/os-release")
    return Machine(
        conda=conda,
        conda_version=version_of(conda, ["--version"]) if conda else None,
        mamba=shutil.which("micromamba", path=path) or shutil.which("mamba", path=path),
        is_root=os.geteuid() == 0,
        has_apt=release.is_file()
        and is_debian(release.read_text(encoding="utf-8"))
        and shutil.which("apt-get", path=path) is not None,
    )


def choose_tools(wish: str, purpose: str, found: Sequence[Found], machine: Machine) -> Plan:
    """Decide where the tools come from.

    For a run: conda through Snakemake, then a conda prefix where only mamba or micromamba
    exists, then `PATH`, then apt. The tests call the tools themselves, so they look at `PATH`
    first and never count on Snakemake's environments.
    """
    on_path = all(one.usable for one in found)
    any_conda = machine.conda or machine.mamba
    if wish == "path":
        return Plan("path") if on_path else Plan("stop", reason=explain_missing(found, machine))
    if wish == "conda":
        if not any_conda:
            return Plan("stop", reason="FERMENTOME_TOOLS=conda, but no conda is on PATH.")
        if purpose == "run" and machine.conda_is_usable:
            return Plan("sdm-conda")
        return Plan("path") if on_path and purpose == "test" else Plan("prefix")
    if wish == "apt":
        return Plan("path") if on_path else plan_apt(found, machine)
    if purpose == "run" and machine.conda_is_usable:
        return Plan("sdm-conda")
    if on_path:
        return Plan("path")
    if any_conda:
        return Plan("prefix")
    return plan_apt(found, machine)


def plan_apt(found: Sequence[Found], machine: Machine) -> Plan:
    """Install exactly the missing packages where that is possible; otherwise stop."""
    # A tool that is there but too old or broken would hide the packaged one, or be it.
    spoilt = any(one.location and not one.usable for one in found)
    if machine.has_apt and machine.is_root and not spoilt:
        missing = tuple(one.tool.debian_package for one in found if not one.usable)
        return Plan("apt", packages=missing)
    return Plan("stop", reason=explain_missing(found, machine))


def explain_missing(found: Sequence[Found], machine: Machine) -> str:
    """Say what is wrong with each tool and what to type."""
    lines = []
    for one in found:
        need = f"need {dotted(one.tool.minimum)} or newer"
        if one.location is None:
            lines.append(f"{one.tool.name}: not on PATH, {need}.")
        elif one.version is None:
            lines.append(f"{one.tool.name}: {one.location} does not tell its version, {need}.")
        elif not one.usable:
            lines.append(f"{one.tool.name}: {one.location} is {dotted(one.version)}, {need}.")
    absent = [one.tool.debian_package for one in found if one.location is None]
    if any(one.location and not one.usable for one in found):
        lines.append("Put a newer one first on PATH, or use conda (below).")
    if machine.has_apt and absent:
        packages = " ".join(absent)
        lines += [
            "Type (as root):",
            "    apt-get update",
            f"    apt-get install --no-install-recommends {packages}",
        ]
    flavour = "conda" if machine.conda else Path(machine.mamba or "micromamba").name
    lines += [
        "With conda, mamba or micromamba, type instead:",
        "    " + shlex.join(prefix_command(flavour, Path(".tools"))),
        "Then repeat the command.",
    ]
    return "\n".join(lines)


def pinned_tools() -> list[str]:
    """Tools with the exact versions that envs/ names, such as `fastp=0.24.0`."""
    names = {tool.name for tool in TOOLS}
    pins: dict[str, str] = {}
    for env in sorted((ROOT / "envs").glob("*.yaml")):
        for name, version in re.findall(
            r"^\s*-\s*([\w-]+)=([\w.]+)\s*$", env.read_text("utf-8"), flags=re.MULTILINE
        ):
            if name in names:
                pins[name] = f"{name}={version}"
    return list(pins.values())


def prefix_command(conda: str, prefix: Path) -> list[str]:
    """Command that makes one conda environment with all tools; the same for each flavour."""
    channels = ["--override-channels", "--channel", "conda-forge", "--channel", "bioconda"]
    return [conda, "create", "--yes", "--prefix", str(prefix), *channels, *pinned_tools()]


def install_with_apt(packages: Sequence[str], environment: Mapping[str, str]) -> None:
    """Install Debian packages; fetch the package lists only if the first try fails."""
    say(f"tools: apt-get install {' '.join(packages)}")
    lock_wait = ["-o", "DPkg::Lock::Timeout=300"]
    install = ["apt-get", *lock_wait, "install", "--yes", "-qq", "--no-install-recommends"]
    install += packages
    surroundings = {**environment, "DEBIAN_FRONTEND": "noninteractive"}
    if call_quietly(install, surroundings) is None:
        return
    say("tools: apt-get update (package lists are absent or old)")
    update = ["apt-get", *lock_wait, "update", "-qq"]
    for command in (update, install):
        output = call_quietly(command, surroundings)
        if output is not None:
            raise SetupError(f"This failed: {shlex.join(command)}\n{output}")


def make_prefix(prefix: Path, machine: Machine, environment: Mapping[str, str]) -> None:
    """Make one environment with all tools, with the conda flavour that is there."""
    if prefix.exists() and any(prefix.iterdir()) and not (prefix / "conda-meta").is_dir():
        raise SetupError(f"{prefix} exists and is no conda environment; move it away.")
    remove_tree(prefix)
    flavour = machine.mamba or machine.conda
    assert flavour is not None
    command = prefix_command(flavour, prefix)
    say(f"tools: {shlex.join(command)}")
    output = call_quietly(command, environment)
    if output is not None:
        raise SetupError(f"This failed: {shlex.join(command)}\n{output}")


def set_up_tools(wish: str, purpose: str, environment: Mapping[str, str]) -> str:
    """Provide the tools, or stop and say what to install; returns how to call Snakemake."""
    path = environment["PATH"]
    machine = describe_machine(path)
    found = find_tools(path)
    plan = choose_tools(wish, purpose, found, machine)
    if plan.source == "stop":
        raise SetupError(plan.reason)
    if plan.source == "sdm-conda":
        say(f"tools: from conda at run time (snakemake --sdm conda, envs/), {machine.conda}")
        return ".venv/bin/snakemake --sdm conda --cores N"
    if plan.source == "apt":
        install_with_apt(plan.packages, environment)
    if plan.source == "prefix":
        make_prefix(ROOT / ".tools", machine, environment)
    if plan.source != "path":
        found = find_tools(path)
        if not all(one.usable for one in found):
            raise SetupError(explain_missing(found, machine))
    versions = ", ".join(f"{one.tool.name} {dotted(one.version or ())}" for one in found)
    say(f"tools: {versions}")
    in_prefix = any((one.location or "").startswith(f"{ROOT}/.tools/") for one in found)
    return f"{'PATH=$PWD/.tools/bin:$PATH ' if in_prefix else ''}.venv/bin/snakemake --cores N"


# -------------------------------------------------------------- virtual environment


def lock_files() -> tuple[Path, Path]:
    """Lock of the build tool, lock of everything else."""
    return ROOT / "requirements/build.lock", ROOT / "requirements/venv.lock"


def fingerprint(locks: Sequence[Path], python: str, venv: Path) -> str:
    """One value for all that decides the content of the environment.

    The location counts, because programs in a virtual environment hold its absolute path.
    """
    digest = hashlib.sha256()
    for lock in locks:
        digest.update(hashlib.sha256(lock.read_bytes()).digest())
    digest.update(f"{python}\n{platform.machine()}\n{venv}".encode())
    return digest.hexdigest()


def venv_state(venv: Path, wanted: str) -> str:
    """Tell `missing`, `foreign`, `partial`, `stale`, `broken` and `ready` apart."""
    if not venv.exists() and not venv.is_symlink():
        return "missing"
    if not venv.is_dir():
        return "foreign"
    if not (venv / MARK).is_file():
        return "foreign" if any(venv.iterdir()) else "partial"
    try:
        stamp = json.loads((venv / STAMP).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return "partial"
    if not isinstance(stamp, dict) or stamp.get("fingerprint") != wanted:
        return "stale"
    if version_of(str(venv / "bin/python"), ["--version"]) is None:
        return "broken"
    return "ready"


def write_stamp(venv: Path, value: str) -> None:
    """Declare the environment complete, in one step that cannot be half done."""
    new = venv / f"{STAMP}.new"
    new.write_text(json.dumps({"fingerprint": value}) + "\n", encoding="utf-8")
    new.replace(venv / STAMP)


def check_python(version: tuple[int, int], system: str) -> None:
    """Refuse what the lock does not serve."""
    if system != "Linux":
        raise SetupError(f"Set-up knows Linux only; this is {system}. See envs/ for conda.")
    if not OLDEST_PYTHON <= version <= NEWEST_PYTHON:
        raise SetupError(
            f"Python {dotted(OLDEST_PYTHON)} to {dotted(NEWEST_PYTHON)} is needed, "
            f"this is {dotted(version)}. Name another one, such as: make setup PYTHON=python3.12"
        )


def base_python(path: str) -> str:
    """Program of the running Python, outside any virtual environment.

    Inside an activated environment `sys.executable` may be the one that was just deleted, and a
    Python that was started without `PATH` does not know its own program.
    """
    name = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    base: str | None = getattr(sys, "_base_executable", None) or sys.executable
    program = base or shutil.which(name, path=path)
    if program is None:
        raise SetupError(f"{name} is not on PATH ({path}).")
    return program


def provide_ensurepip(environment: Mapping[str, str]) -> None:
    """Debian splits `venv` off its Python: install that package, or say how."""
    if importlib.util.find_spec("ensurepip") is not None:
        return
    package = f"python{sys.version_info[0]}.{sys.version_info[1]}-venv"
    machine = describe_machine(environment["PATH"])
    if not (machine.is_root and machine.has_apt):
        raise SetupError(
            "This Python has no ensurepip. On Debian or Ubuntu type (as root):\n"
            f"    apt-get install --no-install-recommends {package}"
        )
    install_with_apt([package], environment)


def pip_commands(venv: Path) -> list[list[str]]:
    """Commands that fill the environment from the locks, hashes checked, nothing resolved."""
    build, everything = lock_files()
    pip = [str(venv / "bin/python"), "-m", "pip", "--disable-pip-version-check", "--no-input"]
    install = [*pip, "install", "-qq", "--require-hashes", "--no-deps"]
    wheels = ["--only-binary", ":all:"]
    # connection-pool is pure Python and has no wheel; the locked setuptools builds it.
    source = ["--no-binary", "connection-pool", "--no-build-isolation", "--use-pep517"]
    return [
        [*install, *wheels, "--requirement", str(build)],
        [*install, *wheels, *source, "--requirement", str(everything)],
        [*pip, "check"],
    ]


def write_command(venv: Path) -> None:
    """Write `fermentome`, which runs the library beside this file and not an installed copy."""
    command = venv / "bin/fermentome"
    library, python = shlex.quote(str(ROOT / "scripts")), shlex.quote(str(venv / "bin/python"))
    # -P: a module of the same name in the user's folder must not take the place of ours.
    call = f'PYTHONPATH={library} exec {python} -P -m fermentome "$@"'
    command.write_text(f"#!/bin/sh\n{call}\n", encoding="utf-8")
    command.chmod(0o755)


def set_up_venv(venv: Path, environment: Mapping[str, str]) -> None:
    """Make or repair the virtual environment; do nothing if it is as the locks say."""
    check_python((sys.version_info[0], sys.version_info[1]), platform.system())
    locks = lock_files()
    for lock in locks:
        if not lock.is_file():
            raise SetupError(f"{lock} is missing. Restore it with git, or type: make lock")
    python = platform.python_version()
    wanted = fingerprint(locks, python, venv)
    state = venv_state(venv, wanted)
    if state == "ready":
        write_command(venv)
        say(f"{venv.name}: up to date (Python {python})")
        return
    if state == "foreign":
        raise SetupError(
            f"{venv} exists and was not made by this set-up. Move it away, then repeat."
        )
    reasons = {
        "missing": "making it",
        "partial": "an earlier set-up was interrupted; making it again",
        "stale": "the lock, Python or the folder has changed; making it again",
        "broken": "its Python does not run; making it again",
    }
    say(f"{venv.name}: {reasons[state]} (Python {python})")
    provide_ensurepip(environment)
    remove_tree(venv)
    venv.mkdir()
    (venv / MARK).touch()
    run_or_stop([base_python(environment["PATH"]), "-m", "venv", str(venv)], environment)
    count = len(re.findall(r"^[a-z0-9]", locks[1].read_text("utf-8"), flags=re.MULTILINE))
    say(f"{venv.name}: installing {count} locked packages")
    started = time.monotonic()
    for command in pip_commands(venv):
        run_or_stop(command, environment)
    write_command(venv)
    write_stamp(venv, wanted)
    say(f"{venv.name}: ready after {time.monotonic() - started:.0f} s")


# --------------------------------------------------------------------------- clean


def things_to_clean(root: Path) -> list[Path]:
    """Folders below `root` that set-up, the demo or the tests made."""
    made = [root / name for name in DOOMED if (root / name).is_dir()]
    made += [root / name for name in (".venv", ".venv-lock") if (root / name / MARK).is_file()]
    if (root / ".tools/conda-meta").is_dir():
        made.append(root / ".tools")
    if (root / "demo" / DEMO_MARK).is_file():
        made.append(root / "demo")
    made += [root / name for name in sorted(CACHES) if (root / name).is_dir()]
    for folder in ("scripts", "tests", "example", "benchmarks"):
        for here, folders, _ in os.walk(root / folder):
            caches = sorted(CACHES & set(folders))
            made += [Path(here, name) for name in caches]
            folders[:] = [name for name in folders if name not in CACHES]
    return made


def clean() -> None:
    """Delete what we made, and say what."""
    made = things_to_clean(ROOT)
    for folder in made:
        say(f"deleting {folder.relative_to(ROOT)}")
        if folder.name in DOOMED:
            shutil.rmtree(folder)
        else:
            remove_tree(folder)
    (ROOT / ".setup.lock").unlink(missing_ok=True)
    if not made:
        say("nothing to delete")


# ------------------------------------------------------------------------ plumbing


def say(text: str) -> None:
    """One short line for the user."""
    print(f"setup: {text}", flush=True)


def remove_tree(folder: Path) -> None:
    """Delete a folder so that an interruption never leaves a half one under its name."""
    doomed = folder.with_name(f"{folder.name}.removing")
    if doomed.is_dir():
        shutil.rmtree(doomed)
    if folder.is_dir():
        folder.rename(doomed)
        shutil.rmtree(doomed)


def call_quietly(command: Sequence[str], environment: Mapping[str, str]) -> str | None:
    """Run a command; None if it succeeds, else the end of what it printed."""
    result = subprocess.run(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    if result.returncode == 0:
        return None
    lines = result.stdout.decode("utf-8", "replace").splitlines()
    return "\n".join(lines[-25:]) or f"exit code {result.returncode}"


def run_or_stop(command: Sequence[str], environment: Mapping[str, str]) -> None:
    """Run a command; stop with the end of what it printed if it fails."""
    output = call_quietly(command, environment)
    if output is not None:
        raise SetupError(f"This failed: {shlex.join(command)}\n{output}")


def sane_environment(given: Mapping[str, str]) -> dict[str, str]:
    """Environment for the commands: works from an empty one, keeps proxies and pip's settings."""
    kept = {
        key: value
        for key, value in given.items()
        # These would lead pip or the new Python to another installation.
        if key not in {"PYTHONPATH", "PYTHONHOME", "PIP_TARGET", "PIP_PREFIX", "PIP_USER"}
    }
    parts = [str(ROOT / ".tools/bin"), *(given.get("PATH") or SYSTEM_PATH).split(":")]
    parts += [part for part in SYSTEM_PATH.split(":") if part not in parts]
    kept["PATH"] = ":".join(dict.fromkeys(parts))
    kept["LC_ALL"] = "C.UTF-8"
    # A site-wide `user = true` would make pip refuse a virtual environment.
    kept["PIP_USER"] = "0"
    return kept


@contextlib.contextmanager
def one_at_a_time(lock: Path) -> Iterator[None]:
    """Let a second set-up in the same folder wait for the first."""
    with lock.open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            say("waiting for another set-up in this folder")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def main(arguments: Sequence[str]) -> int:
    """Entry point; 0 if the machine is ready, 1 with a message if it is not."""
    parser = argparse.ArgumentParser(prog="bootstrap.py", description=__doc__.splitlines()[0])
    parser.add_argument("command", choices=["setup", "venv", "snakemake-args", "clean"])
    parser.add_argument("--for", dest="purpose", choices=["run", "test"], default="run")
    options = parser.parse_args(arguments)
    environment = sane_environment(os.environ)
    wish = os.environ.get("FERMENTOME_TOOLS") or "auto"
    try:
        if wish not in {"auto", "path", "conda", "apt"}:
            raise SetupError(f"FERMENTOME_TOOLS={wish}: it can be auto, path, conda or apt.")
        if options.command == "snakemake-args":
            path = environment["PATH"]
            plan = choose_tools(wish, "run", find_tools(path), describe_machine(path))
            print("--sdm conda" if plan.source == "sdm-conda" else "")
            return 0
        with one_at_a_time(ROOT / ".setup.lock"):
            if options.command == "clean":
                clean()
            else:
                set_up_venv(ROOT / ".venv", environment)
            if options.command == "setup":
                call = set_up_tools(wish, options.purpose, environment)
                if options.purpose == "run":
                    say(f"ready; own samples: edit config/, then {call}")
    except SetupError as error:
        print(f"setup: stopped.\n{error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"setup: stopped: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("setup: interrupted; the next run repairs it.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
