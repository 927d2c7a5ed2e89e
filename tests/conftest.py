"""What several folders of tests need: the tools, a copy of the workflow, a finished demo run."""

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from snakemake_runs import ROOT, TOOLS, copy_workflow, snakemake

# Half of the example's fragments: every call is right already, and a run takes 20 seconds.
DEPTH = "0.5"


@dataclass(frozen=True)
class Demo:
    """A finished run of the embedded example.

    Nothing may be written below `folder`; a test that changes something works on a copy.
    """

    folder: Path
    snakefile: Path
    config: str

    @property
    def results(self):
        return self.folder / "results"


@pytest.fixture(scope="session")
def tools():
    """Skip where a tool that the rules call is missing."""
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"not on PATH: {', '.join(missing)}; `make setup` finds or installs the tools")


@pytest.fixture(scope="session")
def workflow_copy(tmp_path_factory):
    """Snakefile of a copy of the workflow, the same for all tests of a session."""
    return copy_workflow(tmp_path_factory.mktemp("fermentome"))


@pytest.fixture(scope="session")
def simulated(tmp_path_factory):
    """Folder with the example's reads, sheet and truth."""
    folder = tmp_path_factory.mktemp("simulated")
    command = [sys.executable, "example/simulate_example.py", "--output", folder, "--depth", DEPTH]
    subprocess.run(command, cwd=ROOT, check=True)
    return folder


@pytest.fixture(scope="session")
def demo_config(workflow_copy):
    """The example's configuration with the paths in it made absolute."""
    text = (ROOT / "example/config.yaml").read_text(encoding="utf-8")
    assert "../example/" in text
    return text.replace("../example/", f"{workflow_copy.parent}/example/")


@pytest.fixture(scope="session")
def demo(tools, tmp_path_factory, simulated, workflow_copy, demo_config):
    """The example, run once with two cores."""
    folder = tmp_path_factory.mktemp("demo") / "run"
    shutil.copytree(simulated, folder)
    (folder / "config/config.yaml").write_text(demo_config, encoding="utf-8")
    snakemake(folder, snakefile=workflow_copy)
    return Demo(folder, workflow_copy, demo_config)
