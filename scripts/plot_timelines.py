"""Adapter of rule plot_timelines."""

from typing import TYPE_CHECKING

from fermentome.cohort.timeline_figures import plot_timelines
from fermentome.logs import log_to

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with log_to(snakemake.log[0]):
    plot_timelines(
        tables=dict(snakemake.input.items()),
        folder=snakemake.output.folder,
        index=snakemake.output.index,
    )
