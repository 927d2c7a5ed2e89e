"""Adapter of rule join_reads."""

from typing import TYPE_CHECKING

from fermentome.joining import join_reads
from fermentome.logs import log_to

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with log_to(snakemake.log[0]):
    join_reads(
        flows=snakemake.input.flows,
        attributes=snakemake.params.attributes,
        table_path=snakemake.output.table,
        parquet_path=snakemake.output.parquet,
    )
