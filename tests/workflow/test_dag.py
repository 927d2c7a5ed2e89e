"""Each option leads to its rules, and every mistake to its message; nothing is run."""

import functools
import http.server
import json
import threading
import tomllib

import pytest
from snakemake_runs import ROOT, Job, plan, snakemake, write_config, write_project, write_sheet

READS = {
    "assign_fragments", "call_genes", "check_host", "check_limits", "check_outcome",
    "check_proteins", "clean_reads", "collect_status", "index_host", "index_proteins",
    "ingest_reads", "join_genomes", "join_reads", "join_tables", "join_unserved", "list_routes",
    "measure_unserved", "plot_carriers", "plot_pathways", "plot_reads", "plot_taxa",
    "plot_unserved", "profile_taxa", "record_databases", "score_genomes", "score_pathways",
    "search_genes", "search_reads", "sketch_genomes", "summarise_reads",
}  # fmt: skip
COHORT_RULES = {
    "collect_account", "compare_groups", "follow_people", "measure_diversity", "plot_alpha",
    "plot_effects", "plot_ordination", "plot_people", "plot_responses", "plot_timelines",
    "record_processing",
}  # fmt: skip
EVERYTHING = READS | COHORT_RULES
NAME_OF_64 = "".join(f"{number:02d}" for number in range(32))
GENOME_RULES = {"call_genes", "search_genes", "score_genomes", "join_genomes", "sketch_genomes"}
TAXONOMY_RULES = GENOME_RULES | {"profile_taxa", "plot_taxa"}


def inputs_of(text, rule):
    """Input line of the first job of a rule, as a dry run shows it."""
    return text.partition(f"rule {rule}:\n    input: ")[2].partition("\n")[0]


# Options -----------------------------------------------------------------------------------------


def test_full_configuration_uses_every_rule(tmp_path):
    assert plan(write_project(tmp_path)).rules == EVERYTHING


def test_without_host_nothing_is_checked_or_indexed_for_it(tmp_path):
    planned = plan(write_project(tmp_path, {"host": {"reference": None}}))
    assert planned.rules == EVERYTHING - {"check_host", "index_host"}
    assert "host" not in inputs_of(planned.text, "clean_reads")


def test_ready_host_index_is_used_as_it_is(tmp_path):
    planned = plan(write_project(tmp_path, {"host": {"reference": "host.mmi"}}))
    assert planned.rules == EVERYTHING - {"index_host"}
    assert "host.mmi" in inputs_of(planned.text, "clean_reads").split(", ")


def test_without_taxonomy_no_species_table_or_figure_is_made(tmp_path):
    planned = plan(write_project(tmp_path, {"taxonomy": {}}))
    assert planned.rules == EVERYTHING - TAXONOMY_RULES
    assert {job.feature for job in planned.of("join_tables")} == {
        "families",
        "pathways",
        "products",
    }
    assert "results/taxonomy" not in inputs_of(planned.text, "score_pathways")
    assert "taxa" not in inputs_of(planned.text, "check_outcome")


def test_ready_sylph_database_is_used_as_it_is(tmp_path):
    taxonomy = {"database": "ready.syldb", "lineages": "lineages.tsv"}
    planned = plan(write_project(tmp_path, {"taxonomy": taxonomy}))
    assert planned.rules == EVERYTHING - GENOME_RULES
    assert "ready.syldb" in inputs_of(planned.text, "profile_taxa").split(", ")


KRAKEN2_FILES = ("hash.k2d", "opts.k2d", "taxo.k2d")


def write_kraken2_project(folder, *tables, **settings):
    """Project with an empty kraken2 database that holds some tables besides."""
    taxonomy = {"classifier": "kraken2", "database": "k2", **settings}
    write_project(folder, {"taxonomy": taxonomy})
    (folder / "k2").mkdir()
    for name in (*KRAKEN2_FILES, *tables):
        (folder / "k2" / name).touch()
    return folder


