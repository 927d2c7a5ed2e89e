"""Print what every rule declares, as JSON: loading a workflow stays out of the tests' process.

Usage: ``describe_rules.py SNAKEFILE FOLDER``; the folder holds config/config.yaml and its files.
"""

import json
import sys
from pathlib import Path
from types import SimpleNamespace

from snakemake.api import SnakemakeApi
from snakemake.settings.types import (
    ConfigSettings,
    DeploymentSettings,
    OutputSettings,
    ResourceSettings,
    StorageSettings,
    WorkflowSettings,
)


def demand(rule, resource, attempt, megabytes):
    """Value of a resource for an attempt and a size of the input; None if not declared."""
    if resource not in rule.resources:
        return None
    values = {"input": SimpleNamespace(size_mb=megabytes), "attempt": attempt, "threads": 1}
    return rule.resources[resource].evaluate(SimpleNamespace(), **values).value


def unnamed(files):
    """How many files of an input or output stand without a name."""
    named = sum(len(item) if isinstance(item, list) else 1 for _, item in files.items())
    return len(files) - named


def describe(rule):
    """What the tests look at."""
    return {
        "name": rule.name,
        "docstring": rule.docstring or "",
        "conda": str(rule.conda_env or ""),
        "file": str(rule.snakefile),
        "log": [str(log) for log in rule.log],
        "benchmark": str(rule.benchmark or ""),
        "script": str(rule.script or ""),
        "shell": bool(rule.shellcmd),
        "other_kinds": [
            kind
            for kind in ("is_run", "is_checkpoint", "is_wrapper", "is_notebook", "is_cwl")
            if getattr(rule, kind)
        ],
        "unnamed": [unnamed(rule.input), unnamed(rule.output)],
        "outputs": len(rule.output),
        "wildcards": sorted(rule.wildcard_names),
        "code": [str(path) for path in rule.input.get("code", [])],
        "resources": {
            resource: [demand(rule, resource, attempt, 100) for attempt in (1, 2, 3)]
            for resource in ("mem_mb", "runtime")
        },
    }


def main(snakefile, folder):
    """Load the workflow and print its rules."""
    with SnakemakeApi(OutputSettings()) as api:
        workflow = api.workflow(
            resource_settings=ResourceSettings(cores=1),
            config_settings=ConfigSettings(),
            storage_settings=StorageSettings(),
            workflow_settings=WorkflowSettings(),
            deployment_settings=DeploymentSettings(),
            snakefile=Path(snakefile),
            workdir=Path(folder),
        )
        rules = [describe(rule) for rule in workflow._workflow.rules if not rule.norun]
    print(json.dumps(rules))


if __name__ == "__main__":
    main(*sys.argv[1:])
