"""Adapter of rule plot_carriers."""

from typing import TYPE_CHECKING

from fermentome.figures import plot_carriers
from fermentome.logs import log_to

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with log_to(snakemake.log[0]):
    plot_carriers(
        table_path=snakemake.input.table,
        products_path=snakemake.input.products,
        status_path=snakemake.input.status,
        outputs=(snakemake.output.png, snakemake.output.svg),
    )
