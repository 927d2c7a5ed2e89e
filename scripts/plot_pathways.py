"""Adapter of rule plot_pathways."""

from typing import TYPE_CHECKING

from fermentome.figures import plot_pathways
from fermentome.logs import log_to

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with log_to(snakemake.log[0]):
    plot_pathways(
        table_path=snakemake.input.table,
        status_path=snakemake.input.status,
        outputs=(snakemake.output.png, snakemake.output.svg),
    )
