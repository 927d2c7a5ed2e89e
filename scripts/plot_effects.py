"""Adapter of rule plot_effects."""

from typing import TYPE_CHECKING

from fermentome.cohort.stages import draw_effects
from fermentome.logs import log_to

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with log_to(snakemake.log[0]):
    draw_effects(
        effects=snakemake.input.effects,
        fdr=snakemake.params.fdr,
        folder=snakemake.output.folder,
        index=snakemake.output.index,
    )
