"""The embedded example from raw reads to figures, against its truth."""

import contextlib
import getpass
import gzip
import importlib.util
import math
import os
import re
import shutil
import socket
import struct
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections import defaultdict
from pathlib import Path

import biom
import dnaio
import h5py
import pyarrow.parquet
import pytest
from snakemake_runs import (
    ROOT,
    copy_run,
    nothing_to_do,
    plan,
    read_sheet,
    snakemake,
    write_sheet,
)

from fermentome.catalogue import CatalogueFiles, load_catalogue
from fermentome.tables import parse_number, read_table

SAMPLES = ["community_a", "community_b", "no_butyrate"]
FEATURES = ["families", "pathways", "products", "taxa"]
FIGURES = ["carriers", "pathways", "reads", "taxa", "unserved"]
SAMPLE_TABLES = ["reads", "unserved"]
# Rules that no other rule asks for.
ON_REQUEST = {"fetch_databases", "verify_databases"}
# What depends on all samples; it is made again whenever one of them changes.
JOINS = {
    "join_tables", "join_reads", "join_unserved", "check_limits", "collect_status",
    "check_outcome", "plot_reads", "plot_taxa", "plot_pathways", "plot_carriers",
    "plot_unserved",
}  # fmt: skip
# What compares samples: after every change of a table or of what is known of the samples.
COMPARISON = {
    "collect_account", "compare_groups", "follow_people", "measure_diversity", "plot_alpha",
    "plot_effects", "plot_ordination", "plot_people", "plot_responses", "plot_timelines",
}  # fmt: skip
JOINS |= COMPARISON
# Adapters of analyses that the example does not ask for.
NOT_ASKED_FOR = {
    "associate_metabolites", "place_percentiles", "plot_metabolites", "plot_model",
    "plot_percentiles", "train_model",
}  # fmt: skip
COHORT_TABLES = [
    "account", "alpha", "axes", "closeness", "dispersion", "effect_figures", "effects", "noise",
    "ordination", "people", "people_figures", "permanova", "phases", "recovery",
    "recovery_summary", "responses", "swaps", "terms", "trajectories",
]  # fmt: skip
COHORT_FIGURES = ["alpha", "ordination", "people", "people/person_001", "responses"]


def number_rows(path, columns):
    """Rows of a table with some columns as numbers."""
    rows = read_table(path)
    return [row | {column: parse_number(row[column]) for column in columns} for row in rows]


