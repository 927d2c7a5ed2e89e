import gzip
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from small_cohort import metadata

from fermentome.cohort.carriers import BY_ORGANISMS
from fermentome.cohort.data import Account
from fermentome.cohort.measures import Measure
from fermentome.cohort.processing import (
    Processing,
    differences_between,
    fits_read_length,
    identify,
    identify_catalogue,
    parse_processing,
    processing_of_run,
    read_processing,
    unit_of,
    write_processing,
)
from fermentome.cohort.reference_cohort import (
    FLOOR,
    Contribution,
    Description,
    coarsen,
    interval_of,
    make_reference,
    median_of,
    read_reference,
    write_reference,
)
from fermentome.errors import CohortError
from fermentome.tables import read_table

ROOT = Path(__file__).resolve().parents[2]
DESCRIPTION = Description(
    "town", "1", "Adults of one town", "doi:10.1000/1", "CC0-1.0", "no antibiotics for a year"
)
FACTS = {
    "trim": {"min_length": 50, "poly_g": True},
    "host": {"reference": {"id": "a" * 64, "name": "chm13", "version": "2"}},
    "taxonomy": {
        "classifier": "sylph",
        "database": {"id": "b" * 64, "name": "gtdb", "version": "r226"},
        "phenotypes": {"id": "c" * 64},
    },
    "function": {"reference": {"id": "d" * 64, "name": "scfa", "version": "3"}},
    "catalogue": {"version": "2.0.0", "content": "e" * 64},
    "read_length": 150,
}


def processing(source="processing.yaml", **changes):
    """FACTS, with facts changed as `taxonomy__database="other"`; None takes one away."""
    content = {
        section: dict(facts) if isinstance(facts, dict) else facts
        for section, facts in FACTS.items()
    }
    for key, value in changes.items():
        section, _, fact = key.partition("__")
        if not fact:
            content[section] = value
        elif value is None:
            del content[section][fact]
        else:
            content[section][fact] = value
    return parse_processing(content, source)


def measure(name, samples, values, *, unit="copies per genome", scale="log2", limit=0.2, error=0.1):
    values = np.array(values, float)
    below = (values == 0) & (scale == "log2")
    nothing = np.full(len(values), np.nan)
    floors = np.full(len(values), limit / 2) if scale == "log2" else nothing
    return Measure(
        name, unit, scale, tuple(samples), values, np.full(len(values), error), floors, below
    )


def town(people=24, each=1, offset=0):
    """Measures and metadata of people with `each` samples; person p has values p + 1 and up."""
    names = [f"person{p + offset:03d}" for p in range(people) for _ in range(each)]
    samples = [f"sample{i + offset * each:04d}" for i in range(people * each)]
    values = [p + 1 + 0.1 * e for p in range(people) for e in range(each)]
    measures = [
        measure("product:butyrate", samples, values),
        measure("diversity:shannon", samples, values[::-1], unit="nats", scale="linear"),
    ]
    return measures, metadata(samples, subject=names)


def make(measures, sheet, facts=None, account=None, **options):
    return make_reference(
        options.pop("description", DESCRIPTION),
        [Contribution(measures, sheet, facts or processing())],
        account if account is not None else Account("reference"),
        **options,
    )


# --- processing


def test_the_same_facts_are_no_difference_whatever_the_names_of_the_databases():
    renamed = processing(host__reference={"id": "a" * 64, "name": "my copy"})
    assert differences_between(processing(), renamed) == []


@pytest.mark.parametrize(
    ("change", "key", "concerns"),
    [
        ({"host__reference": "none"}, "host.reference", 5),
        ({"trim__min_length": 70}, "trim.min_length", 5),
        ({"taxonomy__classifier": "kraken2"}, "taxonomy.classifier", 2),
        ({"taxonomy__database": {"id": "0" * 64}}, "taxonomy.database", 2),
        ({"taxonomy__phenotypes": {"id": "0" * 64}}, "taxonomy.phenotypes", 1),
        ({"function__reference": {"id": "0" * 64}}, "function.reference", 3),
        ({"catalogue__version": "2.1.0"}, "catalogue.version", 4),
        ({"catalogue__content": "0" * 64}, "catalogue.content", 4),
        # yes is not 1, and a fact that one side does not state is not the same.
        ({"trim__poly_g": 1}, "trim.poly_g", 5),
        ({"trim__min_length": None}, "trim.min_length", 5),
        ({"software": {"fermentome": "0.2"}}, "software.fermentome", 5),
    ],
)
def test_each_fact_that_differs_is_named_with_the_measures_that_it_concerns(change, key, concerns):
    found = differences_between(processing(), processing(**change))
    assert [(difference.key, len(difference.concerns)) for difference in found] == [(key, concerns)]


