"""Adapter of rule plot_percentiles."""

from typing import TYPE_CHECKING

from fermentome.cohort.percentile_figures import plot_percentiles
from fermentome.logs import log_to

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with log_to(snakemake.log[0]):
    plot_percentiles(
        snakemake.input.percentiles,
        outputs=(snakemake.output.png, snakemake.output.svg),
    )
