"""pyproject.toml, the locks, envs/ and the library's imports name the same packages."""

import ast
import re
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]

# Where a package is imported under another name than it is installed under.
IMPORT_NAMES = {
    "biom": "biom-format",
    "skbio": "scikit-bio",
    "sklearn": "scikit-learn",
    "yaml": "pyyaml",
}


def locked(name):
    text = (ROOT / "requirements" / name).read_text()
    return dict(re.findall(r"^([a-z0-9-]+)==(\S+)", text, flags=re.MULTILINE))


def declared():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return set(project["dependencies"])


def all_packages_of(env):
    """Packages of an environment with versions, those of its pip section included."""
    packages = {}
    for entry in yaml.safe_load((ROOT / "envs" / env).read_text())["dependencies"]:
        for item in entry["pip"] if isinstance(entry, dict) else [entry]:
            name, _, version = item.replace("==", "=").partition("=")
            packages[name] = version
    return packages


def packages_of(env):
    """Packages of an environment with versions, without its pip section."""
    entries = yaml.safe_load((ROOT / "envs" / env).read_text())["dependencies"]
    return dict(entry.partition("=")[::2] for entry in entries if isinstance(entry, str))


def test_a_package_has_one_version_in_all_environments():
    versions = {}
    for env in sorted((ROOT / "envs").glob("*.yaml")):
        for name, version in packages_of(env.name).items():
            versions.setdefault(name, set()).add(version)
    assert {name: found for name, found in versions.items() if len(found) > 1} == {}


def test_database_environment_is_the_analysis_environment_with_the_tools_of_indexes():
    extra = set(packages_of("databases.yaml")) - set(packages_of("analysis.yaml"))
    # kraken2-build masks with dustmasker of BLAST+.
    assert extra == {"blast", "diamond", "kraken2", "minimap2"}
    assert set(packages_of("analysis.yaml")) < set(packages_of("databases.yaml"))


def test_cohort_environment_is_the_analysis_environment_with_the_statistics():
    extra = set(packages_of("cohort.yaml")) - set(packages_of("analysis.yaml"))
    assert extra == {"scikit-bio", "scikit-learn", "statsmodels", "threadpoolctl"}
    assert set(packages_of("analysis.yaml")) < set(packages_of("cohort.yaml"))


def test_cohort_environment_is_python_and_the_declared_dependencies():
    assert set(all_packages_of("cohort.yaml")) - {"python", "pip"} == declared()


@pytest.mark.parametrize("env", ["analysis.yaml", "cohort.yaml"])
def test_environment_of_scripts_has_the_locked_versions(env):
    lock = locked("venv.lock")
    packages = all_packages_of(env)
    assert packages.pop("python") == "3.11"
    packages.pop("pip")
    assert packages == {name: lock[name] for name in packages}


def test_library_imports_are_the_declared_dependencies():
    imported = set()
    for module in (ROOT / "scripts/fermentome").rglob("*.py"):
        for node in ast.walk(ast.parse(module.read_text())):
            if isinstance(node, ast.Import):
                imported |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                imported.add(node.module.partition(".")[0])
    # _typeshed exists for type checkers only.
    third_party = imported - sys.stdlib_module_names - {"fermentome", "_typeshed"}
    assert {IMPORT_NAMES.get(name, name) for name in third_party} == declared()


@pytest.mark.parametrize("name", ["build.lock", "venv.lock"])
def test_every_locked_package_has_hashes_and_no_host_is_named(name):
    text = (ROOT / "requirements" / name).read_text()
    packages = re.split(r"^(?=[a-z0-9-]+==)", text, flags=re.MULTILINE)[1:]
    assert packages
    assert all("--hash=sha256:" in package for package in packages)
    assert "://" not in text
    assert "index-url" not in text


@pytest.mark.parametrize("env", sorted((ROOT / "envs").glob("*.yaml")), ids=lambda env: env.stem)
def test_environments_pin_every_package_and_channel_order(env):
    content = yaml.safe_load(env.read_text())
    assert content["channels"] == ["conda-forge", "bioconda", "nodefaults"]
    for entry in content["dependencies"]:
        if isinstance(entry, str) and entry != "pip":
            assert re.fullmatch(r"[\w-]+=[\d.]+", entry)
