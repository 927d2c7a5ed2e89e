"""Score the pathways of each sample, and measure what the databases did not serve.

Inputs
    results/function/{sample}.families.tsv, .ambiguous.tsv, .depth.json
    results/taxonomy/{sample}.tsv; results/databases/phenotypes.tsv, proteins.tsv
Outputs
    results/tables/routes.tsv               what each pathway is and what it cannot say
    results/unserved/{sample}.tsv           one row: shares that the databases did not serve
    results/pathways/{sample}.tsv           one row per pathway and taxon
    results/products/{sample}.tsv           one row per product
    results/status/pathways/{sample}.tsv    status of function and pathways
"""


rule measure_unserved:
    """Measure what the databases did not serve of one sample."""
    input:
        flow="results/reads/{sample}.json",
        taxonomy="results/taxonomy/{sample}.tsv" if HAS_TAXONOMY else [],
        phenotypes=PHENOTYPES,
        families="results/function/{sample}.families.tsv",
        ambiguous="results/function/{sample}.ambiguous.tsv",
        depth="results/function/{sample}.depth.json",
        reference="results/databases/proteins.tsv",
        catalogue=list(CATALOGUE.values()),
        schemas=list(SCHEMAS.values()),
        code=LIBRARY,
    output:
        table="results/unserved/{sample}.tsv",
    log:
        "logs/measure_unserved/{sample}.log",
    benchmark:
        "benchmarks/measure_unserved/{sample}.tsv"
    conda:
        "../../envs/analysis.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(500),
        runtime=minutes(30),
    script:
        "../../scripts/measure_unserved.py"


rule score_pathways:
    """Score the pathways of one sample."""
    input:
        flow="results/reads/{sample}.json",
        families="results/function/{sample}.families.tsv",
        depth="results/function/{sample}.depth.json",
        ambiguous="results/function/{sample}.ambiguous.tsv",
        taxonomy="results/taxonomy/{sample}.tsv" if HAS_TAXONOMY else [],
        phenotypes=PHENOTYPES,
        unserved="results/unserved/{sample}.tsv",
        proteins=f"{PROTEINS}/proteins.tsv",
        catalogue=list(CATALOGUE.values()),
        schemas=list(SCHEMAS.values()),
        code=LIBRARY,
    output:
        pathways="results/pathways/{sample}.tsv",
        products="results/products/{sample}.tsv",
        status="results/status/pathways/{sample}.tsv",
    log:
        "logs/score_pathways/{sample}.log",
    benchmark:
        "benchmarks/score_pathways/{sample}.tsv"
    conda:
        "../../envs/analysis.yaml"
    threads: 1
    resources:
        # Phenotypes of a large database are millions of rows, held as numbers.
        mem_mb=megabytes_for(500, 2),
        runtime=minutes(30),
    params:
        scoring=config["scoring"],
    script:
        "../../scripts/score_pathways.py"


rule list_routes:
    """List the pathways that are reported, with what their calls cannot say."""
    input:
        catalogue=list(CATALOGUE.values()),
        schemas=list(SCHEMAS.values()),
        code=LIBRARY,
    output:
        table="results/tables/routes.tsv",
    log:
        "logs/list_routes.log",
    benchmark:
        "benchmarks/list_routes.tsv"
    conda:
        "../../envs/analysis.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(500),
        runtime=minutes(10),
    script:
        "../../scripts/list_routes.py"
