"""Set-up: which source of tools it takes, what it says, when it makes the environment again."""

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def load(name):
    # These programs run before the library can be imported and are no part of it.
    spec = importlib.util.spec_from_file_location(
        f"setup_{name}", ROOT / f"scripts/setup/{name}.py"
    )
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


bootstrap = load("bootstrap")
demo = load("demo")

OUTPUTS = {
    "fastp": "fastp 0.23.2",
    "diamond": "diamond version 2.1.3",
    "minimap2": "2.24-r1122",
    "samtools": "samtools 1.16.1\nUsing htslib 1.16",
    "kraken2": "Kraken version 2.1.2\nCopyright 2013-2021, Derrick Wood (dwood@cs.jhu.edu)",
}


def machine(conda=None, conda_version=None, mamba=None, is_root=False, has_apt=False):
    return bootstrap.Machine(conda, conda_version, mamba, is_root, has_apt)


def add_program(folder, name, prints, status=0):
    folder.mkdir(exist_ok=True)
    program = folder / name
    program.write_text(f"#!/bin/sh\ncat <<'END'\n{prints}\nEND\nexit {status}\n")
    program.chmod(0o755)
    return program


def tools_in(folder, **changed):
    for name, prints in (OUTPUTS | changed).items():
        if prints is not None:
            add_program(folder, name, prints)
    return bootstrap.find_tools(str(folder))


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("fastp 0.23.2", (0, 23, 2)),
        ("diamond version 2.1.3", (2, 1, 3)),
        ("2.24-r1122", (2, 24)),
        ("samtools 1.16.1\nUsing htslib 1.16", (1, 16, 1)),
        ("Kraken version 2.1.2\nCopyright 2013-2021, Derrick Wood", (2, 1, 2)),
        ("conda 24.11.3", (24, 11, 3)),
        ("no number", None),
    ],
)
def test_version_is_the_first_dotted_number(text, version):
    assert bootstrap.parse_version(text) == version


def test_tools_of_debian_12_on_path_are_used(tmp_path):
    found = tools_in(tmp_path)
    assert [one.version for one in found] == [
        (0, 23, 2),
        (2, 1, 3),
        (2, 24),
        (1, 16, 1),
        (2, 1, 2),
    ]
    assert bootstrap.choose_tools("auto", "run", found, machine()).source == "path"


def test_version_10_is_newer_than_version_2(tmp_path):
    found = tools_in(tmp_path, samtools="samtools 1.9")
    assert not found[3].usable
    assert tools_in(tmp_path, samtools="samtools 1.21")[3].usable


def test_conda_is_preferred_for_a_run(tmp_path):
    conda = machine(conda="/c/conda", conda_version=(24, 7, 1), is_root=True, has_apt=True)
    assert bootstrap.choose_tools("auto", "run", tools_in(tmp_path), conda).source == "sdm-conda"


def test_conda_that_snakemake_refuses_is_passed_over(tmp_path):
    conda = machine(conda="/c/conda", conda_version=(23, 11, 0))
    assert bootstrap.choose_tools("auto", "run", tools_in(tmp_path), conda).source == "path"


def test_tests_take_path_before_conda(tmp_path):
    conda = machine(conda="/c/conda", conda_version=(24, 7, 1))
    assert bootstrap.choose_tools("auto", "test", tools_in(tmp_path), conda).source == "path"


def test_tests_without_tools_get_a_conda_prefix(tmp_path):
    conda = machine(conda="/c/conda", conda_version=(24, 7, 1), is_root=True, has_apt=True)
    found = tools_in(tmp_path, fastp=None)
    assert bootstrap.choose_tools("auto", "test", found, conda).source == "prefix"


def test_micromamba_alone_gets_a_prefix(tmp_path):
    mamba = machine(mamba="/m/micromamba", is_root=True, has_apt=True)
    found = tools_in(tmp_path, fastp=None)
    assert bootstrap.choose_tools("auto", "run", found, mamba).source == "prefix"


def test_root_on_debian_installs_exactly_the_missing_packages(tmp_path):
    found = tools_in(tmp_path, diamond=None, samtools=None)
    plan = bootstrap.choose_tools("auto", "run", found, machine(is_root=True, has_apt=True))
    assert (plan.source, plan.packages) == ("apt", ("diamond-aligner", "samtools"))


