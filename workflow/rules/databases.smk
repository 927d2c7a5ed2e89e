"""Fetch the databases that the configuration names, and record which are used.

The only jobs that need a network. On a cluster they run where snakemake runs.

Inputs
    names of databases in the configuration
Outputs
    results/databases/used.tsv      name, version and id of each database of the run
    results/databases/fetched.tsv   where the store holds those fetched by name
    results/databases/verified.tsv  made only if every one is what its manifest says
"""

# What these rules import besides. An edit of it runs no other job again.
DATABASE_LIBRARY = LIBRARY + [
    workflow.source_path(f"../../scripts/fermentome/{module}.py") for module in """
    databases/adopt databases/archives databases/clusters databases/download databases/families
    databases/fetch databases/labels databases/membership databases/memory databases/pages
    databases/partial databases/progress databases/proteomes databases/provision databases/recipes
    databases/registry databases/scfa databases/searches databases/sources databases/taxonomic
    databases/uniprot databases/uniprot_entries databases/verify databases/web defaults
    genome_search
    """.split()
]
# What the library reads beside itself. Snakemake runs scripts from a copy of their folder, in
# which only what is named exists.
MANIFEST_SCHEMA = workflow.source_path("../schemas/manifest.schema.yaml")
REGISTRY = [MANIFEST_SCHEMA] + [workflow.source_path(f"../../{path}") for path in """
    workflow/resources/databases.yaml workflow/schemas/databases.schema.yaml
    workflow/schemas/sources.schema.yaml
    workflow/resources/families.yaml workflow/schemas/families.schema.yaml
    workflow/resources/pathways.yaml workflow/schemas/pathways.schema.yaml
    workflow/resources/single_copy.yaml workflow/schemas/single_copy.schema.yaml
    example/data/host/host.fa.gz example/data/lineages.tsv
    example/data/reference/manifest.yaml example/data/reference/proteins.faa.gz
    example/data/reference/proteins.tsv
    example/data/genomes/acidaminococcus_mosaic.fna.gz
    example/data/genomes/anaerococcus_mosaic.fna.gz
    example/data/genomes/clostridioides_mosaic.fna.gz
    example/data/genomes/clostridium_mosaic.fna.gz
    example/data/genomes/escherichia_mosaic.fna.gz
    example/data/genomes/phocaeicola_mosaic.fna.gz
    example/data/genomes/salmonella_mosaic.fna.gz
    example/data/genomes/scardovia_mosaic.fna.gz
    """.split()]


localrules:
    record_databases,
    fetch_databases,
    verify_databases,


rule record_databases:
    """Write which databases the run uses."""
    input:
        manifests=[
            f"{slot.folder}/manifest.yaml"
            for slot in SLOTS
            if slot.folder
            and (slot.pending or Path(slot.folder, "manifest.yaml").is_file())
        ],
        schema=MANIFEST_SCHEMA,
        code=LIBRARY,
    output:
        table="results/databases/used.tsv",
    log:
        "logs/record_databases.log",
    benchmark:
        "benchmarks/record_databases.tsv"
    conda:
        "../../envs/analysis.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(500),
        runtime=minutes(10),
    params:
        slots=[asdict(slot) for slot in SLOTS],
    script:
        "../../scripts/record_databases.py"


rule fetch_databases:
    """Fetch the databases that the configuration names and the store lacks."""
    input:
        registry=REGISTRY,
        code=DATABASE_LIBRARY,
    output:
        table="results/databases/fetched.tsv",
    log:
        "logs/fetch_databases.log",
    benchmark:
        "benchmarks/fetch_databases.tsv"
    retries: 0
    conda:
        "../../envs/databases.yaml"
    threads: 2
    resources:
        mem_mb=megabytes(4000),
        runtime=minutes(1440),
    params:
        store=str(STORE.root),
        # Those that are missing are named, so that the job runs again when one goes.
        missing=[slot.written for slot in SLOTS if slot.pending],
        slots=[asdict(slot) for slot in SLOTS],
    script:
        "../../scripts/fetch_databases.py"


rule verify_databases:
    """Hold every file of the databases against its manifest."""
    input:
        # So that a file that changed is looked at again; without a change, `--force` does it.
        files=[
            str(path)
            for slot in SLOTS
            if slot.folder and not slot.pending
            for path in sorted(Path(slot.folder).rglob("*"))
            if path.is_file()
        ],
        schema=MANIFEST_SCHEMA,
        code=DATABASE_LIBRARY,
    output:
        table="results/databases/verified.tsv",
    log:
        "logs/verify_databases.log",
    benchmark:
        "benchmarks/verify_databases.tsv"
    conda:
        "../../envs/databases.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(2000),
        runtime=minutes(240),
    params:
        store=str(STORE.root),
        slots=[asdict(slot) for slot in SLOTS],
    script:
        "../../scripts/verify_databases.py"
