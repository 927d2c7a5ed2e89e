"""Join the samples and keep the ledger.

Inputs
    tables and statuses of every sample
Outputs
    results/status.tsv                    one row per sample and stage
    results/tables/{feature}.tsv          long; also .wide.tsv, .parquet and .biom
    results/tables/reads.tsv              read counts and metadata, one row per sample
    results/tables/unserved.tsv           what the databases did not serve, one row per sample
    results/status/databases.tsv          samples above the limits
"""

FEATURE_TABLES = {
    "families": "results/function/{sample}.families.tsv",
    "pathways": "results/pathways/{sample}.tsv",
    "products": "results/products/{sample}.tsv",
} | ({"taxa": "results/taxonomy/{sample}.tsv"} if HAS_TAXONOMY else {})
STATUS_TABLES = ["reads", "pathways"] + (["taxonomy"] if HAS_TAXONOMY else [])
FIGURES = ["reads", "pathways", "carriers", "unserved"] + (
    ["taxa"] if HAS_TAXONOMY else []
)


rule join_tables:
    """Join one feature over all samples."""
    input:
        tables=of_samples(FEATURE_TABLES),
        code=LIBRARY,
    output:
        long="results/tables/{feature}.tsv",
        wide="results/tables/{feature}.wide.tsv",
        parquet="results/tables/{feature}.parquet",
        biom="results/tables/{feature}.biom",
    log:
        "logs/join_tables/{feature}.log",
    benchmark:
        "benchmarks/join_tables/{feature}.tsv"
    wildcard_constraints:
        feature="taxa|families|pathways|products",
    conda:
        "../../envs/analysis.yaml"
    threads: 1
    resources:
        mem_mb=megabytes_for(500, 20),
        runtime=minutes(60),
    params:
        samples=SAMPLES,
    script:
        "../../scripts/join_tables.py"


rule join_reads:
    """Join read counts and metadata of all samples."""
    input:
        flows=collect("results/reads/{sample}.json", sample=SAMPLES),
        code=LIBRARY,
    output:
        table="results/tables/reads.tsv",
        parquet="results/tables/reads.parquet",
    log:
        "logs/join_reads.log",
    benchmark:
        "benchmarks/join_reads.tsv"
    conda:
        "../../envs/analysis.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(500),
        runtime=minutes(30),
    params:
        attributes={name: sample.attributes for name, sample in SHEET.samples.items()},
    script:
        "../../scripts/join_reads.py"


rule join_unserved:
    """Join what the databases did not serve of all samples."""
    input:
        tables=collect("results/unserved/{sample}.tsv", sample=SAMPLES),
        code=LIBRARY,
    output:
        table="results/tables/unserved.tsv",
        parquet="results/tables/unserved.parquet",
    log:
        "logs/join_unserved.log",
    benchmark:
        "benchmarks/join_unserved.tsv"
    conda:
        "../../envs/analysis.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(500),
        runtime=minutes(30),
    script:
        "../../scripts/join_unserved.py"


rule check_limits:
    """Mark the samples of which the databases served too little."""
    input:
        table="results/tables/unserved.tsv",
        flows=collect("results/reads/{sample}.json", sample=SAMPLES),
        statuses=(
            collect("results/status/taxonomy/{sample}.tsv", sample=SAMPLES)
            if HAS_TAXONOMY
            else []
        ),
        used="results/databases/used.tsv",
        code=LIBRARY,
    output:
        status="results/status/databases.tsv",
    log:
        "logs/check_limits.log",
    benchmark:
        "benchmarks/check_limits.tsv"
    conda:
        "../../envs/analysis.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(500),
        runtime=minutes(30),
    params:
        limits=config["limits"],
    script:
        "../../scripts/check_limits.py"


rule collect_status:
    """Write the ledger of all samples and stages."""
    input:
        statuses=collect(
            "results/status/{stage}/{sample}.tsv", stage=STATUS_TABLES, sample=SAMPLES
        )
        + ["results/status/databases.tsv"],
        reports=[f"results/ingest/{sample}/{run}.json" for sample, run in SHEET.runs],
        code=LIBRARY,
    output:
        status="results/status.tsv",
    log:
        "logs/collect_status.log",
    benchmark:
        "benchmarks/collect_status.tsv"
    conda:
        "../../envs/analysis.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(500),
        runtime=minutes(30),
    script:
        "../../scripts/collect_status.py"


localrules:
    check_limits,
    collect_status,
    join_reads,
    join_unserved,