def load_program(path):
    """Module of a program that is no package."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# What is made ------------------------------------------------------------------------------------


def test_every_output_exists(demo):
    made = {str(path.relative_to(demo.results)) for path in demo.results.rglob("*.*")}
    wanted = {"status.tsv", "outcome.txt"}
    wanted |= {f"tables/{name}.{kind}" for name in SAMPLE_TABLES for kind in ("tsv", "parquet")}
    for feature in FEATURES:
        suffixes = ("tsv", "wide.tsv", "parquet", "biom")
        wanted |= {f"tables/{feature}.{suffix}" for suffix in suffixes}
    wanted |= {f"figures/{name}.{kind}" for name in FIGURES for kind in ("png", "svg")}
    wanted |= {f"cohort/{name}.tsv" for name in COHORT_TABLES}
    wanted |= {
        f"cohort/figures/{name}.{kind}" for name in COHORT_FIGURES for kind in ("png", "svg")
    }
    wanted |= {"cohort/distances/taxa_braycurtis.tsv.gz", "databases/processing.yaml"}
    for sample in SAMPLES:
        wanted |= {f"{folder}/{sample}.tsv" for folder in ("taxonomy", "pathways", "products")}
        wanted |= {f"function/{sample}.families.tsv", f"reads/{sample}.json"}
    assert wanted <= made
    assert all((demo.results / name).stat().st_size for name in wanted)


def test_account_says_what_was_made_of_three_samples_and_what_was_not(demo):
    rows = read_table(demo.results / "cohort/account.tsv")
    said = {(row["analysis"], row["item"]): row["status"] for row in rows}
    assert said["reading", "taxa"] == "done"
    assert said["diversity", "taxa braycurtis"] == "done"
    # Groups of one and two samples are too few.
    assert said["groups", "design"] == "left_out"
    for analysis in ("reference", "metabolites", "model"):
        assert said[analysis, "all"] == "left_out"
    assert all(row["reason"] for row in rows if row["status"] != "done")


def test_every_table_starts_with_sample_and_is_sorted_by_it(demo):
    for name in (*FEATURES, *SAMPLE_TABLES):
        text = (demo.results / f"tables/{name}.tsv").read_text(encoding="utf-8")
        header, *rows = [line.split("\t") for line in text.splitlines()]
        assert header[0] == "sample"
        assert all(re.fullmatch(r"[a-z][a-z0-9_]*", column) for column in header)
        assert [row[0] for row in rows] == sorted(row[0] for row in rows)
        assert {row[0] for row in rows} == set(SAMPLES)


def test_ledger_has_every_sample_and_stage_and_says_what_is_shallow(demo):
    rows = read_table(demo.results / "status.tsv")
    stages = ["ingest", "trim", "host", "taxonomy", "function", "pathways", "databases"]
    assert [(row["sample"], row["stage"]) for row in rows] == [
        (sample, stage) for sample in SAMPLES for stage in stages
    ]
    # At the depth of the tests one genus of community_b would not show the kinase route.
    shallow = [(row["sample"], row["stage"]) for row in rows if row["status"] != "ok"]
    assert shallow == [("community_b", "pathways")]


def test_reads_of_the_ledger_follow_one_another(demo):
    for sample in SAMPLES:
        rows = [r for r in read_table(demo.results / "status.tsv") if r["sample"] == sample]
        stage = {row["stage"]: row for row in rows}
        truth = {row["sample"]: row for row in read_table(demo.folder / "truth/host.tsv")}
        mates = 1 if sample == "no_butyrate" else 2
        assert int(stage["ingest"]["reads_in"]) == int(truth[sample]["fragments"]) * mates
        assert stage["trim"]["reads_in"] == stage["ingest"]["reads_out"]
        assert stage["host"]["reads_in"] == stage["trim"]["reads_out"]
        for name in ("taxonomy", "function", "pathways", "databases"):
            assert stage[name]["reads_in"] == stage["host"]["reads_out"]


def test_metadata_of_the_sheet_reach_the_table_of_reads(demo):
    rows = {row["sample"]: row for row in read_table(demo.results / "tables/reads.tsv")}
    assert rows["community_b"]["subject"] == "subject_1"
    assert rows["community_b"]["timepoint"] == "2"
    assert rows["no_butyrate"]["group"] == "control"


def test_every_job_wrote_its_log_and_benchmark(demo):
    for folder, suffix in (("logs", ".log"), ("benchmarks", ".tsv")):
        files = {path.relative_to(demo.folder / folder).parts[0].partition(".")[0]
                 for path in (demo.folder / folder).rglob(f"*{suffix}")}  # fmt: skip
        adapters = {path.stem for path in (ROOT / "scripts").glob("*.py")}
        assert adapters - ON_REQUEST - NOT_ASKED_FOR <= files
        assert {"index_host", "index_proteins", "clean_reads", "search_reads"} <= files


def test_temporary_reads_are_removed(demo):
    assert list(demo.results.rglob("*.fastq*")) == []
    assert list(demo.results.rglob("*hits*")) == []


# Figures -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FIGURES)
def test_figure_is_an_image_of_some_size(demo, name):
    data = (demo.results / f"figures/{name}.png").read_bytes()
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    assert data.endswith(b"IEND\xaeB`\x82")
    assert len(data) > 20_000
    width, height = struct.unpack(">II", data[16:24])
    assert 800 <= width <= 4000
    assert 200 <= height <= 4000


@pytest.mark.parametrize("name", FIGURES)
def test_vector_figure_is_xml_with_text_of_every_sample(demo, name):
    root = ElementTree.parse(demo.results / f"figures/{name}.svg").getroot()
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    text = " ".join(root.itertext())
    assert all(sample in text for sample in SAMPLES)


# Truth -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def recovery():
    """The program that `make demo` ends with."""
    return load_program(ROOT / "example/report_recovery.py")


@pytest.fixture(scope="module")
def catalogue():
    """The catalogue as shipped."""
    return load_catalogue(
        CatalogueFiles.in_folders(ROOT / "workflow/resources", ROOT / "workflow/schemas")
    )


def test_every_call_is_that_of_the_truth(demo, recovery, catalogue, capsys):
    wrong = recovery.report_pathways(demo.folder, catalogue)
    assert wrong == 0, capsys.readouterr().out


def test_report_counts_a_wrong_call(demo, recovery, catalogue, tmp_path, capsys):
    """The check above can fail: a call turned round is seen."""
    shutil.copytree(demo.folder / "truth", tmp_path / "truth")
    (tmp_path / "results/tables").mkdir(parents=True)
    text = (demo.results / "tables/pathways.tsv").read_text(encoding="utf-8")
    turned, changes = re.subn(
        r"^(no_butyrate\tBUT_ACOA_BUT\tcommunity\t.*)\tabsent\t",
        r"\1\tpresent\t",
        text,
        flags=re.MULTILINE,
    )
    assert changes == 1
    (tmp_path / "results/tables/pathways.tsv").write_text(turned, encoding="utf-8")
    assert recovery.report_pathways(tmp_path, catalogue) == 1
    assert "WRONG" in capsys.readouterr().out


def test_report_of_the_demo_ends_well(demo):
    done = subprocess.run(
        [sys.executable, "example/report_recovery.py", demo.folder],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0
    assert f"Results: {demo.folder}/results" in done.stdout


def test_no_butyrate_route_is_present_where_none_was_put(demo):
    rows = [row for row in read_table(demo.results / "tables/pathways.tsv")
            if row["sample"] == "no_butyrate" and row["product"] == "butyrate"]  # fmt: skip
    assert len({row["pathway"] for row in rows}) >= 5
    assert "present" not in {row["call"] for row in rows}
    product = [row for row in read_table(demo.results / "tables/products.tsv")
               if row["sample"] == "no_butyrate" and row["product"] == "butyrate"]  # fmt: skip
    assert [(row["copies_per_genome"], row["routes_present"]) for row in product] == [("0", "")]


def test_intervals_of_families_hold_the_true_copies(demo):
    """Of 95 % intervals some miss; a bias would make most of them miss."""
    truth = {(row["sample"], row["family"]): float(row["copies_per_genome"])
             for row in read_table(demo.folder / "truth/families.tsv")}  # fmt: skip
    columns = ("copies_per_genome", "ci_low", "ci_high", "fragments")
    inside = []
    for row in number_rows(demo.results / "tables/families.tsv", columns):
        true = truth.get((row["sample"], row["family"]), 0.0)
        if row["taxon"] == "community" and row["role"] == "target" and true > 0:
            inside.append(row["ci_low"] <= true <= row["ci_high"])
    assert len(inside) > 60
    assert sum(inside) / len(inside) > 0.75


# sample, pathway, true copies, copies found, interval, call: a line of the report.
REPORTED = re.compile(
    r"^(\S+) +([A-Z_0-9]+) +([\d.]+) +([\d.]+) +([\d.]+) - ([\d.]+) +(\w+)", re.MULTILINE
)


def test_copies_of_present_pathways_are_near_the_truth(demo, recovery, catalogue, capsys):
    recovery.report_pathways(demo.folder, catalogue)
    inside = []
    for *_, true, found, low, high, call in REPORTED.findall(capsys.readouterr().out):
        if call == "present":
            # The report has two decimals.
            inside.append(float(low) - 0.005 <= float(true) <= float(high) + 0.005)
            assert float(true) / 2 < float(found) < float(true) * 2
    assert len(inside) >= 12
    assert sum(inside) / len(inside) >= 0.75


def test_species_are_those_that_were_put_in(demo):
    true = defaultdict(dict)
    for row in read_table(demo.folder / "truth/taxa.tsv"):
        true[row["sample"]][row["species"]] = float(row["relative_abundance"])
    found = defaultdict(dict)
    for row in number_rows(demo.results / "tables/taxa.tsv", ("relative_abundance",)):
        if row["taxon"] != "unclassified":
            found[row["sample"]][row["taxon"]] = row["relative_abundance"]
    assert found.keys() == true.keys()
    for sample in SAMPLES:
        assert found[sample].keys() == true[sample].keys()
        distance = sum(abs(found[sample][name] - true[sample][name]) for name in true[sample])
        assert distance / 2 < 0.05


def test_share_of_host_reads_is_within_one_percent(demo):
    reads = {row["sample"]: row for row in read_table(demo.results / "tables/reads.tsv")}
    truth = {row["sample"]: float(row["host_fraction"])
             for row in read_table(demo.folder / "truth/host.tsv")}  # fmt: skip
    assert truth == {"community_a": 0, "community_b": 0.2, "no_butyrate": 0}
    for sample, share in truth.items():
        found = int(reads[sample]["host_reads"]) / int(reads[sample]["trimmed_reads"])
        assert found == pytest.approx(share, abs=0.01)


def test_carriers_are_the_genera_of_the_mosaics(demo):
    """The mosaic of Anaerococcus carries the `but` route in both communities."""
    rows = number_rows(demo.results / "tables/pathways.tsv", ("copies_per_genome",))
    for sample in ("community_a", "community_b"):
        taxa = {
            row["taxon"]: row["copies_per_genome"]
            for row in rows
            if row["sample"] == sample
            and row["pathway"] == "PROP_SUCC_DEC"
            and row["taxon"] not in {"community", "unassigned"}
        }
        assert max(taxa, key=taxa.get) == "Phocaeicola"


# Invariants --------------------------------------------------------------------------------------


def test_taxa_and_unclassified_add_up_to_one(demo):
    sums = defaultdict(float)
    for row in number_rows(demo.results / "tables/taxa.tsv", ("relative_abundance",)):
        sums[row["sample"]] += row["relative_abundance"]
    assert sums.keys() == set(SAMPLES)
    assert all(total == pytest.approx(1, abs=1e-4) for total in sums.values())


@pytest.mark.parametrize("feature", ["families", "pathways"])
def test_taxa_of_a_feature_add_up_to_the_community(demo, feature):
    identifier = "family" if feature == "families" else "pathway"
    community, sums = {}, defaultdict(float)
    for row in number_rows(demo.results / f"tables/{feature}.tsv", ("copies_per_genome",)):
        key = row["sample"], row[identifier]
        if row["taxon"] == "community":
            assert key not in community
            community[key] = row["copies_per_genome"]
        else:
            sums[key] += row["copies_per_genome"]
    assert set(sums) <= set(community)
    assert any(value > 0 for value in community.values())
    for key, value in community.items():
        if math.isnan(value):
            assert math.isnan(sums.get(key, math.nan))
        else:
            assert sums[key] == pytest.approx(value, abs=1e-4), key


def test_fragments_of_a_family_add_up_to_the_community(demo):
    community, sums = {}, defaultdict(float)
    for row in number_rows(demo.results / "tables/families.tsv", ("fragments",)):
        key = row["sample"], row["family"]
        if row["taxon"] == "community":
            community[key] = row["fragments"]
        else:
            sums[key] += row["fragments"]
    assert all(sums[key] == pytest.approx(value, abs=1e-3) for key, value in community.items())


@pytest.mark.parametrize("feature", FEATURES)
def test_wide_parquet_and_biom_hold_what_the_long_table_holds(demo, feature):
    folder = demo.results / "tables"
    value = "relative_abundance" if feature == "taxa" else "copies_per_genome"
    identifier = {"taxa": "taxon", "families": "family", "pathways": "pathway"}.get(
        feature, "product"
    )
    long = number_rows(folder / f"{feature}.tsv", (value,))
    expected = {
        (row[identifier], row["sample"]): row[value]
        for row in long
        if feature in {"taxa", "products"} or row["taxon"] == "community"
    }
    wide = read_table(folder / f"{feature}.wide.tsv")
    assert list(wide[0]) == [identifier, *SAMPLES]
    table = biom.load_table(str(folder / f"{feature}.biom"))
    # BIOM has no word for a value that cannot be estimated; such features are left out of it.
    assert set(table.ids()) == set(SAMPLES)
    features = set(table.ids(axis="observation"))
    assert features
    for row in wide:
        values = [expected.get((row[identifier], sample), 0.0) for sample in SAMPLES]
        assert [parse_number(row[sample]) for sample in SAMPLES] == pytest.approx(
            values, abs=0, nan_ok=True
        )
        assert (row[identifier] in features) == (not any(map(math.isnan, values)))
        if row[identifier] in features:
            assert [table.get_value_by_ids(row[identifier], s) for s in SAMPLES] == values
    parquet = pyarrow.parquet.read_table(folder / f"{feature}.parquet").to_pylist()
    assert [(row["sample"], row[identifier], row[value]) for row in parquet] == [
        (row["sample"], row[identifier], None if math.isnan(row[value]) else row[value])
        for row in long
    ]


# What the databases did not serve ----------------------------------------------------------------


def test_databases_of_the_example_serve_its_samples(demo):
    """Its genomes are those of the communities; its proteins are few, on purpose."""
    for row in read_table(demo.results / "tables/unserved.tsv"):
        assert parse_number(row["unclassified_share"]) == pytest.approx(0, abs=0.01)
        assert parse_number(row["classified_share"]) == pytest.approx(1, abs=0.01)
        assert parse_number(row["no_phenotype_share"]) == 0
        assert 0 < parse_number(row["no_lineage_share"]) < 0.5
        assert parse_number(row["hit_share"]) > 0.2
        assert "BUT_ACOA_BUT" not in row["unserved_routes"].split(",")
        assert "METHANO" in row["unserved_routes"].split(",")


def test_unserved_shares_follow_from_the_other_tables(demo):
    shares = {row["sample"]: row for row in read_table(demo.results / "tables/unserved.tsv")}
    fragments = defaultdict(lambda: defaultdict(float))
    for row in number_rows(demo.results / "tables/families.tsv", ("fragments",)):
        if row["role"] == "target":
            fragments[row["sample"]][row["taxon"]] += row["fragments"]
    for row in number_rows(demo.results / "tables/taxa.tsv", ("sequence_abundance",)):
        if row["taxon"] == "unclassified":
            share = parse_number(shares[row["sample"]]["unclassified_share"])
            assert share == pytest.approx(row["sequence_abundance"], abs=1e-6)
    for sample, taxa in fragments.items():
        share = parse_number(shares[sample]["no_lineage_share"])
        assert share == pytest.approx(taxa["unassigned"] / taxa["community"], rel=1e-4)
    # The same numbers stand beside the products.
    for row in read_table(demo.results / "tables/products.tsv"):
        for column in ("unclassified_share", "no_phenotype_share", "no_lineage_share"):
            assert row[column] == shares[row["sample"]][column]
        routes = set(filter(None, row["unserved_routes"].split(",")))
        assert routes <= set(shares[row["sample"]]["unserved_routes"].split(","))


# Privacy -----------------------------------------------------------------------------------------


def text_of(path):
    """Everything that a file says, packed and binary formats unpacked."""
    if path.suffix == ".parquet":
        table = pyarrow.parquet.read_table(path)
        return str(table.schema) + str(table.to_pydict())
    if path.suffix == ".biom":
        parts = []

        def visit(name, item):
            parts.append(f"{name} {dict(item.attrs)}")
            if isinstance(item, h5py.Dataset):
                parts.append(str(item[()]))

        with h5py.File(path) as handle:
            parts.append(str(dict(handle.attrs)))
            handle.visititems(visit)
        return "\n".join(parts)
    data = path.read_bytes()
    return (gzip.decompress(data) if path.suffix == ".gz" else data).decode("latin-1")


@pytest.fixture(scope="module")
def texts(demo):
    """Text of every file that the run left, its inputs and Snakemake's own records aside."""
    return {
        str(path.relative_to(demo.folder)): text_of(path)
        for folder in ("results", "logs", "benchmarks")
        for path in sorted((demo.folder / folder).rglob("*"))
        if path.is_file()
    }


