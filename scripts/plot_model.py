"""Adapter of rule plot_model."""

from typing import TYPE_CHECKING

from fermentome.cohort.stages import draw_model
from fermentome.logs import log_to

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with log_to(snakemake.log[0]):
    draw_model(
        tables=dict(snakemake.input.items()),
        outputs=dict(snakemake.output.items()),
    )
