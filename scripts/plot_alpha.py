"""Adapter of rule plot_alpha."""

from typing import TYPE_CHECKING

from fermentome.cohort.stages import draw_alpha
from fermentome.logs import log_to

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with log_to(snakemake.log[0]):
    draw_alpha(
        tables=dict(snakemake.input.items()),
        outputs=(snakemake.output.png, snakemake.output.svg),
    )
