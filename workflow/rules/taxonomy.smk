"""Profile the species of each sample with sylph or kraken2.

Inputs
    results/clean/{sample}/{run}.fastq.gz
    genomes with lineages, a sylph database, or the folder of a kraken2 database
Outputs
    results/databases/taxonomy.syldb           where genomes were given
    results/kraken2/{sample}.counts.tsv        fragments by taxon (temporary)
    results/kraken2/{sample}.minimizers.tsv    minimizers by taxon (temporary)
    results/taxonomy/{sample}.tsv              one row per species, and the unclassified rest
    results/status/taxonomy/{sample}.tsv
"""

# The files and not the folder: a genome that is replaced is sketched again.
GENOMES = genome_files(config["taxonomy"]["genomes"])
WITH_KRAKEN2 = config["taxonomy"]["classifier"] == "kraken2"
KRAKEN2_DATABASE = config["taxonomy"]["database"] if WITH_KRAKEN2 else ""
TAXONOMY_DATABASE = (
    f"{KRAKEN2_DATABASE}/taxo.k2d"
    if WITH_KRAKEN2
    else config["taxonomy"]["database"] or "results/databases/taxonomy.syldb"
)
# What a kraken2 folder may hold besides. A table of the user's takes the place of the folder's.
KRAKEN2_TABLES = [
    str(path)
    for pattern in (
        "inspect.txt",
        "database*mers.kmer_distrib",
        "genome_sizes.tsv" if not config["taxonomy"]["genome_sizes"] else "",
    )
    for path in sorted(Path(KRAKEN2_DATABASE).glob(pattern) if pattern else [])
    if WITH_KRAKEN2
] + ([config["taxonomy"]["genome_sizes"]] if config["taxonomy"]["genome_sizes"] else [])
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


rule classify_reads:
    """Give every clean fragment of one sample to a taxon with kraken2."""
    input:
        paired=of_runs("results/clean/{sample}/{run}.fastq.gz", layout="paired"),
        single=of_runs("results/clean/{sample}/{run}.fastq.gz", layout="single"),
        hash=f"{KRAKEN2_DATABASE}/hash.k2d",
        options=f"{KRAKEN2_DATABASE}/opts.k2d",
        taxonomy=f"{KRAKEN2_DATABASE}/taxo.k2d",
    output:
        counts=temp("results/kraken2/{sample}.counts.tsv"),
        minimizers=temp("results/kraken2/{sample}.minimizers.tsv"),
    log:
        "logs/classify_reads/{sample}.log",
    benchmark:
        "benchmarks/classify_reads/{sample}.tsv"
    conda:
        "../../envs/kraken2.yaml"
    threads: 8
    resources:
        # The hash table is held in memory whole, unless it is mapped.
        mem_mb=megabytes_for(
            1000, 0.05 if config["taxonomy"]["memory_mapping"] else 1.05
        ),
        runtime=minutes(240),
    params:
        confidence=config["taxonomy"]["confidence"],
        hit_groups=config["taxonomy"]["minimum_hit_groups"],
        mapping="--memory-mapping" if config["taxonomy"]["memory_mapping"] else "",
    shell:
        """
        exec 3>&2 2> {log:q}
        say() {{ echo "classify_reads: $*" >&3; echo "$*" >&2; }}
        paired=({input.paired:q})
        single=({input.single:q})

        need=$(wc -c < {input.hash:q})
        free=$(free --bytes | awk '$1 == "Mem:" {{ print $7 }}' || true)
        if [ -z "{params.mapping}" ] && [ -n "$free" ] && [ "$need" -gt "$free" ]; then
            gigabytes() {{ awk -v bytes="$1" 'BEGIN {{ printf "%.1f GB", bytes / 1e9 }}'; }}
            say "hash.k2d of the kraken2 database has $(gigabytes "$need") and must fit into" \
                "memory, of which $(gigabytes "$free") are free. Hint: take a capped database" \
                "(as k2-standard-8) or a larger machine, or set taxonomy.memory_mapping," \
                "which is slower by far."
            exit 1
        fi

        # kraken2 2.1.2 takes no interleaved pairs; two streams, for one that feeds both would
        # wait for kraken2, which reads many first mates before the second.
        mates() {{
            gzip -cd "${{paired[@]}}" | awk -v mate="$1" 'int((NR - 1) / 4) % 2 == mate'
        }}

        # Counted from the line per fragment, which is not kept. See fermentome/kraken2.py for
        # what is wrong with the report, of which the minimizers are taken.
        report=$(mktemp)
        trap 'rm -f "$report"' EXIT
        classify() {{
            layout=$1
            shift
            kraken2 --db "$(dirname {input.hash:q})" --threads {threads} \
                --confidence {params.confidence} --minimum-hit-groups {params.hit_groups} \
                {params.mapping} --report "$report" --report-minimizer-data "$@" \
                | awk -F '\t' -v OFS='\t' -v layout="$layout" '
                    {{ fragments[$3]++ }}
                    END {{ for (taxid in fragments) print layout, taxid, fragments[taxid] }}' \
                | sort -t $'\t' -k 2,2n >> {output.counts:q}
            awk -F '\t' -v OFS='\t' -v layout="$layout" \
                '$7 {{ print layout, $7, $4, $5 }}' "$report" \
                | sort -t $'\t' -k 2,2n >> {output.minimizers:q}
        }}

        printf 'layout\ttaxid\tfragments\n' > {output.counts:q}
        printf 'layout\ttaxid\tminimizers\tdistinct\n' > {output.minimizers:q}
        # A gzip file of nothing has 20 bytes.
        full() {{ [ -n "$(find "$@" -size +20c)" ]; }}
        if [ "${{#paired[@]}}" -gt 0 ] && full "${{paired[@]}}"; then
            classify paired --paired <(mates 0) <(mates 1)
        fi
        if [ "${{#single[@]}}" -gt 0 ] && full "${{single[@]}}"; then
            classify single <(gzip -cd "${{single[@]}}")
        fi
        """


rule profile_taxa:
    """Profile the species of one sample."""
    input:
        flow="results/reads/{sample}.json",
        # sylph reads the reads, kraken2 has read them.
        paired=(
            []
            if WITH_KRAKEN2
            else of_runs("results/clean/{sample}/{run}.fastq.gz", layout="paired")
        ),
        single=(
            []
            if WITH_KRAKEN2
            else of_runs("results/clean/{sample}/{run}.fastq.gz", layout="single")
        ),
        counts=(
            [
                "results/kraken2/{sample}.counts.tsv",
                "results/kraken2/{sample}.minimizers.tsv",
            ]
            if WITH_KRAKEN2
            else []
        ),
        database=TAXONOMY_DATABASE,
        tables=KRAKEN2_TABLES,
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
        # The sylph database is held in memory, unpacked.
        mem_mb=megabytes_for(500, 3),
        runtime=minutes(120),
    params:
        classifier=config["taxonomy"]["classifier"],
        minimum_ani=config["taxonomy"]["minimum_ani"],
        minimum_kmers=config["taxonomy"]["minimum_kmers"],
        minimum_reads=config["taxonomy"]["minimum_reads"],
        minimum_evenness=config["taxonomy"]["minimum_evenness"],
        low_depth_abundance=config["taxonomy"]["low_depth_abundance"],
    script:
        "../../scripts/profile_taxa.py"
