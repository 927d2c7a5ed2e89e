"""Call the routes of the reference genomes: the organism evidence of the samples.

Inputs
    genomes with lineages, and the protein reference, of the configuration
Outputs
    results/databases/phenotypes.tsv                  one row per genome and pathway
    results/genomes/genomes.tsv                       what became of each genome
    results/genomes/families.tsv                      proteins that count for a family
    results/genomes/pathways.tsv                      calls with missing steps and reasons
    results/genomes/products.tsv                      genomes by products
    results/databases/genomes/{batch}.faa.gz          proteins of a batch (temporary)
    results/databases/genomes/{batch}.called.tsv      its genomes (temporary)
    results/databases/genomes/{batch}.hits.tsv.gz     their alignments (temporary)
    results/databases/genomes/{batch}.{table}.tsv     its tables (temporary)
"""

# A batch of genomes is one job. One genome more leaves the other batches as they are.
GENOME_BATCHES = batches_of_files(GENOMES, config["taxonomy"]["genomes_per_batch"])


wildcard_constraints:
    batch="[0-9a-f]{16}",


rule call_genes:
    """Find the proteins of a batch of genomes."""
    input:
        genomes=genomes_of_batch,
        code=LIBRARY,
    output:
        proteins=temp("results/databases/genomes/{batch}.faa.gz"),
        called=temp("results/databases/genomes/{batch}.called.tsv"),
    log:
        "logs/call_genes/{batch}.log",
    benchmark:
        "benchmarks/call_genes/{batch}.tsv"
    conda:
        "../../envs/analysis.yaml"
    threads: 2
    resources:
        mem_mb=megabytes_for(1000, 5),
        runtime=minutes(120),
    script:
        "../../scripts/call_genes.py"


rule search_genes:
    """Search the proteins of a batch of genomes in the protein reference."""
    input:
        proteins="results/databases/genomes/{batch}.faa.gz",
        index="results/databases/proteins.dmnd",
    output:
        hits=temp("results/databases/genomes/{batch}.hits.tsv.gz"),
    log:
        "logs/search_genes/{batch}.log",
    benchmark:
        "benchmarks/search_genes/{batch}.tsv"
    conda:
        "../../envs/diamond.yaml"
    threads: 8
    resources:
        mem_mb=megabytes_for(4000, 10),
        runtime=minutes(240),
    shell:
        """
        exec 2> {log:q}
        # A gzip file of nothing has 20 bytes, and DIAMOND refuses it. All hits are kept: the
        # best one is looked for in each region of a protein, among what covers its own.
        if [ "$(wc -c < {input.proteins:q})" -gt 20 ]; then
            diamond blastp --query {input.proteins:q} --db {input.index:q} --threads {threads} \
                --sensitive --max-target-seqs 0 --min-score 40 \
                --block-size 0.4 --index-chunks 1 \
                --outfmt 6 qseqid sseqid pident qlen slen qstart qend sstart send bitscore
        fi | gzip --no-name -1 > {output.hits:q}
        """


rule score_genomes:
    """Give the proteins of a batch of genomes to families, and call the routes."""
    input:
        called="results/databases/genomes/{batch}.called.tsv",
        genes="results/databases/genomes/{batch}.faa.gz",
        hits="results/databases/genomes/{batch}.hits.tsv.gz",
        proteins=f"{PROTEINS}/proteins.tsv",
        checked="results/databases/proteins.tsv",
        lineages=config["taxonomy"]["lineages"] or [],
        catalogue=list(CATALOGUE.values()),
        schemas=list(SCHEMAS.values()),
        code=LIBRARY,
    output:
        genomes=temp("results/databases/genomes/{batch}.genomes.tsv"),
        families=temp("results/databases/genomes/{batch}.families.tsv"),
        pathways=temp("results/databases/genomes/{batch}.pathways.tsv"),
        products=temp("results/databases/genomes/{batch}.products.tsv"),
        phenotypes=temp("results/databases/genomes/{batch}.phenotypes.tsv"),
    log:
        "logs/score_genomes/{batch}.log",
    benchmark:
        "benchmarks/score_genomes/{batch}.tsv"
    conda:
        "../../envs/analysis.yaml"
    threads: 1
    resources:
        mem_mb=megabytes_for(500, 10),
        runtime=minutes(60),
    script:
        "../../scripts/score_genomes.py"


rule join_genomes:
    """Join the tables of all batches of genomes."""
    input:
        genomes=collect(
            "results/databases/genomes/{batch}.genomes.tsv", batch=GENOME_BATCHES
        ),
        families=collect(
            "results/databases/genomes/{batch}.families.tsv", batch=GENOME_BATCHES
        ),
        pathways=collect(
            "results/databases/genomes/{batch}.pathways.tsv", batch=GENOME_BATCHES
        ),
        products=collect(
            "results/databases/genomes/{batch}.products.tsv", batch=GENOME_BATCHES
        ),
        phenotypes=collect(
            "results/databases/genomes/{batch}.phenotypes.tsv", batch=GENOME_BATCHES
        ),
        code=LIBRARY,
    output:
        genomes="results/genomes/genomes.tsv",
        families="results/genomes/families.tsv",
        pathways="results/genomes/pathways.tsv",
        products="results/genomes/products.tsv",
        phenotypes="results/databases/phenotypes.tsv",
    log:
        "logs/join_genomes.log",
    benchmark:
        "benchmarks/join_genomes.tsv"
    conda:
        "../../envs/analysis.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(500),
        runtime=minutes(30),
    script:
        "../../scripts/join_genomes.py"


rule genomes:
    """Every table of the reference genomes."""
    input:
        phenotypes="results/databases/phenotypes.tsv",
