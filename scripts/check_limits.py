"""Adapter of rule check_limits."""

from typing import TYPE_CHECKING

from fermentome.logs import log_to
from fermentome.unserved import Limits, check_limits

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with log_to(snakemake.log[0]):
    check_limits(
        table_path=snakemake.input.table,
        flows=snakemake.input.flows,
        statuses=snakemake.input.get("statuses") or [],
        used_path=snakemake.input.used,
        limits=Limits(**snakemake.params.limits),
        status_path=snakemake.output.status,
    )