WORD = 31


def words(sequence):
    return {sequence[i : i + WORD] for i in range(len(sequence) - WORD + 1)}


@pytest.fixture(scope="module")
def host_words():
    """Words of the host's genome, on both strands, that no genome of the community holds."""
    data = ROOT / "example/data"
    with dnaio.open(data / "host/host.fa.gz") as records:
        host = [record.sequence for record in records]
    both = host + [sequence.translate(str.maketrans("ACGT", "TGCA"))[::-1] for sequence in host]
    found = set().union(*map(words, both))
    for path in sorted((data / "genomes").glob("*.fna.gz")):
        with dnaio.open(path) as records:
            for record in records:
                found -= words(record.sequence)
                found -= words(record.sequence.translate(str.maketrans("ACGT", "TGCA"))[::-1])
    return found


def host_runs(text, host_words):
    """Pieces of sequence in a text that hold a word of the host."""
    return [
        piece
        for piece in re.findall(rf"[ACGT]{{{WORD},}}", text)
        if not host_words.isdisjoint(words(piece))
    ]


def test_no_sequence_of_the_host_is_left_in_any_file(texts, host_words):
    assert {name: found for name, text in texts.items() if (found := host_runs(text, host_words))} \
        == {}  # fmt: skip


def test_search_for_host_reads_finds_those_of_the_input(demo, host_words):
    """The check above can fail: it sees the fifth of the reads that is the host's."""
    with dnaio.open(demo.folder / "reads/community_b_1_R1.fastq.gz") as records:
        reads = [record.sequence for record in records]
    share = sum(bool(host_runs(read, host_words)) for read in reads) / len(reads)
    assert share == pytest.approx(0.2, abs=0.01)


