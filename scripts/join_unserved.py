"""Adapter of rule join_unserved."""

from typing import TYPE_CHECKING

from fermentome.joining import join_unserved
from fermentome.logs import log_to

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with log_to(snakemake.log[0]):
    join_unserved(
        tables=snakemake.input.tables,
        table_path=snakemake.output.table,
        parquet_path=snakemake.output.parquet,
    )
