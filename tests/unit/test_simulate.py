"""Simulated reads: exact amounts, honest errors, adapters where fragments end, repeatable bytes."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from fermentome.simulate import (
    TRUSEQ,
    Genome,
    ReadModel,
    SimulationError,
    expected_copies,
    fragment_counts,
    normalised,
    read_genome,
    simulate_run,
)

LETTERS = "ACGT"


def random_genome(name: str, length: int, seed: int, *, circular: bool = True) -> Genome:
    codes = np.random.default_rng(seed).integers(0, 4, length).astype(np.uint8)
    return Genome(name, (codes,), circular)


def text_of(genome: Genome) -> str:
    return "".join(LETTERS[code] for contig in genome.contigs for code in contig)


def reverse_complement(sequence: str) -> str:
    return sequence[::-1].translate(str.maketrans("ACGT", "TGCA"))


def records(path: Path) -> list[tuple[str, str, str]]:
    lines = gzip.decompress(path.read_bytes()).decode("ascii").splitlines()
    assert len(lines) % 4 == 0
    return [(lines[i], lines[i + 1], lines[i + 3]) for i in range(0, len(lines), 4)]


def test_same_seed_gives_same_bytes_and_another_seed_gives_others(tmp_path: Path) -> None:
    genome = random_genome("g", 5000, 1)
    for name, seed in (("a", 7), ("b", 7), ("c", 8)):
        simulate_run([genome], {"g": 1.0}, ReadModel(), 300, seed, tmp_path / f"{name}.fastq.gz")
    written = [(tmp_path / f"{name}.fastq.gz").read_bytes() for name in "abc"]
    assert written[0] == written[1]
    assert written[0] != written[2]


def test_gzip_header_holds_neither_time_nor_name(tmp_path: Path) -> None:
    path = tmp_path / "r.fastq.gz"
    simulate_run([random_genome("g", 1000, 1)], {"g": 1.0}, ReadModel(), 5, 1, path)
    header = path.read_bytes()[:10]
    # Byte 3 holds the flags (a name would set one), bytes 4 to 7 the time.
    assert header[3:8] == bytes(5)


def test_error_free_mates_are_the_two_ends_of_one_fragment(tmp_path: Path) -> None:
    genome = random_genome("g", 3000, 2, circular=False)
    model = ReadModel(
        read_length=50, insert_mean=120, insert_sd=0, insert_min=35, error_first=0, error_last=0
    )
    one, two = tmp_path / "1.fastq.gz", tmp_path / "2.fastq.gz"
    simulate_run([genome], {"g": 1.0}, model, 40, 3, one, two)
    sequence = text_of(genome)
    for (_, first, _), (_, second, _) in zip(records(one), records(two), strict=True):
        start = sequence.find(first)
        if start >= 0:
            fragment = sequence[start : start + 120]
        else:
            end = sequence.find(reverse_complement(first)) + 50
            fragment = reverse_complement(sequence[end - 120 : end])
        assert len(fragment) == 120
        assert first == fragment[:50]
        assert second == reverse_complement(fragment)[:50]


def test_both_strands_are_read(tmp_path: Path) -> None:
    genome = random_genome("g", 3000, 2, circular=False)
    path = tmp_path / "r.fastq.gz"
    model = ReadModel(error_first=0, error_last=0)
    simulate_run([genome], {"g": 1.0}, model, 400, 3, path)
    forward = sum(read in text_of(genome) for _, read, _ in records(path))
    # 400 fair coins: a mean of 200 and a standard deviation of 10.
    assert 150 < forward < 250


def test_short_fragment_is_read_into_the_adapter_and_then_into_no_signal(tmp_path: Path) -> None:
    genome = random_genome("g", 3000, 4, circular=False)
    model = ReadModel(
        read_length=100, insert_mean=40, insert_sd=0, insert_min=35, error_first=0, error_last=0
    )
    one, two = tmp_path / "1.fastq.gz", tmp_path / "2.fastq.gz"
    simulate_run([genome], {"g": 1.0}, model, 10, 5, one, two)
    for (_, first, _), (_, second, _) in zip(records(one), records(two), strict=True):
        # 40 bases of fragment, 33 of adapter, and 27 G where a two-colour instrument sees nothing.
        assert first[40:] == TRUSEQ.read1 + 27 * "G"
        assert second[40:] == TRUSEQ.read2 + 27 * "G"
        assert second[:40] == reverse_complement(first[:40])


def test_share_of_reads_with_adapter_follows_the_insert_lengths(tmp_path: Path) -> None:
    genome = random_genome("g", 50_000, 6)
    # The quartile of a normal distribution lies 0.6745 standard deviations below its mean.
    model = ReadModel(insert_mean=200, insert_sd=50 / 0.6745, error_first=0, error_last=0)
    path = tmp_path / "r.fastq.gz"
    simulate_run([genome], {"g": 1.0}, model, 4000, 7, path)
    doubled = text_of(genome) + text_of(genome)[:1000]
    both = doubled + "|" + reverse_complement(doubled)
    through = sum(read not in both for _, read, _ in records(path))
    # A standard deviation of 0.7 %; an insert of 149 may end in a base that fits the genome.
    assert through / 4000 == pytest.approx(0.25, abs=0.03)


def test_error_rate_is_the_one_asked_for_and_rises_along_the_read(tmp_path: Path) -> None:
    # All A, so that a read is all A or all T and every other letter is an error.
    genome = Genome("g", (np.zeros(5000, dtype=np.uint8),))
    model = ReadModel(read_length=100, error_first=0.0, error_last=0.04)
    path = tmp_path / "r.fastq.gz"
    simulate_run([genome], {"g": 1.0}, model, 5000, 8, path)
    wrong = np.zeros(100)
    for _, read, _ in records(path):
        truth = max("AT", key=read.count)
        wrong += np.array([base != truth for base in read])
    # Mean of a line from 0 to 0.04 is 0.02; the halves have means of 0.01 and 0.03.
    assert wrong.sum() / 500_000 == pytest.approx(0.02, rel=0.05)
    assert wrong[:50].sum() / 250_000 == pytest.approx(0.01, rel=0.1)
    assert wrong[50:].sum() / 250_000 == pytest.approx(0.03, rel=0.1)
    assert wrong[0] == 0


def test_qualities_are_binned_and_lower_where_errors_are_likelier(tmp_path: Path) -> None:
    path = tmp_path / "r.fastq.gz"
    model = ReadModel(read_length=80, error_first=0.0001, error_last=0.05)
    simulate_run([random_genome("g", 2000, 1)], {"g": 1.0}, model, 500, 9, path)
    marks = [[ord(mark) - 33 for mark in quality] for _, _, quality in records(path)]
    assert {value for row in marks for value in row} <= {11, 25, 37}
    assert sum(row[0] for row in marks) > sum(row[-1] for row in marks)


def test_fragments_are_shared_out_by_cells_times_length(tmp_path: Path) -> None:
    # Equal cells, lengths 1:3, so 25 and 75 of 100 fragments.
    genomes = [random_genome("short", 2000, 1), random_genome("long", 6000, 2)]
    truth = simulate_run(
        genomes, {"short": 0.5, "long": 0.5}, ReadModel(), 100, 1, tmp_path / "r.fastq.gz"
    )
    assert truth.fragments == {"short": 25, "long": 75}
    assert truth.host_fraction == 0


def test_reads_hold_what_the_truth_says_of_genomes_and_host(tmp_path: Path) -> None:
    genomes = [random_genome("a", 4000, 1), random_genome("b", 4000, 2)]
    host = random_genome("host", 9000, 3)
    path = tmp_path / "r.fastq.gz"
    model = ReadModel(error_first=0, error_last=0)
    # More fragments than one chunk, so that sharing out over chunks is tested too. 20 % of 5000
    # are the host's, and the other 4000 go 1:3.
    truth = simulate_run(
        genomes, {"a": 1.0, "b": 3.0}, model, 5000, 11, path, host=host, host_share=0.2
    )
    assert truth.fragments == {"a": 1000, "b": 3000}
    assert truth.host_fragments == 1000
    assert truth.host_fraction == pytest.approx(0.2)
    found = dict.fromkeys(("a", "b", "host"), 0)
    texts = {}
    for genome in (*genomes, host):
        wrapped = text_of(genome) + text_of(genome)[:1000]
        texts[genome.name] = wrapped + "|" + reverse_complement(wrapped)
    for _, read, _ in records(path):
        for name, text in texts.items():
            found[name] += read[:100] in text
    assert found == {"a": 1000, "b": 3000, "host": 1000}


def test_sources_are_mixed_from_the_start_and_names_do_not_tell_them(tmp_path: Path) -> None:
    genomes = [random_genome("first", 4000, 1), random_genome("second", 4000, 2)]
    path = tmp_path / "r.fastq.gz"
    model = ReadModel(error_first=0, error_last=0)
    simulate_run(genomes, {"first": 1.0, "second": 1.0}, model, 200, 11, path)
    wrapped = text_of(genomes[0]) + text_of(genomes[0])[:500]
    both = wrapped + "|" + reverse_complement(wrapped)
    written = records(path)
    # A fair draw of 100 from 200 of which 100 are of the first genome: 50 give or take 3.5.
    assert 30 < sum(read in both for _, read, _ in written[:100]) < 70
    names = [name for name, _, _ in written]
    assert len(set(names)) == 200
    assert not any("first" in name or "second" in name for name in names)


def test_mates_have_one_name_and_their_numbers(tmp_path: Path) -> None:
    one, two = tmp_path / "1.fastq.gz", tmp_path / "2.fastq.gz"
    genome = random_genome("g", 2000, 1)
    simulate_run([genome], {"g": 1.0}, ReadModel(), 20, 1, one, two, lane=2)
    for (first, _, _), (second, _, _) in zip(records(one), records(two), strict=True):
        assert first.split()[0] == second.split()[0]
        assert first.split(":")[3] == "2"
        assert (first.split()[1][0], second.split()[1][0]) == ("1", "2")


def test_fragments_of_a_linear_contig_stay_within_it(tmp_path: Path) -> None:
    genome = random_genome("g", 160, 5, circular=False)
    path = tmp_path / "r.fastq.gz"
    # Fragments would be 300 bases; the contig cuts them to 160.
    simulate_run([genome], {"g": 1.0}, ReadModel(error_first=0, error_last=0), 30, 1, path)
    both = text_of(genome) + "|" + reverse_complement(text_of(genome))
    assert all(read in both for _, read, _ in records(path))


def test_no_fragments_give_an_empty_valid_file(tmp_path: Path) -> None:
    path = tmp_path / "r.fastq.gz"
    truth = simulate_run([random_genome("g", 500, 1)], {"g": 1.0}, ReadModel(), 0, 1, path)
    assert records(path) == []
    assert truth.fragments == {"g": 0}


def test_rounding_keeps_the_total_and_favours_the_largest_remainder() -> None:
    # 10 fragments by thirds are 3.33 each; the one left over goes to the name that sorts first.
    assert fragment_counts({"b": 1.0, "a": 1.0, "c": 1.0}, 10) == {"b": 3, "a": 4, "c": 3}


def test_expected_copies_weigh_genomes_by_their_cells() -> None:
    copies = {"x": {"but": 1, "pta": 2}, "y": {"pta": 1}}
    # but: 0.25 x 1; pta: 0.25 x 2 + 0.75 x 1.
    assert expected_copies({"x": 1.0, "y": 3.0}, copies) == {"but": 0.25, "pta": 1.25}


def test_abundances_must_be_usable() -> None:
    with pytest.raises(SimulationError, match="at least one above zero"):
        normalised({"a": 0.0})
    with pytest.raises(SimulationError, match="none negative"):
        normalised({"a": 2.0, "b": -1.0})
    with pytest.raises(SimulationError, match="'ghost' has an abundance but no family copies"):
        expected_copies({"ghost": 1.0}, {})


def test_wrong_settings_are_refused_by_name(tmp_path: Path) -> None:
    genome = random_genome("g", 500, 1)
    with pytest.raises(SimulationError, match="'ghost': no such genome"):
        simulate_run([genome], {"ghost": 1.0}, ReadModel(), 1, 1, tmp_path / "r.fastq.gz")
    with pytest.raises(SimulationError, match=r"host_share is 0\.5 with host None"):
        simulate_run(
            [genome], {"g": 1.0}, ReadModel(), 1, 1, tmp_path / "r.fastq.gz", host_share=0.5
        )
    with pytest.raises(SimulationError, match="read_length is 0"):
        ReadModel(read_length=0)
    with pytest.raises(SimulationError, match="insert_min 400"):
        ReadModel(insert_min=400)
    with pytest.raises(SimulationError, match=r"error rate 1\.5"):
        ReadModel(error_last=1.5)


@pytest.mark.parametrize("packed", [False, True])
def test_genome_is_read_from_fasta_with_its_name(tmp_path: Path, packed: bool) -> None:
    content = b">one text\nACG\nt\n>two\nGG\n"
    path = tmp_path / ("bug.fna.gz" if packed else "bug.fna")
    path.write_bytes(gzip.compress(content) if packed else content)
    genome = read_genome(path)
    assert genome.name == "bug"
    assert [contig.tolist() for contig in genome.contigs] == [[0, 1, 2, 3], [2, 2]]
    assert genome.length == 6


@pytest.mark.parametrize(
    ("content", "message"),
    [(b">x\nACNT\n", "record 'x'"), (b">x\n", "record 'x'"), (b"", "no FASTA record")],
)
def test_genome_with_other_letters_or_none_is_refused(
    tmp_path: Path, content: bytes, message: str
) -> None:
    path = tmp_path / "bad.fa"
    path.write_bytes(content)
    with pytest.raises(SimulationError, match=message):
        read_genome(path)
