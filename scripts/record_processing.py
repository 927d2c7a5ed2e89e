"""Adapter of rule record_processing."""

from typing import TYPE_CHECKING

from fermentome.cohort.stages import record_processing
from fermentome.logs import log_to

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with log_to(snakemake.log[0]):
    record_processing(
        config=snakemake.params.config,
        names=snakemake.params.names,
        catalogue=snakemake.params.catalogue,
        files=dict(snakemake.input.items()),
        output=snakemake.output.processing,
    )
