import json

import pytest

from fermentome.errors import ReadsError
from fermentome.flow import (
    RunFlow,
    content_given_twice,
    count_clean,
    flow_row,
    merge_runs,
    read_flow,
    read_status_rows,
    read_statuses,
    summarise_reads,
    write_flow,
    write_statuses,
)


def run(
    name="1", layout="paired", status="ok", reason="", raw=100, trimmed=90, clean=40, bases=8000
):
    return RunFlow(name, layout, status, reason, raw, trimmed, clean, bases)


def test_mates_count_as_reads_and_pairs_as_fragments():
    flow = merge_runs("s", [run(), run("2", "single", raw=50, trimmed=50, clean=50, bases=5000)])
    assert flow.raw_reads == 150
    assert flow.clean_reads == 40 * 2 + 50
    assert (flow.paired_fragments, flow.single_fragments) == (40, 50)
    assert flow.read_length == 13000 / 130


def test_one_unusable_run_stops_the_sample_and_names_the_run():
    flow = merge_runs("s", [run(), run("L2", status="failed", reason="record 7 is cut off")])
    statuses = read_statuses(flow, has_host=True)
    assert [row.status for row in statuses] == ["failed"] * 3
    assert statuses[0].reason == "run L2: record 7 is cut off"
    assert flow_row(flow)["clean_reads"] is None


def test_empty_run_beside_a_full_one_does_not_empty_the_sample():
    empty = run("2", status="empty", raw=0, trimmed=0, clean=0, bases=0)
    assert merge_runs("s", [run(), empty]).status == "ok"
    assert merge_runs("s", [empty]).status == "empty"


def test_sample_that_is_all_host_is_empty_from_the_host_stage_on():
    flow = merge_runs("s", [run(clean=0, bases=0)])
    assert [(row.stage, row.status) for row in read_statuses(flow, has_host=True)] == [
        ("ingest", "ok"),
        ("trim", "ok"),
        ("host", "empty"),
    ]


def test_missing_host_reference_is_said():
    assert "no host reference" in read_statuses(merge_runs("s", [run()]), has_host=False)[2].reason


def write_reads(path, records):
    path.write_text("".join(f"@{name}\nACGT\n+\nIIII\n" for name in records))
    return path


def test_odd_number_of_interleaved_reads_is_an_error(tmp_path):
    path = write_reads(tmp_path / "a.fastq", ["r:1/1", "r:1/2", "r:2/1"])
    with pytest.raises(ReadsError, match="3 reads, an even number"):
        count_clean(path, "paired")
    assert count_clean(path, "single") == (3, 12)


def test_counts_survive_their_file(tmp_path):
    flow = merge_runs("001", [run()])
    write_flow(tmp_path / "f.json", flow)
    assert read_flow(tmp_path / "f.json") == flow


def test_summary_of_files(tmp_path):
    reads = write_reads(tmp_path / "c.fastq", ["1:1/1", "1:1/2"])
    report = {"run": "1", "layout": "paired", "status": "ok", "reason": "", "reads": 6, "files": []}
    (tmp_path / "r.json").write_text(json.dumps(report))
    (tmp_path / "t.json").write_text(
        json.dumps({"summary": {"after_filtering": {"total_reads": 4}}})
    )
    summarise_reads(
        "s", [tmp_path / "r.json"], [tmp_path / "t.json"], [reads], True,
        tmp_path / "f.json", tmp_path / "s.tsv",
    )  # fmt: skip
    assert flow_row(read_flow(tmp_path / "f.json"))["host_reads"] == 2
    assert [row["reads_out"] for row in read_status_rows([tmp_path / "s.tsv"])] == ["6", "4", "2"]


def test_lane_given_twice_under_two_names_is_found():
    def report(run, digest, reads=8):
        return {"run": run, "reads": reads, "files": [{"path_name": f"{run}.fq", "sha256": digest}]}

    assert "L1.fq of run L1 and L2.fq of run L2" in content_given_twice(
        [report("L1", "aa"), report("L2", "aa")]
    )
    assert content_given_twice([report("L1", "aa"), report("L2", "bb")]) == ""
    assert content_given_twice([report("L1", "aa", 0), report("L2", "aa", 0)]) == ""


def test_ledger_is_sorted_by_sample_and_stage(tmp_path):
    write_statuses(tmp_path / "b.tsv", read_statuses(merge_runs("b", [run()]), True)[::-1])
    write_statuses(tmp_path / "a.tsv", read_statuses(merge_runs("a", [run()]), True))
    rows = read_status_rows([tmp_path / "b.tsv", tmp_path / "a.tsv"])
    assert [(row["sample"], row["stage"]) for row in rows] == [
        (sample, stage) for sample in "ab" for stage in ("ingest", "trim", "host")
    ]
