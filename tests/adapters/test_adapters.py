"""Every adapter runs by itself on tiny data: no Snakemake run and no tool is needed.

The adapters run in the order of the road, each on what the ones before it wrote. Two samples:
`001` with pairs of one genome, `NA` whose file is cut off.
"""

import gzip
import json
import runpy
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import biom
import dnaio
import pytest
from snakemake.iocontainers import InputFiles, OutputFiles, Params, Wildcards
from snakemake_runs import ROOT, write_fastq

from fermentome.cohort.data import Account
from fermentome.cohort.diversity_tables import TABLES as DIVERSITY_TABLES
from fermentome.cohort.model_report import MODEL_OUTPUTS
from fermentome.cohort.reference_cohort import Description
from fermentome.cohort.settings import settings_of
from fermentome.cohort.stages import Inputs, make_reference_cohort, measure_diversity
from fermentome.command_cohort_run import PEOPLE_TABLES
from fermentome.errors import FermentomeError, ReferenceFolderError, RunFailedError
from fermentome.tables import read_table, write_table

SCRIPTS = ROOT / "scripts"
EXAMPLE = ROOT / "example/data"
SAMPLES = ("001", "NA")
# Pairs that lie side by side on a genome of some 150 kb: nearly all of it once.
FRAGMENTS = 450
SCORING = {"minimum_fragments": 2, "minimum_positions": 2, "detectable_copies": 0.1}
LIMITS = {
    "unclassified": 0.5, "no_phenotype": 0.1, "no_lineage": 0.5, "ambiguous": 0.1,
    "unserved_routes": None, "on_exceed": "mark",
}  # fmt: skip


def run_adapter(name, log, input=(), output=(), params=(), wildcards=()):
    """Run an adapter with what Snakemake would hand it, in Snakemake's own containers."""
    job = SimpleNamespace(
        input=InputFiles(fromdict=dict(input)),
        output=OutputFiles(fromdict=dict(output)),
        params=Params(fromdict=dict(params)),
        wildcards=Wildcards(fromdict=dict(wildcards)),
        threads=1,
        log=[log],
    )
    runpy.run_path(str(SCRIPTS / f"{name}.py"), init_globals={"snakemake": job})


