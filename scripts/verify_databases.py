"""Adapter of rule verify_databases."""

from typing import TYPE_CHECKING

from fermentome.databases.provision import verify_databases
from fermentome.logs import log_to

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with log_to(snakemake.log[0]):
    verify_databases(
        slots=snakemake.params.slots,
        store_root=snakemake.params.store,
        table_path=snakemake.output.table,
    )
