"""Adapter of rule plot_responses."""

from typing import TYPE_CHECKING

from fermentome.cohort.response_figures import plot_responses
from fermentome.logs import log_to

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with log_to(snakemake.log[0]):
    plot_responses(
        snakemake.input.responses,
        outputs=(snakemake.output.png, snakemake.output.svg),
    )