def test_kraken2_classifies_and_nothing_is_sketched(tmp_path):
    planned = plan(write_kraken2_project(tmp_path, "inspect.txt", "database150mers.kmer_distrib"))
    assert {"classify_reads", "profile_taxa"} <= planned.rules
    assert planned.rules.isdisjoint(GENOME_RULES)
    assert "k2/hash.k2d" in inputs_of(planned.text, "classify_reads").split(", ")
    inputs = inputs_of(planned.text, "profile_taxa").split(", ")
    assert {"k2/taxo.k2d", "k2/inspect.txt", "k2/database150mers.kmer_distrib"} <= {*inputs}
    assert not any(name.endswith(".fastq.gz") for name in inputs)


def test_own_genome_sizes_replace_those_of_the_database(tmp_path):
    write_kraken2_project(tmp_path, "genome_sizes.tsv")
    assert "k2/genome_sizes.tsv" in inputs_of(plan(tmp_path).text, "profile_taxa").split(", ")
    (tmp_path / "own.tsv").touch()
    write_kraken2_project(tmp_path / "b", "genome_sizes.tsv", genome_sizes="../own.tsv")
    inputs = inputs_of(plan(tmp_path / "b").text, "profile_taxa").split(", ")
    assert "../own.tsv" in inputs
    assert "k2/genome_sizes.tsv" not in inputs


def test_settings_of_kraken2_reach_it(tmp_path):
    write_kraken2_project(tmp_path, confidence=0.3, minimum_hit_groups=4, memory_mapping=True)
    text = snakemake(tmp_path, "--dry-run", "--printshellcmds").stdout
    command = text.partition("kraken2 --db")[2].partition("--report ")[0].split()
    for words in (["--confidence", "0.3"], ["--minimum-hit-groups", "4"]):
        place = command.index(words[0])
        assert command[place : place + 2] == words
    assert "--memory-mapping" in command


def test_own_adapters_replace_the_shipped_ones(tmp_path):
    write_project(tmp_path, {"trim": {"adapters": "own.fa"}})
    (tmp_path / "own.fa").write_text(">adapter\nAGATCGGAAGAGC\n", encoding="utf-8")
    inputs = inputs_of(plan(tmp_path).text, "clean_reads")
    assert "own.fa" in inputs.split(", ")
    assert "adapters.fasta" not in inputs


def test_own_catalogue_replaces_the_shipped_one(tmp_path):
    write_project(tmp_path, {"function": {"reference": "proteins", "catalogue": "own"}})
    (tmp_path / "own").mkdir()
    for name in ("families", "pathways", "single_copy"):
        (tmp_path / f"own/{name}.yaml").touch()
    planned = plan(tmp_path)
    for rule in ("assign_fragments", "score_pathways"):
        assert "own/pathways.yaml" in inputs_of(planned.text, rule).split(", ")
        assert "resources/pathways.yaml" not in inputs_of(planned.text, rule)


@pytest.mark.parametrize(
    ("trim", "expected"),
    [
        ({"cut_mean_quality": 25}, "--cut_right --cut_right_mean_quality 25"),
        ({"min_length": 60, "quality": 20}, "--length_required 60 --qualified_quality_phred 20"),
        ({"poly_g": True}, "--trim_poly_g"),
        ({"poly_g": False}, "--disable_trim_poly_g"),
    ],
)
def test_trimming_options_reach_fastp(tmp_path, trim, expected):
    write_project(tmp_path, {"trim": trim})
    text = snakemake(tmp_path, "--dry-run", "--printshellcmds").stdout
    fastp = text.partition("fastp ")[2].partition("--json")[0]
    assert expected in fastp


def test_cutting_can_be_switched_off(tmp_path):
    write_project(tmp_path, {"trim": {"cut_mean_quality": None}})
    assert "--cut_right" not in snakemake(tmp_path, "--dry-run", "--printshellcmds").stdout