def test_a_fact_that_values_depend_on_must_be_stated_by_somebody():
    bare = parse_processing({"host": {"reference": "none"}}, "bare.yaml")
    found = {difference.key for difference in differences_between(bare, bare, ["diversity"])}
    assert found == {"taxonomy.classifier", "taxonomy.database"}


def test_facts_that_concern_no_measure_at_hand_are_not_compared():
    other = processing(taxonomy__database="other", function__reference="other")
    found = differences_between(processing(), other, ["product"])
    assert [difference.key for difference in found] == ["function.reference"]
    assert "scfa 3 (id dddddddddddd…) in the reference, other here" in str(found[0])


def test_a_file_without_manifest_is_known_by_its_content(tmp_path):
    (tmp_path / "host.fa").write_text(">a\nACGT\n")
    # printf '>a\nACGT\n' | sha256sum
    known = "ec93753459551ffadb17f616d5e6bd45de641c045083fac84c4fa223987b232b"
    found = identify(tmp_path / "host.fa", "/somewhere/else/human.fa")
    assert found == {"id": known, "name": "human.fa"}
    (tmp_path / "copy.fa").write_text(">a\nACGT\n")
    assert identify(tmp_path / "copy.fa")["id"] == found["id"]
    (tmp_path / "copy.fa").write_text(">a\nACGA\n")
    assert identify(tmp_path / "copy.fa")["id"] != found["id"]


def test_a_database_and_a_file_in_it_are_known_by_the_manifest():
    folder = ROOT / "example/data/reference"
    stated = yaml.safe_load((folder / "manifest.yaml").read_text())
    assert identify(folder)["id"] == stated["id"]
    assert identify(folder / "proteins.faa.gz")["version"] == stated["version"]


def test_a_folder_of_genomes_is_known_by_its_genomes_wherever_it_lies(tmp_path):
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.fna").write_text(">a\nACGT\n")
        (tmp_path / folder / "b.fna.gz").write_bytes(gzip.compress(b">b\nACGT\n", mtime=0))
    (tmp_path / "two" / "notes.txt").write_text("mine")
    assert identify(tmp_path / "one")["id"] == identify(tmp_path / "two")["id"]
    (tmp_path / "two" / "a.fna").rename(tmp_path / "two" / "c.fna")
    assert identify(tmp_path / "one")["id"] != identify(tmp_path / "two")["id"]
    with pytest.raises(CohortError, match="is not there"):
        identify(tmp_path / "three")
    (tmp_path / "four").mkdir()
    with pytest.raises(CohortError, match="neither genomes nor"):
        identify(tmp_path / "four")


def test_an_edit_of_a_catalogue_shows_and_a_comment_does_not(tmp_path):
    for name in ("families", "pathways"):
        (tmp_path / f"{name}.yaml").write_text('version: "2"\nlist: [a]\n')
    files = {name: tmp_path / f"{name}.yaml" for name in ("families", "pathways")}
    before = identify_catalogue(files)
    assert before["version"] == "2"
    files["pathways"].write_text('# Why.\nlist: [a]\nversion: "2"\n')
    assert identify_catalogue(files) == before
    files["pathways"].write_text('version: "2"\nlist: [b]\n')
    assert identify_catalogue(files)["content"] != before["content"]


def run_config():
    config = yaml.safe_load((ROOT / "config/config.yaml").read_text())
    config["function"]["reference"] = str(ROOT / "example/data/reference")
    return config


def record(config, **options):
    resources = ROOT / "workflow/resources"
    catalogue = {
        name: resources / f"{name}.yaml" for name in ("families", "pathways", "single_copy")
    }
    return processing_of_run(config, {}, catalogue, resources / "adapters.fasta", **options)