def test_user_on_debian_is_told_what_to_type(tmp_path):
    found = tools_in(tmp_path, diamond=None, samtools=None)
    plan = bootstrap.choose_tools("auto", "run", found, machine(has_apt=True))
    assert plan.source == "stop"
    assert "apt-get install --no-install-recommends diamond-aligner samtools" in plan.reason
    assert "fastp:" not in plan.reason


def test_unsupported_system_is_told_of_conda_and_not_of_apt(tmp_path):
    found = tools_in(tmp_path, fastp=None)
    plan = bootstrap.choose_tools("auto", "run", found, machine(is_root=True))
    assert plan.source == "stop"
    assert "fastp: not on PATH, need 0.23 or newer." in plan.reason
    assert "apt-get" not in plan.reason
    assert "micromamba create --yes --prefix .tools" in plan.reason
    assert "fastp=0.24.0" in plan.reason


def test_old_tool_is_named_and_not_covered_up_by_apt(tmp_path):
    found = tools_in(tmp_path, diamond="diamond version 2.0.14")
    plan = bootstrap.choose_tools("auto", "run", found, machine(is_root=True, has_apt=True))
    assert plan.source == "stop"
    assert f"diamond: {tmp_path}/diamond is 2.0.14, need 2.1 or newer." in plan.reason
    assert "apt-get" not in plan.reason


def test_tool_that_does_not_run_is_named(tmp_path):
    add_program(tmp_path, "samtools", "error while loading shared libraries: lib.so.1.2", 127)
    found = tools_in(tmp_path, samtools=None)
    plan = bootstrap.choose_tools("auto", "run", found, machine())
    assert f"samtools: {tmp_path}/samtools does not tell its version" in plan.reason


@pytest.mark.parametrize(
    ("wish", "source"), [("path", "stop"), ("conda", "sdm-conda"), ("apt", "apt")]
)
def test_wish_overrides_the_order(tmp_path, wish, source):
    every = machine("/c/conda", (25, 1, 0), None, True, True)
    found = tools_in(tmp_path, fastp=None)
    assert bootstrap.choose_tools(wish, "run", found, every).source == source


def test_wish_for_conda_without_conda_stops(tmp_path):
    plan = bootstrap.choose_tools("conda", "run", tools_in(tmp_path), machine())
    assert plan.source == "stop"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ID=debian\n", True),
        ('ID=linuxmint\nID_LIKE="ubuntu debian"\n', True),
        ('ID="rocky"\nID_LIKE="rhel centos fedora"\n', False),
        ("", False),
    ],
)
def test_debian_and_its_kin_are_recognised(text, expected):
    assert bootstrap.is_debian(text) is expected


def test_prefix_holds_every_tool_at_the_version_of_envs():
    command = bootstrap.prefix_command("mamba", Path(".tools"))
    pins = dict(argument.split("=") for argument in command if re.search(r"^\w+=", argument))
    assert set(pins) == {tool.name for tool in bootstrap.TOOLS}
    for tool in bootstrap.TOOLS:
        assert bootstrap.parse_version(pins[tool.name]) >= tool.minimum


def fake_micromamba(folder):
    """Stand-in that makes the prefix with every tool that it was asked for."""
    lines = ["#!/bin/sh", 'prefix="$4"', 'mkdir -p "$prefix/conda-meta" "$prefix/bin"']
    for name in OUTPUTS:
        program = f"$prefix/bin/{name}"
        lines.append(f'case "$*" in *{name}=*) cp {folder}/{name} "{program}";; esac')
    program = folder / "micromamba"
    program.write_text("\n".join(lines) + "\n")
    program.chmod(0o755)
    return str(program)


def test_prefix_holds_the_tools_afterwards(tmp_path):
    tools_in(tmp_path / "store")
    mamba = machine(mamba=fake_micromamba(tmp_path / "store"))
    prefix = tmp_path / ".tools"
    (prefix / "conda-meta").mkdir(parents=True)
    (prefix / "left-over").touch()
    bootstrap.make_prefix(prefix, mamba, {"PATH": os.environ["PATH"]})
    assert all(one.usable for one in bootstrap.find_tools(str(prefix / "bin")))
    assert not (prefix / "left-over").exists()


