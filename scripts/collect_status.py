"""Adapter of rule collect_status."""

from typing import TYPE_CHECKING

from fermentome.joining import collect_status
from fermentome.logs import log_to

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with log_to(snakemake.log[0]):
    collect_status(
        paths=snakemake.input.statuses,
        reports=snakemake.input.reports,
        output=snakemake.output.status,
    )
