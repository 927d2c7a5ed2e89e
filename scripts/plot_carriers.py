"""Adapter of rule plot_carriers."""

from typing import TYPE_CHECKING

from fermentome.figures import plot_carriers
from fermentome.logs import log_to
from fermentome.unserved import Limits

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with log_to(snakemake.log[0]):
    plot_carriers(
        table_path=snakemake.input.table,
        products_path=snakemake.input.products,
        status_path=snakemake.input.status,
        unserved_path=snakemake.input.unserved,
        limits=Limits(**snakemake.params.limits),
        outputs=(snakemake.output.png, snakemake.output.svg),
    )
