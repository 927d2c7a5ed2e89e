"""Adapter of rule check_outcome."""

from typing import TYPE_CHECKING

from fermentome.joining import check_outcome
from fermentome.logs import log_to

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with log_to(snakemake.log[0]):
    check_outcome(status_path=snakemake.input.status, output=snakemake.output.outcome)
