"""Search the reads in the protein reference and assign them to families.

Inputs
    results/clean/{sample}/{run}.fastq.gz
    protein reference of the configuration: proteins.faa.gz, proteins.tsv
Outputs
    results/databases/proteins.tsv            proteins of the reference by family
    results/databases/proteins.dmnd
    results/function/{sample}.hits.tsv.gz     alignments (temporary)
    results/function/{sample}.families.tsv    one row per family and taxon
    results/function/{sample}.ambiguous.tsv   fragments that could be of several families
    results/function/{sample}.depth.json      genome equivalents
"""


rule check_proteins:
    """Check the protein reference against its manifest and the catalogue."""
    input:
        manifest=f"{PROTEINS}/manifest.yaml",
        fasta=f"{PROTEINS}/proteins.faa.gz",
        proteins=f"{PROTEINS}/proteins.tsv",
        catalogue=list(CATALOGUE.values()),
        schemas=list(SCHEMAS.values()),
        manifest_schema=MANIFEST_SCHEMA,
        code=LIBRARY,
    output:
        table="results/databases/proteins.tsv",
    log:
        "logs/check_proteins.log",
    benchmark:
        "benchmarks/check_proteins.tsv"
    conda:
        "../../envs/analysis.yaml"
    threads: 1
    resources:
        mem_mb=megabytes_for(500, 10),
        runtime=minutes(30),
    script:
        "../../scripts/check_proteins.py"


rule index_proteins:
    """Index the protein reference for DIAMOND."""
    input:
        proteins=f"{PROTEINS}/proteins.faa.gz",
    output:
        index="results/databases/proteins.dmnd",
    log:
        "logs/index_proteins.log",
    benchmark:
        "benchmarks/index_proteins.tsv"
    conda:
        "../../envs/diamond.yaml"
    threads: 2
    resources:
        mem_mb=megabytes_for(1000, 10),
        runtime=minutes(60),
    shell:
        "diamond makedb --in {input.proteins:q} --db {output.index:q}"
        " --threads {threads} &> {log:q}"


rule search_reads:
    """Search the clean reads of one sample, both mates, in the protein reference."""
    input:
        reads=of_runs("results/clean/{sample}/{run}.fastq.gz"),
        index="results/databases/proteins.dmnd",
    output:
        hits=temp("results/function/{sample}.hits.tsv.gz"),
    log:
        "logs/search_reads/{sample}.log",
    benchmark:
        "benchmarks/search_reads/{sample}.tsv"
    conda:
        "../../envs/diamond.yaml"
    threads: 8
    resources:
        # Blocks of 0.4 billion letters take about 2.5 GB.
        mem_mb=megabytes_for(4000, 0.1),
        runtime=minutes(480),
    params:
        sensitivity=(
            ""
            if config["function"]["sensitivity"] == "default"
            else f"--{config['function']['sensitivity']}"
        ),
    shell:
        """
        exec 2> {log:q}
        # One run after the other: DIAMOND 2.1.3 takes one query file, crashes on a stream
        # and refuses an empty file. --min-score replaces the E-value, so that a hit does
        # not depend on how many decoys the reference holds. --top keeps what comes near
        # the best hit.
        for reads in {input.reads:q}; do
            # A gzip file of nothing has 20 bytes.
            if [ "$(wc -c < "$reads")" -gt 20 ]; then
                diamond blastx --query "$reads" --db {input.index:q} --threads {threads} \
                    {params.sensitivity} --block-size 0.4 --index-chunks 1 \
                    --min-score 30 --top 10 \
                    --outfmt 6 qseqid sseqid pident length qlen sstart send bitscore
            fi
        done | gzip --no-name -1 > {output.hits:q}
        """


rule assign_fragments:
    """Assign the fragments of one sample to families, and weigh the families."""
    input:
        flow="results/reads/{sample}.json",
        hits="results/function/{sample}.hits.tsv.gz",
        proteins=f"{PROTEINS}/proteins.tsv",
        checked="results/databases/proteins.tsv",
        catalogue=list(CATALOGUE.values()),
        schemas=list(SCHEMAS.values()),
        code=LIBRARY,
    output:
        families="results/function/{sample}.families.tsv",
        ambiguous="results/function/{sample}.ambiguous.tsv",
        depth="results/function/{sample}.depth.json",
    log:
        "logs/assign_fragments/{sample}.log",
    benchmark:
        "benchmarks/assign_fragments/{sample}.tsv"
    conda:
        "../../envs/analysis.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(500),
        runtime=minutes(120),
    params:
        min_genus_identity=config["function"]["minimum_identity_for_genus"],
    script:
        "../../scripts/assign_fragments.py"