def test_clean_reads_hold_no_read_of_the_host_and_no_name_of_the_input(demo, tmp_path, host_words):
    """Not even the temporary file of clean reads, here kept."""
    folder = copy_run(demo.folder, tmp_path / "run")
    target = "results/clean/community_b/1.fastq.gz"
    snakemake(folder, "--notemp", target, snakefile=demo.snakefile)
    with dnaio.open(folder / target) as records:
        reads = list(records)
    assert len(reads) > 20_000
    assert sum(bool(host_runs(read.sequence, host_words)) for read in reads) / len(reads) < 0.001
    assert all(re.fullmatch(r"1:\d+/[12]", read.name) for read in reads)


def test_no_read_name_of_the_input_is_left(demo, texts):
    names = set()
    for path in (demo.folder / "reads").glob("*.fastq.gz"):
        with dnaio.open(path) as records:
            names |= {record.id for record in list(records)[:50]}
    prefix = os.path.commonprefix(sorted(names))
    assert len(prefix) >= 10
    assert [name for name, text in texts.items() if prefix in text] == []


def test_results_name_no_folder_user_or_machine(demo, texts):
    secrets = {str(demo.folder), str(demo.snakefile.parent), str(Path.home()), str(ROOT)}
    secrets |= {getpass.getuser(), socket.gethostname(), "/tmp/", "tmp_path"}
    patterns = [re.compile(rf"(?<![\w/]){re.escape(s)}(?!\w)") for s in secrets if len(s) > 2]
    found = {
        (name, match[0])
        for name, text in texts.items()
        # A binary format can hold any few letters by chance.
        if name.startswith("results/") and not name.endswith((".png", ".mmi", ".dmnd", ".syldb"))
        for pattern in patterns
        if (match := pattern.search(text))
    }
    assert found == set()


