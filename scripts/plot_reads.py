"""Adapter of rule plot_reads."""

from typing import TYPE_CHECKING

from fermentome.figures import plot_reads
from fermentome.logs import log_to

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with log_to(snakemake.log[0]):
    plot_reads(
        table_path=snakemake.input.table,
        has_host=snakemake.params.has_host,
        outputs=(snakemake.output.png, snakemake.output.svg),
    )
