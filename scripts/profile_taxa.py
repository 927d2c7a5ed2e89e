"""Adapter of rule profile_taxa."""

from typing import TYPE_CHECKING

from fermentome.logs import log_to
from fermentome.profiling import profile_sample

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with log_to(snakemake.log[0]):
    profile_sample(
        classifier=snakemake.params.classifier,
        flow_path=snakemake.input.flow,
        paired=snakemake.input.paired,
        single=snakemake.input.single,
        database=snakemake.input.database,
        lineages_path=snakemake.input.lineages,
        minimum_ani=snakemake.params.minimum_ani,
        minimum_kmers=snakemake.params.minimum_kmers,
        counts=snakemake.input.counts,
        tables=snakemake.input.tables,
        minimum_reads=snakemake.params.minimum_reads,
        minimum_evenness=snakemake.params.minimum_evenness,
        low_depth_abundance=snakemake.params.low_depth_abundance,
        table_path=snakemake.output.table,
        status_path=snakemake.output.status,
    )
