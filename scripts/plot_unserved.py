"""Adapter of rule plot_unserved."""

from typing import TYPE_CHECKING

from fermentome.logs import log_to
from fermentome.unserved import Limits
from fermentome.unserved_figure import plot_unserved

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with log_to(snakemake.log[0]):
    plot_unserved(
        table_path=snakemake.input.table,
        status_path=snakemake.input.status,
        limits=Limits(**snakemake.params.limits),
        outputs=(snakemake.output.png, snakemake.output.svg),
    )
