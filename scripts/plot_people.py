"""Adapter of rule plot_people."""

from typing import TYPE_CHECKING

from fermentome.cohort.timeline_figures import plot_people
from fermentome.logs import log_to

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with log_to(snakemake.log[0]):
    plot_people(
        tables=dict(snakemake.input.items()),
        outputs=(snakemake.output.png, snakemake.output.svg),
    )
