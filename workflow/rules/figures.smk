"""Draw the figures.

Inputs
    results/tables/*.tsv, results/status.tsv
Outputs
    results/figures/reads.{png,svg}     reads through the stages
    results/figures/taxa.{png,svg}      most abundant species
    results/figures/pathways.{png,svg}  copies per genome with intervals and detection limits
    results/figures/carriers.{png,svg}  genera that carry the routes to each product
    results/figures/unserved.{png,svg}  what the databases did not serve of each sample
"""


rule plot_reads:
    """Draw what became of the reads of each sample."""
    input:
        table="results/tables/reads.tsv",
        code=LIBRARY,
    output:
        png="results/figures/reads.png",
        svg="results/figures/reads.svg",
    log:
        "logs/plot_reads.log",
    benchmark:
        "benchmarks/plot_reads.tsv"
    conda:
        "../../envs/analysis.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(500),
        runtime=minutes(30),
    params:
        has_host=bool(HOST),
    script:
        "../../scripts/plot_reads.py"


rule plot_taxa:
    """Draw the most abundant species of each sample."""
    input:
        table="results/tables/taxa.tsv",
        status="results/status.tsv",
        unserved="results/tables/unserved.tsv",
        code=LIBRARY,
    output:
        png="results/figures/taxa.png",
        svg="results/figures/taxa.svg",
    log:
        "logs/plot_taxa.log",
    benchmark:
        "benchmarks/plot_taxa.tsv"
    conda:
        "../../envs/analysis.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(500),
        runtime=minutes(30),
    params:
        limits=config["limits"],
    script:
        "../../scripts/plot_taxa.py"


rule plot_pathways:
    """Draw the copies per genome of each pathway, with intervals and detection limits."""
    input:
        table="results/tables/pathways.tsv",
        status="results/status.tsv",
        unserved="results/tables/unserved.tsv",
        code=LIBRARY,
    output:
        png="results/figures/pathways.png",
        svg="results/figures/pathways.svg",
    log:
        "logs/plot_pathways.log",
    benchmark:
        "benchmarks/plot_pathways.tsv"
    conda:
        "../../envs/analysis.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(500),
        runtime=minutes(30),
    params:
        limits=config["limits"],
    script:
        "../../scripts/plot_pathways.py"


rule plot_carriers:
    """Draw which genera carry the routes to each product."""
    input:
        table="results/tables/pathways.tsv",
        products="results/tables/products.tsv",
        status="results/status.tsv",
        unserved="results/tables/unserved.tsv",
        code=LIBRARY,
    output:
        png="results/figures/carriers.png",
        svg="results/figures/carriers.svg",
    log:
        "logs/plot_carriers.log",
    benchmark:
        "benchmarks/plot_carriers.tsv"
    conda:
        "../../envs/analysis.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(500),
        runtime=minutes(30),
    params:
        limits=config["limits"],
    script:
        "../../scripts/plot_carriers.py"


rule plot_unserved:
    """Draw what the databases did not serve of each sample."""
    input:
        table="results/tables/unserved.tsv",
        status="results/status.tsv",
        code=LIBRARY,
    output:
        png="results/figures/unserved.png",
        svg="results/figures/unserved.svg",
    log:
        "logs/plot_unserved.log",
    benchmark:
        "benchmarks/plot_unserved.tsv"
    conda:
        "../../envs/analysis.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(500),
        runtime=minutes(30),
    params:
        limits=config["limits"],
    script:
        "../../scripts/plot_unserved.py"
