"""Adapter of rule plot_taxa."""

from typing import TYPE_CHECKING

from fermentome.figures import plot_taxa
from fermentome.logs import log_to
from fermentome.unserved import Limits

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with log_to(snakemake.log[0]):
    plot_taxa(
        table_path=snakemake.input.table,
        status_path=snakemake.input.status,
        unserved_path=snakemake.input.unserved,
        limits=Limits(**snakemake.params.limits),
        outputs=(snakemake.output.png, snakemake.output.svg),
    )