@pytest.mark.parametrize(
    ("mode", "expected"), [("default", set()), ("very-sensitive", {"--very-sensitive"})]
)
def test_sensitivity_reaches_diamond(tmp_path, mode, expected):
    write_project(tmp_path, {"function": {"reference": "proteins", "sensitivity": mode}})
    text = snakemake(tmp_path, "--dry-run", "--printshellcmds").stdout
    words = text.partition("diamond blastx")[2].partition("--outfmt")[0].split()
    assert {word for word in words if "sensitive" in word or word == "--default"} == expected


# Cohort ------------------------------------------------------------------------------------------


def test_without_taxonomy_samples_are_compared_all_the_same(tmp_path):
    planned = plan(write_project(tmp_path, {"taxonomy": {}}))
    assert planned.rules >= COHORT_RULES
    for rule in ("measure_diversity", "compare_groups", "follow_people"):
        inputs = inputs_of(planned.text, rule).split(", ")
        assert "results/tables/products.tsv" in inputs
        assert not [name for name in inputs if name.endswith("taxa.tsv")]


def write_cohort_project(folder, cohort=None, model=None, rows=()):
    """Project with a reference cohort and a sheet of metabolites to point at."""
    write_project(folder, {"cohort": cohort or {}, "model": model or {}}, rows)
    (folder / "ref").mkdir()
    for name in ("ref/reference_cohort.yaml", "ref/values.tsv", "acids.tsv"):
        (folder / name).touch()
    return folder


@pytest.mark.parametrize(
    ("cohort", "model", "rules"),
    [
        ({"reference_cohort": "ref"}, {},
         {"place_percentiles", "plot_percentiles"}),
        ({"metabolites": "acids.tsv"}, {}, {"associate_metabolites", "plot_metabolites"}),
        ({}, {"target": "group"}, {"train_model", "plot_model"}),
    ],
    ids=["reference", "metabolites", "model"],
)  # fmt: skip
def test_an_analysis_is_planned_where_its_key_asks_for_it(tmp_path, cohort, model, rules):
    planned = plan(write_cohort_project(tmp_path, cohort, model))
    assert planned.rules == EVERYTHING | rules
    part = {"place_percentiles": "reference", "associate_metabolites": "metabolites"}
    (own,) = {part.get(rule, "model") for rule in rules if not rule.startswith("plot")}
    assert f"results/cohort/account/{own}.tsv" in inputs_of(planned.text, "collect_account")


def test_files_of_a_cohort_that_do_not_exist_are_named(tmp_path):
    cohort = {"reference_cohort": "none", "metabolites": "none.tsv"}
    message = refusal(write_project(tmp_path, {"cohort": cohort}))
    assert "cohort.reference_cohort, 'none': does not exist" in message
    assert "cohort.metabolites, 'none.tsv': does not exist" in message


def test_a_comparison_that_will_be_left_out_is_said_and_stops_nothing(tmp_path):
    reads = {"reads1": "reads/a.fq"}
    rows = [{"sample": "a", **reads, "group": "x"}]
    planned = plan(write_cohort_project(tmp_path, {"covariates": ["gruop"]}, {}, rows))
    assert planned.rules == EVERYTHING
    assert "cohort.covariates, gruop: is not a column of the sheet" in planned.text
    assert "did you mean group?" in planned.text
    assert "cohort.groups, group: every sample is 'x'" in planned.text


# Sheets ------------------------------------------------------------------------------------------


def test_lanes_are_cleaned_apart_and_searched_together(tmp_path):
    rows = [
        {"sample": "s", "run": run, "reads1": f"reads/{run}_1.fq", "reads2": f"reads/{run}_2.fq"}
        for run in ("L1", "L2", "L3")
    ]
    planned = plan(write_project(tmp_path, rows=rows))
    for rule in ("ingest_reads", "clean_reads"):
        assert {(job.sample, job.run) for job in planned.of(rule)} == {
            ("s", "L1"),
            ("s", "L2"),
            ("s", "L3"),
        }
    for rule in ("summarise_reads", "profile_taxa", "search_reads", "score_pathways"):
        assert planned.of(rule) == [Job(rule, "s")]