def test_binary_databases_name_no_folder(demo, texts):
    for name in ("host.mmi", "proteins.dmnd", "taxonomy.syldb"):
        text = texts[f"results/databases/{name}"]
        assert str(demo.snakefile.parent) not in text
        assert str(demo.folder) not in text


# Runs after the first ----------------------------------------------------------------------------


@pytest.fixture
def rerun(demo, tmp_path):
    """Copy of the finished run, to change."""
    return copy_run(demo.folder, tmp_path / "run")


def edit_sheet(folder, change):
    path = folder / "config/samples.tsv"
    rows = read_sheet(path)
    for row in rows:
        change(row)
    write_sheet(path, rows)


@contextlib.contextmanager
def edited(path):
    """A comment at the end of a file of the workflow, for a while.

    In place, since the place of the workflow is an input of every script rule.
    """
    before, times = path.read_bytes(), path.stat()
    path.write_bytes(before + b"# edited\n")
    try:
        yield
    finally:
        path.write_bytes(before)
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def test_second_run_does_nothing(demo):
    done = snakemake(demo.folder, "--dry-run", snakefile=demo.snakefile)
    assert "Nothing to be done" in done.stdout + done.stderr


def test_moved_run_does_nothing(rerun, demo):
    assert nothing_to_do(rerun, snakefile=demo.snakefile)


