"""Adapter of rule fetch_databases."""

from typing import TYPE_CHECKING

from fermentome.databases.provision import fetch_databases
from fermentome.logs import log_to

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with log_to(snakemake.log[0]):
    fetch_databases(
        slots=snakemake.params.slots,
        store_root=snakemake.params.store,
        threads=snakemake.threads,
        table_path=snakemake.output.table,
    )