def test_paired_and_single_runs_can_be_mixed(tmp_path):
    rows = [
        {"sample": "both", "run": "p", "reads1": "reads/p_1.fq", "reads2": "reads/p_2.fq"},
        {"sample": "both", "run": "s", "reads1": "reads/s.fq"},
        {"sample": "alone", "reads1": "reads/alone.fq"},
    ]
    planned = plan(write_project(tmp_path, rows=rows))
    assert planned.rules == EVERYTHING
    assert {(job.sample, job.run) for job in planned.of("clean_reads")} == {
        ("both", "p"),
        ("both", "s"),
        ("alone", "1"),
    }


def test_names_that_look_like_numbers_or_missing_values_stay_names(tmp_path):
    names = ["001", "NA", "1e5", "True", "null", "a.b-c", "a", "a.families", NAME_OF_64]
    rows = [{"sample": name, "reads1": f"reads/{n}.fq"} for n, name in enumerate(names)]
    planned = plan(write_project(tmp_path, rows=rows))
    assert planned.samples == set(names)
    assert len(planned.of("score_pathways")) == len(names)


def test_repetitive_name_is_accepted_or_refused_with_its_row(tmp_path):
    # Snakemake takes a wildcard value with 20 repeats for an endless recursion.
    write_project(tmp_path, rows=[{"sample": "x" * 64, "reads1": "reads/x.fq"}])
    done = snakemake(tmp_path, "--dry-run", check=False)
    assert done.returncode == 0 or "config/samples.tsv, row 2" in done.stdout + done.stderr


def test_declared_metadata_is_accepted(tmp_path):
    write_project(tmp_path, {"metadata": ["age"]})
    write_sheet(
        tmp_path / "config/samples.tsv",
        [{"sample": "s", "reads1": "reads/s1_1.fq.gz", "age": "40"}],
        metadata=["age"],
    )
    assert plan(tmp_path).samples == {"s"}


@pytest.mark.parametrize(
    "sheet",
    [
        "sample\treads1\r\ns\treads/s1_1.fq.gz\r\n",
        "\ufeffsample\treads1\ns\treads/s1_1.fq.gz\n",
    ],
    ids=["windows line ends", "byte order mark"],
)
def test_sheet_of_a_spreadsheet_is_read(tmp_path, sheet):
    write_project(tmp_path)
    (tmp_path / "config/samples.tsv").write_text(sheet, encoding="utf-8", newline="")
    assert plan(tmp_path).samples == {"s"}


# Mistakes ----------------------------------------------------------------------------------------


def refusal(folder, *arguments):
    """Message of a refused project: no traceback, and nothing made."""
    done = snakemake(folder, "--dry-run", *arguments, check=False)
    message = done.stdout + done.stderr
    assert done.returncode == 1
    assert "Traceback" not in message
    assert not (folder / "results").exists()
    return message


@pytest.mark.parametrize(
    ("config", "named"),
    [
        ({"hosts": {"reference": "host.fa"}}, ["hosts"]),
        ({"host": {"referenc": "host.fa"}}, ["referenc", "host"]),
        ({"trim": {"min_length": "fifty"}}, ["fifty", "min_length"]),
        ({"trim": {"adapters": "missing.fa"}}, ["trim.adapters", "missing.fa", "does not exist"]),
        ({"function": {}}, ["function.reference", "Hint"]),
        ({"taxonomy": {"minimum_ani": 0.95}}, ["0.95", "minimum_ani"]),
        (
            {"taxonomy": {"genomes": "genomes", "database": "ready.syldb"}},
            ["taxonomy.database", "taxonomy.lineages", "2 mistakes"],
        ),
    ],
    ids=["key", "nested key", "type", "missing file", "reference", "fraction", "contradiction"],
)
def test_mistake_in_the_configuration_is_named(tmp_path, config, named):
    message = refusal(write_project(tmp_path, config))
    for word in named:
        assert word in message