def test_order_of_the_rows_is_no_change(rerun, demo):
    path = rerun / "config/samples.tsv"
    write_sheet(path, read_sheet(path)[::-1])
    assert nothing_to_do(rerun, snakefile=demo.snakefile)


def test_edited_metadata_make_only_the_table_of_reads_and_what_compares_again(rerun, demo):
    def older(row):
        if row["sample"] == "no_butyrate":
            row["group"] = "another"

    edit_sheet(rerun, older)
    planned = plan(rerun, snakefile=demo.snakefile)
    assert planned.samples == set()
    assert planned.rules == {"join_reads", "plot_reads", "check_outcome"} | COMPARISON


def test_new_reads_of_one_sample_make_only_that_sample_again(rerun, demo):
    old = rerun / "reads/no_butyrate_1.fastq.gz"
    with dnaio.open(old) as records:
        reads = list(records)[:1000]
    with dnaio.open(old, mode="w") as out:
        for read in reads:
            out.write(read)
    planned = plan(rerun, snakefile=demo.snakefile)
    assert planned.samples == {"no_butyrate"}
    assert {job.rule for job in planned.jobs if not job.sample} == JOINS


def test_another_file_for_one_lane_makes_only_that_sample_again(rerun, demo):
    shutil.copy2(rerun / "reads/community_a_L2_R1.fastq.gz", rerun / "reads/new_R1.fastq.gz")

    def replace(row):
        row["reads1"] = row["reads1"].replace("community_a_L2", "new")

    edit_sheet(rerun, replace)
    planned = plan(rerun, snakefile=demo.snakefile)
    assert planned.samples == {"community_a"}
    assert [job.run for job in planned.of("ingest_reads")] == ["L2"]
    assert {job.rule for job in planned.jobs if not job.sample} == JOINS


