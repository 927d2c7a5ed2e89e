"""Profile the species of each sample with sylph.

Inputs
    results/clean/{sample}/{run}.fastq.gz
    genomes with lineages, or a sylph database, of the configuration
Outputs
    results/databases/taxonomy.syldb       where genomes were given
    results/taxonomy/{sample}.tsv          one row per species, and the unclassified rest
    results/status/taxonomy/{sample}.tsv
"""

# The files and not the folder: a genome that is replaced is sketched again.
GENOMES = genome_files(config["taxonomy"]["genomes"])
TAXONOMY_DATABASE = config["taxonomy"]["database"] or "results/databases/taxonomy.syldb"
PHENOTYPES = config["taxonomy"]["phenotypes"] or (
    "results/databases/phenotypes.tsv" if GENOMES else []
)


rule sketch_genomes:
    """Build the taxonomic database from a folder of genomes."""
    input:
        genomes=GENOMES,
        lineages=config["taxonomy"]["lineages"] or [],
        code=LIBRARY,
    output:
        database="results/databases/taxonomy.syldb",
    log:
        "logs/sketch_genomes.log",
    benchmark:
        "benchmarks/sketch_genomes.tsv"
    conda:
        "../../envs/analysis.yaml"
    threads: 1
    resources:
        mem_mb=megabytes_for(500, 1),
        runtime=minutes(240),
    params:
        subsampling=config["taxonomy"]["subsampling"],
    script:
        "../../scripts/sketch_genomes.py"


rule profile_taxa:
    """Profile the species of one sample."""
    input:
        flow="results/reads/{sample}.json",
        paired=of_runs("results/clean/{sample}/{run}.fastq.gz", layout="paired"),
        single=of_runs("results/clean/{sample}/{run}.fastq.gz", layout="single"),
        database=TAXONOMY_DATABASE,
        lineages=config["taxonomy"]["lineages"] or [],
        code=LIBRARY,
    output:
        table="results/taxonomy/{sample}.tsv",
        status="results/status/taxonomy/{sample}.tsv",
    log:
        "logs/profile_taxa/{sample}.log",
    benchmark:
        "benchmarks/profile_taxa/{sample}.tsv"
    conda:
        "../../envs/analysis.yaml"
    threads: 1
    resources:
        # The database is held in memory, unpacked.
        mem_mb=megabytes_for(500, 3),
        runtime=minutes(120),
    params:
        minimum_ani=config["taxonomy"]["minimum_ani"],
        minimum_kmers=config["taxonomy"]["minimum_kmers"],
        low_depth_abundance=config["taxonomy"]["low_depth_abundance"],
    script:
        "../../scripts/profile_taxa.py"
