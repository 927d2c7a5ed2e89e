"""Adapter of rule summarise_reads."""

from typing import TYPE_CHECKING

from fermentome.flow import summarise_reads
from fermentome.logs import log_to

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with log_to(snakemake.log[0]):
    summarise_reads(
        sample=snakemake.wildcards.sample,
        reports=snakemake.input.reports,
        fastp=snakemake.input.fastp,
        clean=snakemake.input.clean,
        has_host=snakemake.params.has_host,
        flow_path=snakemake.output.flow,
        status_path=snakemake.output.status,
    )