def test_prefix_of_someone_else_is_not_touched(tmp_path):
    prefix = tmp_path / ".tools"
    prefix.mkdir()
    (prefix / "mine").touch()
    with pytest.raises(bootstrap.SetupError, match="no conda environment; move it away"):
        bootstrap.make_prefix(prefix, machine(mamba="micromamba"), {})
    assert (prefix / "mine").exists()


def test_apt_fetches_lists_only_after_a_failed_try(tmp_path):
    # A stand-in that cannot install before it was updated, as on a machine without lists.
    log = tmp_path / "log"
    program = tmp_path / "bin/apt-get"
    program.parent.mkdir()
    program.write_text(
        f'#!/bin/sh\necho "$@" >> {log}\n'
        f'case "$*" in *update*) touch {tmp_path}/lists;; *) test -e {tmp_path}/lists;; esac\n'
    )
    program.chmod(0o755)
    environment = {"PATH": f"{program.parent}:{os.environ['PATH']}"}
    bootstrap.install_with_apt(["fastp"], environment)
    bootstrap.install_with_apt(["samtools"], environment)
    lines = log.read_text().splitlines()
    calls = ["update" if "update" in line else line.split()[-1] for line in lines]
    assert calls == ["fastp", "update", "fastp", "samtools"]


@pytest.fixture
def locks(tmp_path):
    files = [tmp_path / "build.lock", tmp_path / "venv.lock"]
    for file in files:
        file.write_text("numpy==1 --hash=sha256:00\n")
    return files


def ready_venv(folder, fingerprint):
    (folder / "bin").mkdir(parents=True)
    (folder / bootstrap.MARK).touch()
    add_program(folder / "bin", "python", "Python 3.11.2")
    bootstrap.write_stamp(folder, fingerprint)
    return folder


def test_complete_environment_is_left_alone(tmp_path):
    assert bootstrap.venv_state(ready_venv(tmp_path / "venv", "a"), "a") == "ready"


def test_interrupted_environment_is_recognised(tmp_path):
    venv = ready_venv(tmp_path / "venv", "a")
    (venv / bootstrap.STAMP).unlink()
    assert bootstrap.venv_state(venv, "a") == "partial"


def test_half_written_stamp_is_an_interruption(tmp_path):
    venv = ready_venv(tmp_path / "venv", "a")
    (venv / bootstrap.STAMP).write_text('{"finger')
    assert bootstrap.venv_state(venv, "a") == "partial"


def test_environment_without_working_python_is_recognised(tmp_path):
    venv = ready_venv(tmp_path / "venv", "a")
    (venv / "bin/python").unlink()
    assert bootstrap.venv_state(venv, "a") == "broken"


def test_environment_of_someone_else_is_not_touched(tmp_path):
    venv = tmp_path / "venv"
    venv.mkdir()
    (venv / "pyvenv.cfg").touch()
    assert bootstrap.venv_state(venv, "a") == "foreign"


def test_absent_environment_is_made(tmp_path):
    assert bootstrap.venv_state(tmp_path / "venv", "a") == "missing"


def test_lock_python_and_folder_each_make_the_environment_stale(tmp_path, locks):
    first = bootstrap.fingerprint(locks, "3.11.2", tmp_path / "venv")
    venv = ready_venv(tmp_path / "venv", first)
    assert bootstrap.fingerprint(locks, "3.11.2", tmp_path / "venv") == first
    others = [
        bootstrap.fingerprint(locks, "3.12.1", tmp_path / "venv"),
        bootstrap.fingerprint(locks, "3.11.2", tmp_path / "elsewhere/venv"),
    ]
    locks[1].write_text("numpy==2 --hash=sha256:00\n")
    others.append(bootstrap.fingerprint(locks, "3.11.2", tmp_path / "venv"))
    assert len({first, *others}) == 4
    assert {bootstrap.venv_state(venv, other) for other in others} == {"stale"}


@pytest.mark.parametrize("version", [(3, 10), (3, 14)])
def test_python_that_the_lock_does_not_serve_is_refused(version):
    with pytest.raises(bootstrap.SetupError, match=r"Python 3\.11 to 3\.13 is needed"):
        bootstrap.check_python(version, "Linux")