def test_new_sample_leaves_the_others_as_they_are(rerun, demo):
    shutil.copy2(rerun / "reads/no_butyrate_1.fastq.gz", rerun / "reads/new.fastq.gz")
    path = rerun / "config/samples.tsv"
    write_sheet(path, [*read_sheet(path), {"sample": "new", "reads1": "reads/new.fastq.gz"}])
    planned = plan(rerun, snakefile=demo.snakefile)
    assert planned.samples == {"new"}
    assert {job.rule for job in planned.jobs if not job.sample} == JOINS


def test_dropped_sample_only_joins_again(rerun, demo):
    path = rerun / "config/samples.tsv"
    write_sheet(path, [row for row in read_sheet(path) if row["sample"] != "community_a"])
    planned = plan(rerun, snakefile=demo.snakefile)
    assert planned.samples == set()
    assert planned.rules == JOINS


def test_other_scoring_settings_do_not_search_again(rerun, demo):
    (rerun / "config/config.yaml").write_text(
        demo.config + "\nscoring:\n  minimum_positions: 3\n", encoding="utf-8"
    )
    planned = plan(rerun, snakefile=demo.snakefile)
    assert "score_pathways" in planned.rules
    assert planned.rules.isdisjoint({"ingest_reads", "clean_reads", "search_reads"})