@dataclass
class Road:
    """Folder in which the adapters ran, and what each was given."""

    folder: Path
    jobs: dict[str, dict] = field(default_factory=dict)

    def run(self, name, key="", **job):
        """Run an adapter and remember how."""
        log = self.folder / f"logs/{name}{key}.log"
        self.jobs[name + key] = {"name": name, "log": str(log), **job}
        run_adapter(name, str(log), **job)

    def path(self, name):
        """A file below the folder, as text."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return str(path)

    def table(self, name):
        return read_table(self.folder / name)


def catalogue():
    """Inputs `catalogue` and `schemas` of a rule."""
    names = ("families", "pathways", "single_copy")
    return {
        "catalogue": [str(ROOT / f"workflow/resources/{name}.yaml") for name in names],
        "schemas": [str(ROOT / f"workflow/schemas/{name}.schema.yaml") for name in names],
    }


def write_reads(road):
    """Pairs cut from one genome, and a file that ends too early."""
    with dnaio.open(EXAMPLE / "genomes/anaerococcus_mosaic.fna.gz") as records:
        (genome,) = records
    pieces = [genome.sequence[300 * n : 300 * n + 150] for n in range(FRAGMENTS)]
    mates = [genome.sequence[300 * n + 150 : 300 * n + 300] for n in range(FRAGMENTS)]
    write_fastq(road.folder / "reads/a_1.fastq.gz", pieces, 1)
    write_fastq(road.folder / "reads/a_2.fastq.gz", mates, 2)
    clean = "".join(
        f"@1:{number}/{mate}\n{sequence}\n+\n{'I' * 150}\n"
        for number, pair in enumerate(zip(pieces, mates, strict=True), start=1)
        for mate, sequence in enumerate(pair, start=1)
    )
    Path(road.path("clean/001.fastq.gz")).write_bytes(gzip.compress(clean.encode()))
    whole = (road.folder / "reads/a_1.fastq.gz").read_bytes()
    (road.folder / "reads/b.fastq.gz").write_bytes(whole[: len(whole) // 2])
    write_fastq(road.folder / "clean/NA.fastq.gz", [])
    kept = {"summary": {"after_filtering": {"total_reads": 2 * FRAGMENTS}}}
    Path(road.path("trim/001.json")).write_text(json.dumps(kept), encoding="utf-8")
    Path(road.path("trim/NA.json")).write_text("{}", encoding="utf-8")


def write_hits(road):
    """What DIAMOND would say: a fragment in each single-copy family, and ten in `but`."""
    proteins = {row["family"]: row for row in read_table(EXAMPLE / "reference/proteins.tsv")}
    families = [name for name in sorted(proteins) if name.startswith("COG")] + ["but"] * 10
    lines = []
    for number, family in enumerate(families, start=1):
        protein, start = proteins[family], 1 + number
        # query, protein, identity, length, query length, start, end, bits
        values = (f"1:{number}/1", protein["protein"], 98.0, 50, 150, start, start + 49, 100.0)
        lines.append("\t".join(map(str, values)) + "\n")
    text = "".join(lines).encode()
    Path(road.path("hits/001.tsv.gz")).write_bytes(gzip.compress(text))
    Path(road.path("hits/NA.tsv.gz")).write_bytes(gzip.compress(b""))


def database_stages(road):
    store = road.path("store")
    slot = {
        "key": "function.reference",
        "written": "demo-scfa@1",
        "folder": road.path("store/names/demo-scfa/1"),
        "pending": False,
    }
    road.run(
        "fetch_databases",
        output={"table": road.path("databases/fetched.tsv")},
        params={"slots": [slot | {"pending": True}], "missing": ["demo-scfa@1"], "store": store},
    )
    road.run(
        "verify_databases",
        output={"table": road.path("databases/verified.tsv")},
        params={"slots": [slot], "store": store},
    )
    road.run(
        "record_databases",
        output={"table": road.path("databases/used.tsv")},
        params={"slots": [slot]},
    )


def read_stages(road):
    road.run(
        "check_host",
        input={"reference": str(EXAMPLE / "host/host.fa.gz")},
        output={"table": road.path("databases/host.tsv")},
    )
    road.run(
        "ingest_reads", ".001",
        input={"reads": [road.path("reads/a_1.fastq.gz"), road.path("reads/a_2.fastq.gz")]},
        output={"report": road.path("ingest/001.json"), "status": road.path("ingest/001.status")},
        wildcards={"sample": "001", "run": "1"},
    )  # fmt: skip
    road.run(
        "ingest_reads", ".NA",
        input={"reads": [road.path("reads/b.fastq.gz")]},
        output={"report": road.path("ingest/NA.json"), "status": road.path("ingest/NA.status")},
        wildcards={"sample": "NA", "run": "1"},
    )  # fmt: skip
    for sample in SAMPLES:
        road.run(
            "summarise_reads",
            f".{sample}",
            input={
                "reports": [road.path(f"ingest/{sample}.json")],
                "fastp": [road.path(f"trim/{sample}.json")],
                "clean": [road.path(f"clean/{sample}.fastq.gz")],
            },
            output={
                "flow": road.path(f"flow/{sample}.json"),
                "status": road.path(f"status/reads.{sample}.tsv"),
            },
            params={"has_host": False},
            wildcards={"sample": sample},
        )


def taxonomy_stages(road):
    genomes = road.folder / "genomes"
    genomes.mkdir()
    name = "anaerococcus_mosaic.fna.gz"
    (genomes / name).write_bytes((EXAMPLE / "genomes" / name).read_bytes())
    lineages = str(EXAMPLE / "lineages.tsv")
    road.run(
        "sketch_genomes",
        input={"genomes": [str(genomes / name)], "lineages": lineages},
        output={"database": road.path("databases/taxonomy.syldb")},
        params={"subsampling": 10},
    )
    for sample in SAMPLES:
        paired = [road.path("clean/001.fastq.gz")] if sample == "001" else []
        single = [] if sample == "001" else [road.path("clean/NA.fastq.gz")]
        road.run(
            "profile_taxa",
            f".{sample}",
            input={
                "flow": road.path(f"flow/{sample}.json"),
                "paired": paired,
                "single": single,
                "counts": [],
                "database": road.path("databases/taxonomy.syldb"),
                "tables": [],
                "lineages": lineages,
            },
            output={
                "table": road.path(f"taxonomy/{sample}.tsv"),
                "status": road.path(f"status/taxonomy.{sample}.tsv"),
            },
            params={
                "classifier": "sylph",
                "minimum_ani": 95.0,
                "minimum_kmers": 50,
                "minimum_reads": 10,
                "minimum_evenness": 0.2,
                "low_depth_abundance": 0.01,
            },
        )


def function_stages(road):
    road.run(
        "check_proteins",
        input={"manifest": str(EXAMPLE / "reference/manifest.yaml"), **catalogue()},
        output={"table": road.path("databases/proteins.tsv")},
    )
    road.run("list_routes", input=catalogue(), output={"table": road.path("tables/routes.tsv")})
    for sample in SAMPLES:
        road.run(
            "assign_fragments",
            f".{sample}",
            input={
                "flow": road.path(f"flow/{sample}.json"),
                "hits": road.path(f"hits/{sample}.tsv.gz"),
                "proteins": str(EXAMPLE / "reference/proteins.tsv"),
                **catalogue(),
            },
            output={
                "families": road.path(f"function/{sample}.families.tsv"),
                "ambiguous": road.path(f"function/{sample}.ambiguous.tsv"),
                "depth": road.path(f"function/{sample}.depth.json"),
            },
            params={"min_genus_identity": 80.0, "scoring": SCORING},
        )
        road.run(
            "measure_unserved",
            f".{sample}",
            input={
                "flow": road.path(f"flow/{sample}.json"),
                "taxonomy": road.path(f"taxonomy/{sample}.tsv"),
                "phenotypes": road.path("databases/phenotypes.tsv"),
                "families": road.path(f"function/{sample}.families.tsv"),
                "ambiguous": road.path(f"function/{sample}.ambiguous.tsv"),
                "depth": road.path(f"function/{sample}.depth.json"),
                "reference": road.path("databases/proteins.tsv"),
                **catalogue(),
            },
            output={"table": road.path(f"unserved/{sample}.tsv")},
        )
        road.run(
            "score_pathways",
            f".{sample}",
            input={
                "flow": road.path(f"flow/{sample}.json"),
                "families": road.path(f"function/{sample}.families.tsv"),
                "depth": road.path(f"function/{sample}.depth.json"),
                "ambiguous": road.path(f"function/{sample}.ambiguous.tsv"),
                "phenotypes": road.path("databases/phenotypes.tsv"),
                "taxonomy": road.path(f"taxonomy/{sample}.tsv"),
                "unserved": road.path(f"unserved/{sample}.tsv"),
                "proteins": str(EXAMPLE / "reference/proteins.tsv"),
                **catalogue(),
            },
            output={
                "pathways": road.path(f"pathways/{sample}.tsv"),
                "products": road.path(f"products/{sample}.tsv"),
                "status": road.path(f"status/pathways.{sample}.tsv"),
            },
            params={"scoring": SCORING},
        )


FEATURE_TABLES = {
    "taxa": "taxonomy/{}.tsv",
    "families": "function/{}.families.tsv",
    "pathways": "pathways/{}.tsv",
    "products": "products/{}.tsv",
}


GENOME_TABLES = ("genomes", "families", "pathways", "products", "phenotypes")


def genome_stages(road):
    called, proteins = road.path("batch.called.tsv"), road.path("batch.faa.gz")
    road.run(
        "call_genes",
        input={"genomes": [road.path("genomes/anaerococcus_mosaic.fna.gz")]},
        output={"proteins": proteins, "called": called},
    )
    hits = Path(road.path("batch.hits.tsv.gz"))
    hits.write_bytes(gzip.compress(b""))
    road.run(
        "score_genomes",
        input={
            "called": called,
            "genes": proteins,
            "hits": str(hits),
            "proteins": str(EXAMPLE / "reference/proteins.tsv"),
            "lineages": str(EXAMPLE / "lineages.tsv"),
            **catalogue(),
        },
        output={table: road.path(f"batch.{table}.tsv") for table in GENOME_TABLES},
    )
    road.run(
        "join_genomes",
        input={table: [road.path(f"batch.{table}.tsv")] for table in GENOME_TABLES},
        output={table: road.path(f"databases/{table}.tsv") for table in GENOME_TABLES},
    )


def join_stages(road):
    for feature, pattern in FEATURE_TABLES.items():
        kinds = {"long": "tsv", "wide": "wide.tsv", "parquet": "parquet", "biom": "biom"}
        road.run(
            "join_tables",
            f".{feature}",
            input={"tables": [road.path(pattern.format(sample)) for sample in SAMPLES]},
            output={
                kind: road.path(f"tables/{feature}.{suffix}") for kind, suffix in kinds.items()
            },
            params={"samples": list(SAMPLES)},
            wildcards={"feature": feature},
        )
    road.run(
        "join_reads",
        input={"flows": [road.path(f"flow/{sample}.json") for sample in SAMPLES]},
        output={
            "table": road.path("tables/reads.tsv"),
            "parquet": road.path("tables/reads.parquet"),
        },
        params={"attributes": {sample: {"subject": "s", "age": "007"} for sample in SAMPLES}},
    )
    road.run(
        "join_unserved",
        input={"tables": [road.path(f"unserved/{sample}.tsv") for sample in SAMPLES]},
        output={
            "table": road.path("tables/unserved.tsv"),
            "parquet": road.path("tables/unserved.parquet"),
        },
    )
    road.run(
        "check_limits",
        input={
            "table": road.path("tables/unserved.tsv"),
            "flows": [road.path(f"flow/{sample}.json") for sample in SAMPLES],
            "statuses": [road.path(f"status/taxonomy.{sample}.tsv") for sample in SAMPLES],
            "used": road.path("databases/used.tsv"),
        },
        output={"status": road.path("status/databases.tsv")},
        params={"limits": LIMITS},
    )
    stages = ("reads", "taxonomy", "pathways")
    road.run(
        "collect_status",
        input={
            "statuses": [road.path(f"status/{st}.{sa}.tsv") for st in stages for sa in SAMPLES]
            + [road.path("status/databases.tsv")],
            "reports": [road.path(f"ingest/{sample}.json") for sample in SAMPLES],
        },
        output={"status": road.path("status.tsv")},
    )


PLOTS = {
    "reads": "reads", "taxa": "taxa", "pathways": "pathways", "carriers": "pathways",
    "unserved": "unserved",
}  # fmt: skip


def plot_stages(road):
    for name, table in PLOTS.items():
        road.run(
            f"plot_{name}",
            input={
                "table": road.path(f"tables/{table}.tsv"),
                "products": road.path("tables/products.tsv"),
                "unserved": road.path("tables/unserved.tsv"),
                "status": road.path("status.tsv"),
            },
            output={kind: road.path(f"figures/{name}.{kind}") for kind in ("png", "svg")},
            params={"has_host": False, "limits": LIMITS},
        )


# Those who took antibiotics and those who did not, of the made-up cohort: few, since a timeline is
# drawn of each.
COHORT_PEOPLE = ("P01", "P02", "P03", "P09", "P10", "P11")
COHORT_TABLES = ("taxa", "families", "pathways", "products")
COHORT_SETTINGS = {
    "groups": ["group"], "covariates": ["age"], "batch": ["sequencing_run"],
    "reference_levels": ["group=control"], "permutations": 99, "rarefaction_depth": 1_000_000,
}  # fmt: skip


def write_cohort(road):
    """Tables of a few people of the made-up cohort, and a reference cohort of the others."""
    program = ROOT / "example/simulate_cohort.py"
    made = road.folder / "made"
    subprocess.run([sys.executable, program, "--output", made], check=True, stdout=subprocess.PIPE)
    for name in (*COHORT_TABLES, "reads"):
        header, *rows = (made / f"results/tables/{name}.tsv").read_text("utf-8").splitlines()
        own = [row for row in rows if row.startswith(COHORT_PEOPLE)]
        Path(road.path(f"run/{name}.tsv")).write_text("\n".join([header, *own, ""]), "utf-8")
    tables = made / "reference/tables"
    inputs = Inputs({name: tables / f"{name}.tsv" for name in COHORT_TABLES}, tables / "reads.tsv")
    settings = settings_of(COHORT_SETTINGS | {"groups": []})
    outputs = {name: road.path(f"made/{name}.tsv") for name in ("alpha", "account")}
    measure_diversity(inputs, settings, outputs)
    processing = made / "reference/databases/processing.yaml"
    make_reference_cohort(
        [(inputs, outputs["alpha"], processing)],
        Description("made-up", "1", "people", "drawn", "CC0", "at random"),
        road.path("made/reference_cohort"), Account("reference"),
    )  # fmt: skip


def cohort_stages(road):
    write_cohort(road)
    inputs = {name: road.path(f"run/{name}.tsv") for name in COHORT_TABLES}
    inputs |= {"metadata": road.path("run/reads.tsv"), "phenotypes": []}
    tables = {"tables": list(COHORT_TABLES)}
    alpha = {"alpha": road.path("cohort/alpha.tsv")}

    def outputs(part, *names):
        return {
            **{name: road.path(f"cohort/{name}.tsv") for name in names},
            "account": road.path(f"cohort/account/{part}.tsv"),
        }

    names = ("families", "pathways", "single_copy")
    shipped = {name: str(ROOT / f"workflow/resources/{name}.yaml") for name in names}
    road.run(
        "record_processing",
        input={
            "adapters": str(ROOT / "workflow/resources/adapters.fasta"), "phenotypes": [],
            "used": road.path("databases/used.tsv"), **shipped,
        },
        output={"processing": road.path("databases/processing.yaml")},
        params={
            "config": {
                "trim": {
                    "min_length": 50, "quality": 15, "cut_mean_quality": 20, "poly_g": True,
                },
                "host": {"reference": None},
                "taxonomy": {"database": None, "genomes": None, "phenotypes": None},
                "function": {
                    "reference": road.path("store/names/demo-scfa/1"), "sensitivity": "sensitive",
                    "minimum_identity_for_genus": 95.0,
                },
                "scoring": SCORING,
            },
            "names": {},
            "catalogue": list(shipped),
        },
    )  # fmt: skip
    road.run(
        "measure_diversity", input=inputs,
        output=outputs("diversity", *DIVERSITY_TABLES) | {"distances": road.path("cohort/dist")},
        params=tables | {"settings": COHORT_SETTINGS},
    )  # fmt: skip
    road.run(
        "compare_groups", input=inputs | alpha, output=outputs("groups", "effects"),
        params=tables | {"settings": COHORT_SETTINGS},
    )  # fmt: skip
    road.run(
        "follow_people", input=inputs | alpha, output=outputs("people", *PEOPLE_TABLES),
        params=tables | {"settings": COHORT_SETTINGS},
    )  # fmt: skip
    road.run(
        "place_percentiles",
        input=inputs | alpha
        | {"processing": str(road.folder / "made/results/databases/processing.yaml")},
        output=outputs("reference", "percentiles", "check"),
        params=tables | {"reference": str(road.folder / "made/reference_cohort")},
    )  # fmt: skip
    road.run(
        "associate_metabolites",
        input=inputs | {"sheet": str(road.folder / "made/metabolites.tsv")},
        output=outputs("metabolites", "associations", "points"),
        params=tables | {"settings": COHORT_SETTINGS, "unit": None},
    )  # fmt: skip
    # Six people are too few: what is refused is written and drawn as that.
    road.run(
        "train_model", input=inputs,
        output=outputs("model", *MODEL_OUTPUTS) | {"card": road.path("cohort/card.md")},
        params=tables | {"settings": COHORT_SETTINGS, "model": {"target": "group"}},
    )  # fmt: skip
    parts = ("diversity", "groups", "people", "reference", "metabolites")
    road.run(
        "collect_account",
        input={"parts": [road.path(f"cohort/account/{part}.tsv") for part in parts]},
        output={"account": road.path("cohort/account.tsv")},
        params={"left_out": {"model": "model.target is not given"}},
    )


COHORT_PLOTS = {
    "alpha": ("alpha", "terms"), "ordination": ("ordination", "axes", "permanova", "terms"),
    "people": ("people", "phases"), "responses": ("responses",), "percentiles": ("percentiles",),
    "metabolites": ("associations", "points"), "model": tuple(MODEL_OUTPUTS),
}  # fmt: skip


MORE_PLOTS = {"metabolites": "exploratory", "model": "importance"}
"""Rules that draw two figures."""


def plot_cohort_stages(road):
    for name, tables in COHORT_PLOTS.items():
        outputs = {kind: road.path(f"figures/cohort.{name}.{kind}") for kind in ("png", "svg")}
        if name in MORE_PLOTS:
            more = MORE_PLOTS[name]
            outputs |= {
                f"{more}_{kind}": road.path(f"figures/cohort.{name}.{more}.{kind}")
                for kind in ("png", "svg")
            }
        road.run(
            f"plot_{name}", output=outputs,
            input={table: road.path(f"cohort/{table}.tsv") for table in tables},
        )  # fmt: skip
    road.run(
        "plot_effects", input={"effects": road.path("cohort/effects.tsv")},
        output={
            "folder": road.path("figures/effects"),
            "index": road.path("cohort/effect_figures.tsv"),
        },
        params={"fdr": 0.05},
    )  # fmt: skip
    names = ("people", "trajectories", "recovery", "swaps")
    road.run(
        "plot_timelines", input={name: road.path(f"cohort/{name}.tsv") for name in names},
        output={
            "folder": road.path("figures/people"), "index": road.path("cohort/people_figures.tsv"),
        },
    )  # fmt: skip


@pytest.fixture(scope="module")
def road(tmp_path_factory):
    """Every adapter but the verdict, run."""
    road = Road(tmp_path_factory.mktemp("road"))
    (road.folder / "logs").mkdir()
    write_reads(road)
    write_hits(road)
    database_stages(road)
    read_stages(road)
    taxonomy_stages(road)
    genome_stages(road)
    function_stages(road)
    join_stages(road)
    plot_stages(road)
    cohort_stages(road)
    plot_cohort_stages(road)
    return road


def test_every_adapter_is_tried_here(road):
    tried = {job["name"] for job in road.jobs.values()} | {"check_outcome"}
    assert tried == {path.stem for path in SCRIPTS.glob("*.py")}


def test_every_adapter_wrote_its_outputs_and_its_log(road):
    for job in road.jobs.values():
        for path in job["output"].values():
            assert Path(path).stat().st_size, job["name"]
        assert Path(job["log"]).is_file()


def test_databases_are_fetched_verified_and_recorded_under_one_id(road):
    (fetched,) = road.table("databases/fetched.tsv")
    (used,) = road.table("databases/used.tsv")
    (verified,) = road.table("databases/verified.tsv")
    assert (fetched["database"], fetched["version"]) == ("demo-scfa", "1")
    assert used["id"] == fetched["id"]
    assert verified["result"] == "ok"


def test_verify_databases_names_the_file_that_was_changed_and_the_remedy(road, tmp_path):
    store = tmp_path / "store"
    shutil.copytree(road.folder / "store", store, symlinks=True)
    proteins = store / "names/demo-scfa/1/proteins.tsv"
    proteins.chmod(0o644)
    proteins.write_text(proteins.read_text().replace("d__Bacteria", "d__Archaea", 1))
    params = road.jobs["verify_databases"]["params"]
    slot = params["slots"][0] | {"folder": str(proteins.parent)}
    remedy = r"(?s)proteins\.tsv.*fermentome db fetch demo-scfa@1"
    with pytest.raises(FermentomeError, match=remedy):
        run_adapter(
            "verify_databases",
            str(tmp_path / "log"),
            output={"table": str(tmp_path / "verified.tsv")},
            params={"slots": [slot], "store": str(store)},
        )
    assert not (tmp_path / "verified.tsv").exists()


def test_ingest_reads_describes_sound_and_damaged_runs(road):
    assert (road.folder / "ingest/001.status").read_text() == "ok\n"
    assert (road.folder / "ingest/NA.status").read_text() == "failed\n"
    report = json.loads((road.folder / "ingest/001.json").read_text(encoding="utf-8"))
    assert (report["layout"], report["reads"]) == ("paired", 2 * FRAGMENTS)
    assert "001 run 1: ok" in (road.folder / "logs/ingest_reads.001.log").read_text()


def test_check_host_counts_sequences_and_bases(road):
    with dnaio.open(EXAMPLE / "host/host.fa.gz") as records:
        lengths = [len(record.sequence) for record in records]
    (row,) = road.table("databases/host.tsv")
    assert row == {
        "file": "host.fa.gz",
        "sequences": str(len(lengths)),
        "bases": str(sum(lengths)),
    }


def test_summarise_reads_counts_pairs(road):
    flow = json.loads((road.folder / "flow/001.json").read_text(encoding="utf-8"))
    assert (flow["status"], flow["paired_fragments"]) == ("ok", FRAGMENTS)
    assert flow["clean_bases"] == 2 * FRAGMENTS * 150
    statuses = [row["status"] for row in road.table("status/reads.NA.tsv")]
    assert statuses == ["failed"] * 3


def test_profile_taxa_finds_the_genome_that_was_sketched(road):
    rows = {row["taxon"]: row for row in road.table("taxonomy/001.tsv")}
    assert rows.keys() == {"Anaerococcus prevotii", "unclassified"}
    assert sum(int(row["reads"]) for row in rows.values()) == 2 * FRAGMENTS
    (row,) = road.table("taxonomy/NA.tsv")
    assert row["relative_abundance"] == "NA"


def test_check_proteins_counts_those_of_each_family(road):
    rows = {row["family"]: row for row in road.table("databases/proteins.tsv")}
    given = [row["family"] for row in read_table(EXAMPLE / "reference/proteins.tsv")]
    assert rows["but"]["proteins"] == str(given.count("but"))
    # A family of the catalogue that the small reference lacks.
    assert (rows["lcdA"]["proteins"], rows["lcdA"]["median_length_aa"]) == ("0", "NA")


def test_check_proteins_refuses_a_reference_that_was_changed(tmp_path):
    folder = tmp_path / "reference"
    shutil.copytree(EXAMPLE / "reference", folder)
    with (folder / "proteins.tsv").open("a", encoding="utf-8") as table:
        table.write("P99999\tbut\t400\t\tnone\tnone\n")
    with pytest.raises(ReferenceFolderError, match=r"proteins\.tsv"):
        run_adapter(
            "check_proteins",
            str(tmp_path / "log"),
            input={"manifest": str(folder / "manifest.yaml"), **catalogue()},
            output={"table": str(tmp_path / "table.tsv")},
        )
    assert not (tmp_path / "table.tsv").exists()


def test_list_routes_names_every_reported_pathway(road):
    listed = [row["pathway"] for row in road.table("tables/routes.tsv")]
    assert set(listed) == {row["pathway"] for row in road.table("pathways/NA.tsv")}
    assert all(row["caveat"] for row in road.table("tables/routes.tsv"))


def test_assign_fragments_counts_the_hits(road):
    fragments = {
        row["family"]: row["fragments"]
        for row in road.table("function/001.families.tsv")
        if row["taxon"] == "community"
    }
    assert fragments["but"] == "10"
    assert fragments["COG0012"] == "1"
    assert {row["copies_per_genome"] for row in road.table("function/NA.families.tsv")} == {"NA"}


def test_score_pathways_calls_nothing_from_one_step_alone(road):
    calls = {
        row["pathway"]: row["call"]
        for row in road.table("pathways/001.tsv")
        if row["taxon"] == "community"
    }
    assert "BUT_ACOA_BUT" in calls
    assert "present" not in calls.values()


def test_score_pathways_runs_without_taxonomy(road, tmp_path):
    """Snakemake hands an empty list where taxonomy is switched off."""
    job = road.jobs["score_pathways.001"]
    output = {name: str(tmp_path / name) for name in job["output"]}
    inputs = job["input"] | {"taxonomy": []}
    run_adapter("score_pathways", str(tmp_path / "log"), inputs, output, job["params"])
    rows = read_table(tmp_path / "pathways")
    assert {row["organism_evidence"] for row in rows} == {"not_assessed"}


def test_join_tables_writes_four_formats(road):
    for feature in FEATURE_TABLES:
        assert {row["sample"] for row in road.table(f"tables/{feature}.tsv")} == set(SAMPLES)
        assert list(road.table(f"tables/{feature}.wide.tsv")[0])[1:] == list(SAMPLES)
    table = biom.load_table(str(road.folder / "tables/families.biom"))
    assert list(table.ids()) == ["001"]


def test_join_reads_keeps_metadata_as_text(road):
    rows = road.table("tables/reads.tsv")
    assert [(row["sample"], row["age"]) for row in rows] == [("001", "007"), ("NA", "007")]


def test_collect_status_has_every_stage(road):
    rows = road.table("status.tsv")
    assert len(rows) == 7 * len(SAMPLES)
    assert {row["status"] for row in rows if row["sample"] == "NA"} == {"failed"}


def test_measure_unserved_has_a_row_of_na_for_a_failed_sample(road):
    rows = {row["sample"]: row for row in road.table("tables/unserved.tsv")}
    assert set(rows["NA"].values()) == {"NA"}
    assert rows["001"]["no_phenotype_share"] != "NA"
    assert float(rows["001"]["target_fragments"]) == 10


@pytest.mark.parametrize("name", PLOTS)
def test_plots_are_images(road, name):
    assert (road.folder / f"figures/{name}.png").read_bytes().startswith(b"\x89PNG")
    ElementTree.parse(road.folder / f"figures/{name}.svg")


# Verdict and failure -----------------------------------------------------------------------------


def test_cohort_finds_the_planted_loss_of_butyrate_and_says_what_it_left_out(road):
    (row,) = [
        row
        for row in road.table("cohort/responses.tsv")
        if row["event"] == "antibiotics" and row["phase"] == "during"
        and row["measure"] == "product:butyrate"
    ]  # fmt: skip
    # Planted: -3 for susceptible species; less for the shares, since all of a community adds to 1.
    assert float(row["net_high"]) < -0.5
    account = road.table("cohort/account.tsv")
    assert {row["analysis"] for row in account} == {
        "reading", "diversity", "groups", "people", "reference", "metabolites", "model",
    }  # fmt: skip
    assert account[-1]["reason"] == "model.target is not given"
    assert {row["status"] for row in account} == {"done", "partly", "left_out"}


def test_people_and_effects_have_a_figure_each(road):
    people = road.table("cohort/people_figures.tsv")
    assert [row["subject"] for row in people] == list(COHORT_PEOPLE)
    assert all((road.folder / "figures/people" / row["file"]).is_file() for row in people)
    effects = road.table("cohort/effect_figures.tsv")
    assert {row["term"] for row in effects} == {"group", "age"}
    assert all((road.folder / "figures/effects" / row["file"]).is_file() for row in effects)


def test_a_model_of_six_people_is_refused_with_the_reason(road):
    about = {row["key"]: row["value"] for row in road.table("cohort/about.tsv")}
    assert about["status"] == "refused"
    assert "subjects" in about["reason"]
    assert road.table("cohort/scores.tsv") == []


def test_check_outcome_refuses_a_run_with_a_failed_sample(road, tmp_path):
    job = {
        "input": {"status": road.path("status.tsv")},
        "output": {"outcome": str(tmp_path / "outcome.txt")},
    }
    with pytest.raises(RunFailedError, match=r"NA: ingest: "):
        run_adapter("check_outcome", str(tmp_path / "log"), **job)
    assert not (tmp_path / "outcome.txt").exists()
    assert "1 of 2 samples failed" in (tmp_path / "log").read_text(encoding="utf-8")


def test_check_outcome_writes_the_verdict(road, tmp_path):
    rows = [row for row in road.table("status.tsv") if row["sample"] == "001"]
    write_table(tmp_path / "status.tsv", list(rows[0]), rows)
    run_adapter(
        "check_outcome",
        str(tmp_path / "log"),
        input={"status": str(tmp_path / "status.tsv")},
        output={"outcome": str(tmp_path / "outcome.txt")},
    )
    assert (tmp_path / "outcome.txt").read_text(encoding="utf-8").startswith("1 samples; stages: ")


def test_error_of_the_library_goes_to_the_log_with_its_traceback(tmp_path):
    (tmp_path / "genomes").mkdir()
    with pytest.raises(ReferenceFolderError, match="no genome found"):
        run_adapter(
            "sketch_genomes",
            str(tmp_path / "log"),
            input={"genomes": [], "lineages": "nowhere.tsv"},
            output={"database": str(tmp_path / "db")},
            params={"subsampling": 10},
        )
    log = (tmp_path / "log").read_text(encoding="utf-8")
    assert "ReferenceFolderError: " in log
    assert "Traceback" in log


def test_missing_input_is_an_error_of_the_library_or_the_system(road, tmp_path):
    job = road.jobs["collect_status"]
    with pytest.raises((FermentomeError, OSError)):
        run_adapter(
            "collect_status",
            str(tmp_path / "log"),
            input={"statuses": [str(tmp_path / "gone.tsv")], "reports": []},
            output={name: str(tmp_path / name) for name in job["output"]},
        )
    assert "gone.tsv" in (tmp_path / "log").read_text(encoding="utf-8")
