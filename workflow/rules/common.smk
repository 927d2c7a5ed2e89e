"""Configuration, sample sheet and the helpers that rules use."""

import sys
from dataclasses import asdict
from pathlib import Path

from snakemake.logging import logger
from snakemake.utils import validate

# The modules that scripts import. Passed as `code` input to every script rule: a change
# to one re-runs the rule, and a module deployment fetches them next to the script.
LIBRARY = [
    workflow.source_path(f"../../scripts/fermentome/{module}.py") for module in """
    __init__ assign batches catalogue cohort/plan configuration databases/__init__
    databases/manifest databases/slots databases/store drawing errors estimate evidence figures
    flow genes genomes host ingest joining kraken2 lineage logs normalise organisms profiling
    quantify reference samples scoring tables taxonomy unserved unserved_figure
    """.split()
]

# The sheet is read with the library's own reader, which uses the standard library only.
sys.path.insert(0, str(Path(LIBRARY[0]).parents[1]))

from fermentome.batches import batches_of_files
from fermentome.configuration import check_configuration, check_schema
from fermentome.cohort.plan import foresee
from fermentome.databases.slots import place_databases, warnings_of
from fermentome.databases.store import Store, default_root
from fermentome.errors import FermentomeError
from fermentome.lineage import is_genome_file
from fermentome.samples import NAME_PATTERN, read_sample_sheet

CONFIG_SCHEMA = workflow.source_path("../schemas/config.schema.yaml")

try:
    # Snakemake's own check stops at the first mistake; it is kept for the defaults it fills in.
    check_schema(config, CONFIG_SCHEMA)
    validate(config, CONFIG_SCHEMA, set_default=True)
    STORE = Store(config["databases"]["store"] or default_root())
    SLOTS = place_databases(config, STORE)
    check_configuration(config, pending=[slot.key for slot in SLOTS if slot.pending])
    SHEET = read_sample_sheet(
        config["samples"],
        metadata_columns=config["metadata"],
        # A job parses the workflow again; the files were looked at when it was planned.
        check_files=workflow.is_main_process,
    )
except FermentomeError as error:
    # Without `from None` the message would drown in a traceback.
    raise WorkflowError(str(error)) from None

if workflow.is_main_process:
    attributes = {name: sample.attributes for name, sample in SHEET.samples.items()}
    for message in [
        *warnings_of(SLOTS, STORE),
        *foresee(config["cohort"], config["model"], attributes),
    ]:
        logger.warning(f"configuration, {message}")

SAMPLES = list(SHEET.samples)

CATALOGUE_FILES = ("families", "pathways", "single_copy")
CATALOGUE = {
    name: (
        f"{config['function']['catalogue']}/{name}.yaml"
        if config["function"]["catalogue"]
        else workflow.source_path(f"../resources/{name}.yaml")
    )
    for name in CATALOGUE_FILES
}
SCHEMAS = {
    name: workflow.source_path(f"../schemas/{name}.schema.yaml")
    for name in CATALOGUE_FILES
}
PROTEINS = config["function"]["reference"]
HAS_TAXONOMY = bool(config["taxonomy"]["genomes"] or config["taxonomy"]["database"])


wildcard_constraints:
    sample=NAME_PATTERN,
    run=NAME_PATTERN,


def genome_files(folder):
    """Genomes of a folder, none if it is not configured."""
    if not folder:
        return []
    return sorted(str(p) for p in Path(folder).iterdir() if is_genome_file(p.name))


def genomes_of_batch(wildcards):
    """Genomes of one batch. Not lookup(): it walks through all batches for each of them."""
    return GENOME_BATCHES[wildcards.batch]


def megabytes(first_attempt):
    """Memory request that grows with each retry."""

    def request(wildcards, attempt):
        return first_attempt * attempt

    return request


def megabytes_for(base, factor):
    """Memory request of `base` plus `factor` times the input, growing with each retry."""

    def request(wildcards, input, attempt):
        return int((base + factor * input.size_mb) * attempt)

    return request


def minutes(first_attempt):
    """Run time request that grows with each retry."""
    return megabytes(first_attempt)


def run_reads(wildcards):
    """FASTQ files of one run: one, or the two mates."""
    return SHEET.runs[wildcards.sample, wildcards.run].reads


def run_stamps(wildcards):
    """Size and time of change of the files of one run, so that any change is noticed."""
    stats = [Path(path).stat() for path in run_reads(wildcards)]
    return [f"{stat.st_size}@{stat.st_mtime_ns}" for stat in stats]


def of_runs(pattern, layout=None):
    """Files of every run of a sample, optionally of those with `layout` only."""

    def files(wildcards):
        return [
            pattern.format(sample=wildcards.sample, run=run.run)
            for run in SHEET.samples[wildcards.sample].runs
            if layout in (None, run.layout)
        ]

    return files


def of_samples(patterns):
    """Files of every sample, of the feature that the wildcard names."""

    def files(wildcards):
        return collect(patterns[wildcards.feature], sample=SAMPLES)

    return files