def test_other_limits_measure_nothing_again(rerun, demo):
    (rerun / "config/config.yaml").write_text(
        demo.config + "\nlimits:\n  no_lineage: 0.3\n", encoding="utf-8"
    )
    planned = plan(rerun, snakefile=demo.snakefile)
    assert planned.samples == set()
    others = {"join_tables", "join_reads", "join_unserved", "plot_reads"} | COMPARISON
    assert planned.rules == JOINS - others


def configured(rerun, demo, text):
    (rerun / "config/config.yaml").write_text(f"{demo.config}\n{text}\n", encoding="utf-8")
    return plan(rerun, snakefile=demo.snakefile).rules


def test_other_groups_are_compared_without_touching_reads_or_tables(rerun, demo):
    rules = configured(rerun, demo, "cohort:\n  groups: [subject]")
    assert rules == COMPARISON | {"check_outcome"}


def test_measured_metabolites_run_their_own_analysis_only(rerun, demo):
    (rerun / "acids.tsv").write_text("sample\tbutyrate [mM]\ncommunity_a\t1\n", encoding="utf-8")
    rules = configured(rerun, demo, "cohort:\n  metabolites: acids.tsv")
    assert rules == {
        "associate_metabolites", "plot_metabolites", "collect_account", "check_outcome"
    }  # fmt: skip


def test_edited_library_runs_the_scripts_again(rerun, demo):
    with edited(demo.snakefile.parent / "scripts/fermentome/scoring.py"):
        planned = plan(rerun, snakefile=demo.snakefile)
    scripts = {path.stem for path in (ROOT / "scripts").glob("*.py")}
    assert scripts - ON_REQUEST - NOT_ASKED_FOR <= planned.rules
    assert planned.rules.isdisjoint({"index_host", "index_proteins"})
    assert nothing_to_do(rerun, snakefile=demo.snakefile)


def test_edited_adapter_runs_its_rule_again(rerun, demo):
    with edited(demo.snakefile.parent / "scripts/plot_taxa.py"):
        planned = plan(rerun, snakefile=demo.snakefile)
    assert planned.rules == {"plot_taxa", "check_outcome"}


def test_edited_catalogue_scores_every_sample_again(rerun, demo):
    with edited(demo.snakefile.parent / "workflow/resources/pathways.yaml"):
        planned = plan(rerun, snakefile=demo.snakefile)
    for rule in ("assign_fragments", "score_pathways"):
        assert {job.sample for job in planned.of(rule)} == set(SAMPLES)
    assert planned.rules.isdisjoint({"ingest_reads", "sketch_genomes", "index_host"})


def test_every_table_is_plain_for_programs_that_read_it(demo):
    """As many cells in every row, and no quote that a reader of CSV would take for its own."""
    for path in demo.results.rglob("*.tsv"):
        with open(path, encoding="utf-8", newline="") as handle:
            lines = handle.read().split("\n")
        assert lines[-1] == ""
        assert len({line.count("\t") for line in lines[:-1]}) == 1, path
        assert not any("\r" in line for line in lines), path
        cells = [cell for line in lines for cell in line.split("\t")]
        assert not any(cell.startswith('"') for cell in cells), path