def test_a_run_records_what_changes_its_numbers_and_nothing_else(tmp_path):
    config = run_config()
    config["taxonomy"]["genomes"] = str(ROOT / "example/data/genomes")
    config["host"]["reference"] = str(ROOT / "example/data/host/host.fa.gz")
    table = tmp_path / "phenotypes.tsv"
    table.write_text("genome\n")
    first = record(config, phenotypes=table)
    assert first.content["host"]["reference"]["name"] == "host.fa.gz"
    assert str(ROOT) not in str(first.content)
    config["taxonomy"]["genomes_per_batch"] = 7
    assert differences_between(first, record(config, phenotypes=table)) == []
    config["taxonomy"]["minimum_ani"] = 90.0
    config["host"]["reference"] = None
    config["function"]["sensitivity"] = "fast"
    found = {difference.key for difference in differences_between(first, record(config))}
    # The second run has no phenotypes.
    assert found == {
        "taxonomy.minimum_ani", "host.reference", "function.sensitivity", "taxonomy.phenotypes",
    }  # fmt: skip


def test_a_database_that_was_replaced_after_the_run_is_noticed(tmp_path):
    used = tmp_path / "used.tsv"
    stated = record(run_config()).content["function"]["reference"]["id"]
    used.write_text(f"key\tid\nhost.reference\tNA\nfunction.reference\t{stated}\n")
    assert record(run_config(), used=used).facts["function.reference"] == stated
    used.write_text(f"key\tid\nfunction.reference\t{'0' * 64}\n")
    with pytest.raises(
        CohortError, match="function.reference: the run used the database of id 000"
    ):
        record(run_config(), used=used)


def test_what_a_run_records_is_read_back_the_same(tmp_path):
    written = replace(record(run_config(), software={"fermentome": "0.1"}), read_length=(90, 110))
    write_processing(written, tmp_path / "p.yaml")
    back = read_processing(tmp_path / "p.yaml")
    assert back.facts == written.facts
    assert back.read_length == (90.0, 110.0)
    write_processing(back, tmp_path / "q.yaml")
    assert (tmp_path / "p.yaml").read_bytes() == (tmp_path / "q.yaml").read_bytes()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("taxonomy: {classifier: sylph}", "'host' is a required property"),
        ("host: {reference: null}", "host.reference"),
        ("host: {reference: none}\nread_length: {low: 150, high: 100}", "low is 150"),
        ("host: {reference: none}\nread_length: 0", "read_length"),
        ("- host", "the file"),
        ("a: b: c", "is not YAML"),
    ],
)
def test_a_processing_that_is_wrong_is_refused_with_the_place(tmp_path, text, words):
    (tmp_path / "p.yaml").write_text(text)
    with pytest.raises(CohortError, match=re.escape(words)):
        read_processing(tmp_path / "p.yaml")
    with pytest.raises(CohortError, match="cannot be read"):
        read_processing(tmp_path / "none.yaml")


def test_lengths_within_a_tenth_fit_from_both_sides():
    assert fits_read_length(150, 137)
    assert fits_read_length(137, 150)
    assert not fits_read_length(150, 136)
    assert not fits_read_length(136, 150)


def test_richness_at_a_depth_has_the_depth_in_its_unit():
    rich = measure("diversity:richness_at_depth", ["a"], [3.0], unit="taxa")
    assert unit_of(rich, processing()) is None
    alpha = [
        {"metric": "richness", "depth_reads": 900},
        {"metric": "richness_at_depth", "depth_reads": 500},
        {"metric": "faith_pd_at_depth", "depth_reads": "500"},
        {"metric": "coverage", "depth_reads": None},
    ]
    assert unit_of(rich, processing().with_depth(alpha)) == "taxa in 500 reads"


# --- making


def test_a_reference_is_read_back_as_it_was_made(tmp_path):
    measures, sheet = town(each=3)
    made = make(measures, sheet)
    written = write_reference(made, tmp_path / "town")
    assert written == read_reference(tmp_path / "town")
    assert len(written.id) == 64
    assert written.people == 24
    assert written.samples_per_person == (3.0, 3)
    assert written.read_length == (150.0, 150.0, 150.0)
    # Persons have 1.0, 1.1, 1.2 and so on: the medians are 1.1, 2.1 ...
    medians = written.measures["product:butyrate"].medians
    assert [value.low for value in medians] == [round(p + 1.1, 1) for p in range(24)]
    samples = written.measures["product:butyrate"].samples
    assert [int(value.low) for value in samples] == list(range(1, 25))


