"""Trim the reads and remove those of the host.

Both happen in one stream, so that a host read is never written to a file. Read names are
replaced by the run and a number: nothing of the sequencer's names gets further.

Inputs
    reads1, reads2 of the sample sheet; host reference of the configuration
Outputs
    results/databases/host.tsv, .mmi       what the host reference holds, and its index
    results/clean/{sample}/{run}.fastq.gz  clean reads, pairs interleaved (temporary)
    results/trim/{sample}/{run}.fastp.json fastp's report, for MultiQC
    results/reads/{sample}.json            counts at each stage
    results/status/reads/{sample}.tsv      status of ingest, trim and host
"""

HOST = config["host"]["reference"]
HOST_INDEX = (
    [] if not HOST else HOST if HOST.endswith(".mmi") else "results/databases/host.mmi"
)
CUT_QUALITY = config["trim"]["cut_mean_quality"]


rule check_host:
    """Check that the host reference is whole and a genome."""
    input:
        reference=HOST or [],
        code=LIBRARY,
    output:
        table="results/databases/host.tsv",
    log:
        "logs/check_host.log",
    benchmark:
        "benchmarks/check_host.tsv"
    conda:
        "../../envs/analysis.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(500),
        runtime=minutes(60),
    script:
        "../../scripts/check_host.py"


rule index_host:
    """Index the host reference once for all samples."""
    input:
        fasta=HOST or [],
    output:
        index="results/databases/host.mmi",
    log:
        "logs/index_host.log",
    benchmark:
        "benchmarks/index_host.tsv"
    conda:
        "../../envs/clean.yaml"
    threads: 3
    resources:
        # One part (-I), whatever its size: samtools cannot read the output of several.
        # A human genome of 3.1 Gb takes about 11 GB with the preset for short reads.
        mem_mb=megabytes_for(500, 15),
        runtime=minutes(60),
    shell:
        "minimap2 -x sr -I 1000G -t {threads} -d {output.index:q} {input.fasta:q} &> {log:q}"


rule clean_reads:
    """Trim one run with fastp and drop every pair of which a mate resembles the host."""
    input:
        reads=run_reads,
        status="results/ingest/{sample}/{run}.status",
        host=HOST_INDEX,
        checked="results/databases/host.tsv" if HOST else [],
        adapters=config["trim"]["adapters"]
        or workflow.source_path("../resources/adapters.fasta"),
    output:
        reads=temp("results/clean/{sample}/{run}.fastq.gz"),
        fastp="results/trim/{sample}/{run}.fastp.json",
    log:
        "logs/clean_reads/{sample}/{run}.log",
    benchmark:
        "benchmarks/clean_reads/{sample}/{run}.tsv"
    conda:
        "../../envs/clean.yaml"
    threads: 3
    resources:
        # fastp takes 1.1 to 1.5 GB whatever the number of reads.
        mem_mb=megabytes_for(2500, 1.5),
        runtime=minutes(240),
    params:
        trim=" ".join(
            [
                f"--length_required {config['trim']['min_length']}",
                f"--qualified_quality_phred {config['trim']['quality']}",
                (
                    f"--cut_right --cut_right_mean_quality {CUT_QUALITY}"
                    if CUT_QUALITY
                    else ""
                ),
                (
                    "--trim_poly_g"
                    if config["trim"]["poly_g"]
                    else "--disable_trim_poly_g"
                ),
            ]
        ),
    shell:
        """
        exec 2> {log:q}
        reads=({input.reads:q})
        host=({input.host:q})
        if [ "$(cat {input.status:q})" != ok ]; then
            echo "no usable reads, see the report of ingest_reads" >&2
            gzip --no-name < /dev/null > {output.reads:q}
            echo '{{}}' > {output.fastp:q}
            exit 0
        fi

        if [ "${{#reads[@]}}" = 2 ]; then
            input=(--in1 "${{reads[0]}}" --in2 "${{reads[1]}}")
            mates=2
            unmapped=12
        else
            input=(--in1 "${{reads[0]}}")
            mates=1
            unmapped=4
        fi

        # fastp 0.23 counts insert sizes in its first thread only: with one thread its
        # report does not depend on the number of cores.
        trim() {{
            fastp "${{input[@]}}" --stdout --thread 1 {params.trim} \
                --adapter_fasta {input.adapters:q} --json {output.fastp:q} --html /dev/null
        }}

        rename() {{
            awk -v run={wildcards.run:q} -v mates="$mates" '
                NR % 4 == 1 {{
                    record = (NR + 3) / 4
                    name = "@" run ":" int((record + mates - 1) / mates)
                    print (mates == 2 ? name "/" (record % 2 ? 1 : 2) : name)
                    next
                }}
                NR % 4 == 3 {{ print "+"; next }}
                {{ print }}'
        }}

        # samtools keeps a pair only if neither mate is mapped (flags 4 and 8).
        without_host() {{
            if [ "${{#host[@]}}" = 0 ]; then
                cat
            else
                minimap2 -a -x sr -t {threads} "${{host[0]}}" - \
                    | samtools fastq -f "$unmapped" -F 2304 -
            fi
        }}

        trim | rename | without_host | gzip --no-name -1 > {output.reads:q}

        # The command line names this machine's folders, and MultiQC takes the sample's
        # name from it. What fastp cut as adapters can be pieces of reads, of the host's
        # too.
        sed -i -E \
            -e 's|^(\\s*"command": ).*$|\\1"fastp --in1 {wildcards.sample}.{wildcards.run}.fastq.gz"|' \
            -e 's|^(\\s*"read[12]_adapter_counts": )\\{{[^}}]*\\}}|\\1{{}}|' {output.fastp:q}
        """


rule summarise_reads:
    """Count the reads of a sample at each stage."""
    input:
        reports=of_runs("results/ingest/{sample}/{run}.json"),
        fastp=of_runs("results/trim/{sample}/{run}.fastp.json"),
        clean=of_runs("results/clean/{sample}/{run}.fastq.gz"),
        code=LIBRARY,
    output:
        flow="results/reads/{sample}.json",
        status="results/status/reads/{sample}.tsv",
    log:
        "logs/summarise_reads/{sample}.log",
    benchmark:
        "benchmarks/summarise_reads/{sample}.tsv"
    conda:
        "../../envs/analysis.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(500),
        runtime=minutes(60),
    params:
        has_host=bool(HOST),
    script:
        "../../scripts/summarise_reads.py"
