"""Adapter of rule collect_account."""

from typing import TYPE_CHECKING

from fermentome.cohort.stages import collect_account
from fermentome.logs import log_to

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with log_to(snakemake.log[0]):
    collect_account(
        parts=snakemake.input.parts,
        left_out=snakemake.params.left_out,
        output=snakemake.output.account,
    )