def test_the_same_people_in_another_order_give_the_same_bytes(tmp_path):
    measures, sheet = town(each=2)
    write_reference(make(measures, sheet), tmp_path / "one")
    turned = [
        replace(
            m, samples=m.samples[::-1], values=m.values[::-1], errors=m.errors[::-1],
            floors=m.floors[::-1], below=m.below[::-1],
        )
        for m in measures[::-1]
    ]  # fmt: skip
    write_reference(make(turned, sheet.select(sheet.samples[::-1])), tmp_path / "two")
    for name in ("reference_cohort.yaml", "values.tsv"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_nobody_is_named_and_rows_of_two_measures_cannot_be_joined(tmp_path):
    measures, sheet = town(each=2)
    write_reference(make(measures, sheet), tmp_path / "town")
    text = "".join(path.read_text() for path in sorted((tmp_path / "town").iterdir()))
    assert not re.search(r"person\d|sample\d", text)
    rows = read_table(tmp_path / "town" / "values.tsv")
    # Shannon falls where butyrate rises; in the file both rise.
    for name in ("product:butyrate", "diversity:shannon"):
        own = [float(r["low"]) for r in rows if r["measure"] == name and r["of"] == "sample"]
        assert own == sorted(own)
        assert len(own) == 24


@pytest.mark.parametrize(
    ("field", "text", "words"),
    [
        ("description", "With person003 in it", "names 'person003'"),
        ("selection", "All but sample0001.", "names 'sample0001'"),
        ("description", "Sampled on 2024-03-01", "date '2024-03-01'"),
        ("source", "Sent 1.3.2024", "date '1.3.2024'"),
    ],
)
def test_a_text_that_names_people_samples_or_days_is_refused(field, text, words):
    measures, sheet = town()
    with pytest.raises(CohortError, match=re.escape(words)):
        make(measures, sheet, description=replace(DESCRIPTION, **{field: text}))


def test_a_doi_is_no_date():
    measures, sheet = town()
    source = replace(DESCRIPTION, source="doi:10.1038/s41586-019-1237-9")
    assert make(measures, sheet, description=source).people == 24


def test_fewer_people_than_needed_are_refused_however_many_samples_they_have():
    with pytest.raises(CohortError, match="19 people, expected 20"):
        make(*town(people=19, each=5))


def test_a_measure_known_of_too_few_people_is_left_out_and_said():
    measures, sheet = town()
    measures[0].values[:5] = np.nan
    account = Account("reference")
    made = make(measures, sheet, account=account)
    assert list(made.measures) == ["diversity:shannon"]
    said = [entry for entry in account.entries if entry.item == "product:butyrate"]
    assert [(entry.status, entry.subjects) for entry in said] == [("left_out", 19)]


def test_a_sample_without_subject_is_not_the_person_of_its_name():
    measures, sheet = town()
    subjects = [*sheet.columns["subject"].values[:-1], None]
    subjects[0] = sheet.samples[-1]
    account = Account("reference")
    made = make(measures, metadata(sheet.samples, subject=subjects), account=account)
    assert made.people == 24
    assert "1 samples have no subject" in account.entries[0].reason


def test_samples_without_subject_count_as_people_and_it_is_said():
    measures, sheet = town()
    account = Account("reference")
    made = make(measures, metadata(sheet.samples), account=account)
    assert made.people == 24
    assert "24 samples have no subject" in account.entries[0].reason


def test_runs_that_were_processed_differently_are_refused_with_all_differences():
    first, second = town(), town(offset=50)
    other = processing(source="second.yaml", host__reference="none", taxonomy__classifier="kraken2")
    parts = [Contribution(*first, processing()), Contribution(*second, other)]
    with pytest.raises(CohortError) as caught:
        make_reference(DESCRIPTION, parts, Account("reference"))
    for words in ("host.reference: chm13 2", "taxonomy.classifier: sylph", "second.yaml"):
        assert words in str(caught.value)


def test_two_runs_processed_alike_make_one_reference_of_what_both_have():
    first, second = town(people=12), town(people=12, offset=50)
    second[0].append(measure("product:acetate", second[1].samples, [1.0] * 12))
    second[0][1] = replace(second[0][1], unit="bits")
    parts = [Contribution(*first, processing()), Contribution(*second, processing())]
    account = Account("reference")
    made = make_reference(DESCRIPTION, parts, account)
    assert made.people == 24
    assert list(made.measures) == ["product:butyrate"]
    reasons = {entry.item: entry.reason for entry in account.entries}
    assert "in 1 of 2 runs" in reasons["product:acetate"]
    assert "bits, nats" in reasons["diversity:shannon"]


def test_a_measure_whose_processing_nobody_states_is_left_out():
    measures, sheet = town()
    genes = [
        measure("carrier:butyrate|A", sheet.samples, [1.0] * 24),
        measure("carrier:butyrate|B", sheet.samples, [1.0] * 24, unit=BY_ORGANISMS),
    ]
    account = Account("reference")
    facts = processing(function__reference=None)
    made = make([*measures, *genes], sheet, facts, account)
    # Carriers by organisms and diversity need no search of genes.
    assert list(made.measures) == ["carrier:butyrate|B", "diversity:shannon"]
    reasons = {entry.item: entry.reason for entry in account.entries}
    assert "function.reference: not stated by processing.yaml" in reasons["product:butyrate"]
    assert "function.reference" in reasons["carrier:butyrate|A"]


def test_one_person_in_two_runs_is_refused():
    parts = [Contribution(*town(), processing()), Contribution(*town(), processing())]
    with pytest.raises(CohortError, match="'person000' is also in"):
        make_reference(DESCRIPTION, parts, Account("reference"))


def test_read_lengths_must_be_known_and_near_each_other():
    measures, sheet = town()
    unknown = processing(read_length=FACTS["read_length"])
    unknown = replace(unknown, read_length=None)
    with pytest.raises(CohortError, match="not known of sample0000, .* and 21 more"):
        make(measures, sheet, unknown)
    lengths = ["150"] * 23 + ["100"]
    mixed = metadata(
        sheet.samples, subject=sheet.columns["subject"].values, mean_clean_read_length=lengths
    )
    with pytest.raises(CohortError, match="sample0023 of 24 differ by more than 10%"):
        make(measures, mixed, unknown)
    near = metadata(
        sheet.samples,
        subject=sheet.columns["subject"].values,
        mean_clean_read_length=["150"] * 23 + ["140"],
    )
    assert make(measures, near, unknown).read_length == (150.0, 140.0, 150.0)


def test_people_are_chosen_by_a_column():
    measures, sheet = town(people=30)
    group = ["well"] * 22 + ["ill"] * 8
    sheet = metadata(sheet.samples, subject=sheet.columns["subject"].values, group=group)
    assert make(measures, sheet, where={"group": "well"}).people == 22
    with pytest.raises(CohortError, match="no sample has 'healthy', found ill, well"):
        make(measures, sheet, where={"group": "healthy"})
    with pytest.raises(CohortError, match="column 'diet' is missing"):
        make(measures, sheet, where={"diet": "any"})


# --- strata


def test_rare_strata_lose_their_names_and_cannot_be_told_from_the_rest():
    # 3 alone would be told by difference, so the smaller of the two others joins them.
    cells = [("f",)] * 14 + [("m",)] * 12 + [("x",)] * 3
    assert coarsen(cells) == [("f",)] * 14 + [()] * 15
    assert coarsen([("f",)] * 14 + [("m",)] * 12) == [("f",)] * 14 + [("m",)] * 12
    assert coarsen([("f",)] * 14 + [()] * 3) == [()] * 17


@given(st.lists(st.sampled_from([("a",), ("b",), ("c",), ()]), max_size=80))
def test_every_named_stratum_has_people_enough_whatever_there_is(cells):
    coarse = coarsen(cells)
    named = {cell: coarse.count(cell) for cell in set(coarse)}
    hidden = named.pop((), 0)
    assert all(people >= FLOOR for people in named.values())
    assert hidden == 0 or hidden >= FLOOR or not named
    assert all(new in ((), old) for new, old in zip(coarse, cells, strict=True))


def test_numbers_become_bands_and_rare_bands_are_not_named(tmp_path):
    measures, sheet = town(people=30)
    ages = ["17"] * 3 + ["18"] * 13 + ["40"] * 14
    sheet = metadata(sheet.samples, subject=sheet.columns["subject"].values, age=ages)
    account = Account("reference")
    made = make(measures, sheet, account=account, strata={"age": (18, 40)})
    back = write_reference(made, tmp_path / "town")
    strata = [value.stratum for value in back.measures["product:butyrate"].samples]
    assert strata == [()] * 16 + [(">=40",)] * 14
    assert "16 people stand without stratum" in account.entries[-1].reason


@pytest.mark.parametrize(
    ("column", "value", "edges", "words"),
    [
        ("visit", "2024-03-01", (), "is a date"),
        ("age", "old", (18,), "'old' is no number"),
        ("age", "20", (40, 18), "growing numbers"),
        ("low", "20", (), "'low' is a column of the values"),
        ("diet", "20", (), "'diet' is missing"),
    ],
)
def test_strata_that_cannot_be_made_or_must_not_be_are_refused(column, value, edges, words):
    measures, sheet = town()
    extra = {} if column == "diet" else {column: [value] * 24}
    sheet = metadata(sheet.samples, subject=sheet.columns["subject"].values, **extra)
    with pytest.raises(CohortError, match=words):
        make(measures, sheet, strata={column: edges})


# --- values


def test_a_value_below_detection_lies_between_zero_and_its_limit():
    # Half the limit stands for zero, so the limit of 0.2 comes back.
    one = measure("product:butyrate", "abc", [0.0, 3.0, np.nan], limit=0.2)
    assert interval_of(one, 0) == (0.0, 0.2)
    assert interval_of(one, 1) == (3.0, 3.0)
    assert np.isnan(interval_of(one, 2)[0])


def test_a_zero_without_any_limit_is_a_zero():
    one = measure("organisms:butyrate", "a", [0.0], limit=np.nan)
    assert interval_of(one, 0) == (0.0, 0.0)


def test_the_median_of_values_below_detection_is_known_as_a_range():
    assert median_of([(0.0, 0.2), (0.0, 0.4), (1.0, 1.0)]) == (0.0, 0.4)
    assert median_of([(0.0, 0.2), (1.0, 1.0), (2.0, 2.0)]) == (1.0, 1.0)


# --- on disk


@pytest.fixture
def folder(tmp_path):
    write_reference(make(*town(each=2)), tmp_path / "town")
    return tmp_path / "town"


def edit(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


@pytest.mark.parametrize(
    ("file", "old", "new", "words"),
    [
        ("reference_cohort.yaml", "people: 24", "people: 240", "it was edited"),
        ("reference_cohort.yaml", "r226", "r232", "it was edited"),
        ("reference_cohort.yaml", "high: 150.0", "high: 151.0", "it was edited"),
        ("reference_cohort.yaml", "people: 24", "people: 19", "less than the minimum of 20"),
        ("reference_cohort.yaml", "licence:", "license:", "license"),
        ("reference_cohort.yaml", "format: 1", "format: 2", "format"),
        ("reference_cohort.yaml", "format: 1", "format: [", "is not YAML"),
        ("values.tsv", "24.1", "2.41", "sha256 is"),
        ("values.tsv", "measure\t", "what\t", "'measure' is missing"),
    ],
)
def test_an_edited_reference_is_refused(folder, file, old, new, words):
    edit(folder / file, old, new)
    with pytest.raises(CohortError, match=words):
        read_reference(folder)


def test_a_wrong_id_is_refused(folder):
    path = folder / "reference_cohort.yaml"
    path.write_text(re.sub(r"^id: \w{64}", "id: " + "0a" * 32, path.read_text(), flags=re.M))
    with pytest.raises(CohortError, match="id is 0a0a"):
        read_reference(folder)


@pytest.mark.parametrize("file", ["reference_cohort.yaml", "values.tsv"])
def test_a_missing_file_is_said(folder, file):
    (folder / file).unlink()
    with pytest.raises(CohortError, match=re.escape(file)):
        read_reference(folder)


def test_values_that_do_not_match_what_is_stated_are_refused_even_with_a_fitting_id(folder):
    from fermentome.cohort.reference_cohort import _identity
    from fermentome.databases.manifest import sha256_of

    values = folder / "values.tsv"
    lines = values.read_text().splitlines(keepends=True)
    values.write_text("".join(lines[:-1]))
    path = folder / "reference_cohort.yaml"
    content = yaml.safe_load(path.read_text()) | {"values_sha256": sha256_of(values)}
    path.write_text(yaml.safe_dump(content | {"id": _identity(content)}))
    with pytest.raises(CohortError, match="product:butyrate, person: 23 people, .* says 24"):
        read_reference(folder)


def test_a_processing_is_part_of_what_the_id_stands_for(tmp_path):
    one = write_reference(make(*town()), tmp_path / "one")
    two = write_reference(make(*town(), processing(host__reference="none")), tmp_path / "two")
    assert one.id != two.id
    assert isinstance(one.processing, Processing)
