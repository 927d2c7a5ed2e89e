"""Adapter of rule ingest_reads."""

from typing import TYPE_CHECKING

from fermentome.ingest import ingest_run, write_ingest_report
from fermentome.logs import log_to

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with log_to(snakemake.log[0]):
    write_ingest_report(
        ingest_run(
            sample=snakemake.wildcards.sample,
            run=snakemake.wildcards.run,
            reads=snakemake.input.reads,
        ),
        report_path=snakemake.output.report,
        status_path=snakemake.output.status,
    )
