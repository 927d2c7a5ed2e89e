"""Adapter of rule record_databases."""

from typing import TYPE_CHECKING

from fermentome.databases.slots import write_used
from fermentome.logs import log_to

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with log_to(snakemake.log[0]):
    write_used(slots=snakemake.params.slots, table_path=snakemake.output.table)