@pytest.mark.parametrize(
    ("rows", "named"),
    [
        ([], ["no samples"]),
        ([{"sample": "s", "reads1": "reads/no.fq"}], ["row 2", "reads1", "reads/no.fq"]),
        ([{"sample": "a b", "reads1": "reads/s1_1.fq.gz"}], ["row 2", "a b"]),
        (
            [
                {"sample": "s", "reads1": "reads/s1_1.fq.gz"},
                {"sample": "s", "reads1": "reads/s1_2.fq.gz"},
            ],
            ["row 3", "its own name under `run`"],
        ),
        (
            [
                {"sample": "s", "reads1": "reads/s1_1.fq.gz"},
                {"sample": "t", "reads1": "reads/s1_1.fq.gz"},
            ],
            ["row 3", "reads/s1_1.fq.gz"],
        ),
    ],
    ids=["no sample", "missing file", "name", "same run", "same file"],
)
def test_mistake_in_the_sheet_is_named_with_its_row(tmp_path, rows, named):
    write_project(tmp_path)
    write_sheet(tmp_path / "config/samples.tsv", rows)
    message = refusal(tmp_path)
    for word in ["config/samples.tsv", "Hint", *named]:
        assert word in message


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (b"PK\x03\x04rest", "Excel"),
        (b"sample,reads1\ns,reads/s1_1.fq.gz\n", "commas"),
        (b"sample\treads_1\ns\treads/s1_1.fq.gz\n", "'reads1' was meant"),
        (b"sample\treads1\tage\ns\treads/s1_1.fq.gz\t4\n", "`metadata`"),
        (b"", "is empty"),
    ],
    ids=["workbook", "commas", "misspelt column", "undeclared column", "empty"],
)
def test_file_that_is_no_sheet_is_refused(tmp_path, content, named):
    write_project(tmp_path)
    (tmp_path / "config/samples.tsv").write_bytes(content)
    assert named in refusal(tmp_path)


def test_every_mistake_of_a_sheet_is_named_at_once(tmp_path):
    write_project(tmp_path)
    rows = [{"sample": "a b", "reads1": "no.fq"}, {"sample": "c", "reads1": "reads/s1_1.bam"}]
    write_sheet(tmp_path / "config/samples.tsv", rows)
    message = refusal(tmp_path)
    for word in ("'a b'", "no.fq", "s1_1.bam"):
        assert word in message


def test_shipped_configuration_asks_for_samples(tmp_path):
    """What a newcomer sees who runs the shipped files unchanged."""
    write_project(tmp_path)
    for name in ("config.yaml", "samples.tsv"):
        (tmp_path / "config" / name).write_bytes((ROOT / "config" / name).read_bytes())
    assert "function.reference" in refusal(tmp_path)


# Ways in -----------------------------------------------------------------------------------------


def test_both_entry_points_plan_the_same_jobs(tmp_path):
    write_project(tmp_path)
    root = plan(tmp_path, snakefile=ROOT / "Snakefile")
    nested = plan(tmp_path, snakefile=ROOT / "workflow/Snakefile")
    assert sorted(root.jobs, key=repr) == sorted(nested.jobs, key=repr)
    assert root.rules == EVERYTHING


def test_configuration_may_lie_in_another_folder(tmp_path):
    project = write_project(tmp_path / "project")
    elsewhere = tmp_path / "elsewhere/settings.yaml"
    elsewhere.parent.mkdir()
    (project / "config/config.yaml").rename(elsewhere)
    planned = plan(project, "--configfile", str(elsewhere))
    assert planned.rules == EVERYTHING


def test_command_line_replaces_single_values(tmp_path):
    write_project(tmp_path)
    (tmp_path / "config/samples.tsv").rename(tmp_path / "other.tsv")
    assert plan(tmp_path, "--config", "samples=other.tsv").rules == EVERYTHING


