"""Adapter of rule check_host."""

from typing import TYPE_CHECKING

from fermentome.host import check_host
from fermentome.logs import log_to

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with log_to(snakemake.log[0]):
    check_host(path=snakemake.input.reference, table_path=snakemake.output.table)
