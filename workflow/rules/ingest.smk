"""Read every input file once and say whether it can be used.

Inputs
    reads1, reads2 of the sample sheet
Outputs
    results/ingest/{sample}/{run}.json    checksum, counts, lengths, verdict and its reason
    results/ingest/{sample}/{run}.status  the verdict as one word: ok, empty or failed
"""


rule ingest_reads:
    """Check the files of one run and describe them."""
    input:
        reads=run_reads,
        code=LIBRARY,
    output:
        report="results/ingest/{sample}/{run}.json",
        status="results/ingest/{sample}/{run}.status",
    log:
        "logs/ingest_reads/{sample}/{run}.log",
    benchmark:
        "benchmarks/ingest_reads/{sample}/{run}.tsv"
    conda:
        "../../envs/analysis.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(500),
        runtime=minutes(60),
    params:
        # A mended file may be older than the report on the broken one.
        stamps=run_stamps,
    script:
        "../../scripts/ingest_reads.py"