def test_another_working_directory_can_be_given(tmp_path):
    project = write_project(tmp_path / "project")
    (tmp_path / "here").mkdir()
    assert plan(tmp_path / "here", "--directory", str(project)).rules == EVERYTHING


MODULE = """
configfile: "config/config.yaml"


module fermentome:
    snakefile:
        {snakefile!r}
    config:
        config


use rule * from fermentome


rule everything:
    default_target: True
    input:
        rules.all.input,
"""


def write_module(folder, snakefile):
    path = write_project(folder) / "Snakefile"
    path.write_text(MODULE.format(snakefile=str(snakefile)), encoding="utf-8")
    return path


def test_workflow_can_be_used_as_a_module(tmp_path):
    snakefile = write_module(tmp_path, ROOT / "workflow/Snakefile")
    planned = plan(tmp_path, snakefile=snakefile)
    assert planned.rules - {"everything"} == EVERYTHING


@pytest.fixture
def served():
    """Address under which the repository's files are served, as a remote module would be."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *arguments):
            pass

    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Quiet, directory=str(ROOT))
    )
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_workflow_can_be_used_as_a_remote_module(tmp_path, served):
    snakefile = write_module(tmp_path, f"{served}/workflow/Snakefile")
    planned = plan(tmp_path, snakefile=snakefile, environment={"NO_PROXY": "127.0.0.1"})
    assert planned.rules - {"everything"} == EVERYTHING


# Parsing -----------------------------------------------------------------------------------------

GUARD = """
import sys

REFUSED = {refused!r}


class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in REFUSED:
            raise ImportError(f"{{name}} was imported while the workflow was parsed")


sys.meta_path.insert(0, Refuse())
"""


def test_parsing_imports_the_standard_library_and_snakemake_only(tmp_path):
    # Snakemake itself brings YAML and JSON Schema.
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    refused = {"biom" if name == "biom-format" else name for name in project["dependencies"]}
    refused = refused - {"pyyaml", "jsonschema"} | {"pandas"}
    assert {"numpy", "dnaio", "biom"} <= refused
    (tmp_path / "guard").mkdir()
    guard = GUARD.format(refused=sorted(refused))
    (tmp_path / "guard/sitecustomize.py").write_text(guard, encoding="utf-8")
    environment = {"PYTHONPATH": str(tmp_path / "guard")}
    planned = plan(write_project(tmp_path / "project"), environment=environment)
    assert planned.rules == EVERYTHING
    # The guard works.
    assert snakemake_imports_numpy_fails(tmp_path, environment)


def snakemake_imports_numpy_fails(folder, environment):
    (folder / "Snakefile").write_text("import numpy\n", encoding="utf-8")
    done = snakemake(
        folder, "--dry-run", snakefile=folder / "Snakefile", check=False, environment=environment
    )
    return "numpy was imported while" in done.stdout + done.stderr


def test_plan_does_not_depend_on_the_order_of_the_sheet(tmp_path):
    rows = [{"sample": name, "reads1": f"reads/{name}.fq"} for name in ("c", "a", "b")]
    write_project(tmp_path, rows=rows)
    first = plan(tmp_path, "--printshellcmds")
    write_sheet(tmp_path / "config/samples.tsv", rows[::-1])
    second = plan(tmp_path, "--printshellcmds")
    assert sorted(first.jobs, key=repr) == sorted(second.jobs, key=repr)
    assert inputs_of(first.text, "check_outcome") == inputs_of(second.text, "check_outcome")


def test_example_configuration_is_valid_for_its_own_sheet(simulated, demo_config, tmp_path):
    write_config(tmp_path, json.loads("{}"))
    (tmp_path / "config/config.yaml").write_text(demo_config, encoding="utf-8")
    sheet = (simulated / "config/samples.tsv").read_text(encoding="utf-8")
    (tmp_path / "config/samples.tsv").write_text(sheet, encoding="utf-8")
    (tmp_path / "reads").symlink_to(simulated / "reads")
    assert plan(tmp_path).samples == {"community_a", "community_b", "no_butyrate"}