def test_other_systems_are_refused():
    with pytest.raises(bootstrap.SetupError, match="Linux only; this is Darwin"):
        bootstrap.check_python((3, 12), "Darwin")


def test_empty_environment_gets_a_path_and_a_locale():
    environment = bootstrap.sane_environment({})
    assert "/usr/bin" in environment["PATH"].split(":")
    assert "/sbin" in environment["PATH"].split(":")
    assert environment["LC_ALL"] == "C.UTF-8"


def test_proxies_and_pip_settings_are_kept_and_other_pythons_are_not():
    given = {"https_proxy": "http://p:1", "PIP_CERT": "/c", "PYTHONPATH": "/x", "PATH": "/mine"}
    environment = bootstrap.sane_environment(given)
    assert environment["https_proxy"] == "http://p:1"
    assert environment["PIP_CERT"] == "/c"
    assert "PYTHONPATH" not in environment
    parts = environment["PATH"].split(":")
    assert parts.index("/mine") < parts.index("/usr/bin")


def test_clean_takes_only_what_we_made(tmp_path):
    ready_venv(tmp_path / ".venv", "a")
    for name in ("demo", ".tools", "results", "scripts/__pycache__", ".snakemake", ".mypy_cache"):
        (tmp_path / name).mkdir(parents=True)
    names = {str(path.relative_to(tmp_path)) for path in bootstrap.things_to_clean(tmp_path)}
    # demo and .tools are without our marks here, so they may be someone's own.
    assert names == {".venv", "scripts/__pycache__", ".mypy_cache"}
    (tmp_path / "demo" / bootstrap.DEMO_MARK).touch()
    assert tmp_path / "demo" in bootstrap.things_to_clean(tmp_path)


def test_demo_and_clean_agree_on_the_mark():
    assert demo.MARK == bootstrap.DEMO_MARK


def test_interrupted_deletion_is_finished_by_the_next(tmp_path):
    left_over = tmp_path / ".venv.removing"
    left_over.mkdir()
    (left_over / "file").touch()
    bootstrap.remove_tree(tmp_path / ".venv")
    assert not left_over.exists()


def test_lock_of_a_dead_run_is_seen(tmp_path):
    assert not demo.stale_lock(tmp_path)
    locks = tmp_path / ".snakemake/locks"
    locks.mkdir(parents=True)
    assert not demo.stale_lock(tmp_path)
    (locks / "0.output.lock").touch()
    assert demo.stale_lock(tmp_path)


def test_unknown_wish_is_refused_with_the_legal_ones():
    result = subprocess.run(
        [sys.executable, ROOT / "scripts/setup/bootstrap.py", "snakemake-args"],
        env={"FERMENTOME_TOOLS": "brew"},
        text=True,
        capture_output=True,
    )
    assert result.returncode == 1
    assert "FERMENTOME_TOOLS=brew: it can be auto, path, conda or apt." in result.stderr


@pytest.mark.parametrize(("version", "expected"), [("24.11.3", "--sdm conda"), ("4.12.0", "")])
def test_snakemake_is_told_of_conda_only_where_it_accepts_it(tmp_path, version, expected):
    tools_in(tmp_path)
    add_program(tmp_path, "conda", f"conda {version}")
    result = subprocess.run(
        [sys.executable, ROOT / "scripts/setup/bootstrap.py", "snakemake-args"],
        env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
        text=True,
        capture_output=True,
        check=True,
    )
    assert result.stdout.strip() == expected


def test_make_alone_lists_every_documented_command():
    text = (ROOT / "Makefile").read_text()
    result = subprocess.run(
        ["make", "--no-print-directory"], cwd=ROOT, text=True, capture_output=True, check=True
    )
    for command in re.findall(r"^(\w+):.*## ", text, flags=re.MULTILINE):
        assert f"  make {command} " in result.stdout


def test_stamp_is_json(tmp_path):
    bootstrap.write_stamp(tmp_path, "a")
    assert json.loads((tmp_path / bootstrap.STAMP).read_text()) == {"fingerprint": "a"}
