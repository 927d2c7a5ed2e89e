"""Run the six real stool samples and check what is known of them.

Builds the protein and the taxonomic reference from the shared data, runs the workflow in
``real/`` and asserts what must hold. Prints wall time, peak memory and the share of reads
classified, per stage, from Snakemake's benchmarks, and writes them to ``real/stages.tsv``.
"""

import argparse
import os
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

from fermentome.tables import parse_number, read_table, write_table  # noqa: E402

SAMPLES = {
    "ERR878216": "paired",
    "SRR769403_mgx": "paired",
    "metawibele1": "paired",
    "ERR10889147": "paired",
    "stag_hostrich1": "paired",
    "HD48R4_SE": "single",
}
# The mini reference stands for the host: enough to see reads leave, not for real removal.
HOST = ("hg38_mini.fa.gz", "GRCh38_chr10_slice.fa.gz", "human_mtDNA.fa.gz")


def write_inputs(data: Path, folder: Path) -> None:
    """Write sample sheet, configuration and host reference of the run."""
    (folder / "config").mkdir(parents=True, exist_ok=True)
    reads = data / "reads"
    lines = ["sample\trun\treads1\treads2\tsubject\ttimepoint\tgroup"]
    for sample, layout in SAMPLES.items():
        if layout == "paired":
            files = f"{reads / sample}_R1.fastq.gz\t{reads / sample}_R2.fastq.gz"
        else:
            files = f"{reads / sample}.fastq.gz\t"
        lines.append(f"{sample}\t1\t{files}\t{sample}\t\t")
    (folder / "config/samples.tsv").write_text("\n".join(lines) + "\n")
    with (folder / "host.fa.gz").open("wb") as out:
        for name in HOST:
            out.write((data / "host" / name).read_bytes())
    (folder / "config/config.yaml").write_text(
        "host:\n  reference: host.fa.gz\n"
        "taxonomy:\n  genomes: reference/taxonomy/genomes\n"
        "  lineages: reference/taxonomy/lineages.tsv\n"
        "function:\n  reference: reference/reference\n"
    )


class Results:
    """Tables of the finished run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.pathways = read_table(folder / "results/tables/pathways.tsv")
        self.families = read_table(folder / "results/tables/families.tsv")
        self.taxa = read_table(folder / "results/tables/taxa.tsv")
        self.status = read_table(folder / "results/status.tsv")
        self.reads = {row["sample"]: row for row in read_table(folder / "results/tables/reads.tsv")}

    def call(self, sample: str, pathway: str) -> str:
        """Call of a pathway in the community."""
        return next(
            row["call"]
            for row in self.pathways
            if (row["sample"], row["pathway"], row["taxon"]) == (sample, pathway, "community")
        )

    def fragments(self, sample: str, family: str) -> float:
        """Fragments of a family in the community."""
        return next(
            parse_number(row["fragments"])
            for row in self.families
            if (row["sample"], row["family"], row["taxon"]) == (sample, family, "community")
        )

    def carriers(self, sample: str, pathway: str) -> dict[str, float]:
        """Copies of a pathway by genus."""
        return {
            row["taxon"]: parse_number(row["copies_per_genome"])
            for row in self.pathways
            if (row["sample"], row["pathway"]) == (sample, pathway) and row["taxon"] != "community"
        }

    def species(self, sample: str) -> dict[str, float]:
        """Relative abundance by taxon, the unclassified share included."""
        return {
            row["taxon"]: parse_number(row["relative_abundance"])
            for row in self.taxa
            if row["sample"] == sample
        }

    def stage(self, sample: str, stage: str) -> str:
        """Status of a stage."""
        return next(
            row["status"] for row in self.status if (row["sample"], row["stage"]) == (sample, stage)
        )


def checks(results: Results) -> list[tuple[str, bool, str]]:
    """What must hold: what is claimed, whether it holds, what was seen."""
    found = []

    def check(claim: str, holds: bool, seen: object) -> None:
        found.append((claim, holds, str(seen)))

    adult, infant = "ERR878216", "ERR10889147"
    but = results.carriers(adult, "BUT_ACOA_BUT")
    named = {genus: value for genus, value in but.items() if genus != "unassigned"}
    main = sum(named.get(genus, 0.0) for genus in ("Faecalibacterium", "Agathobacter"))
    check(f"{adult}: but route present", results.call(adult, "BUT_ACOA_BUT") == "present",
          results.call(adult, "BUT_ACOA_BUT"))  # fmt: skip
    check(f"{adult}: but route mostly in Faecalibacterium and Agathobacter",
          bool(named) and main > sum(named.values()) / 2, but)  # fmt: skip
    call = results.call(adult, "PROP_SUCC_DEC")
    # Present with the reference of catalogue 0.1.0, by two reads that were no epimerase; see the
    # changelog.
    seen = {name: results.fragments(adult, name) for name in ("mmdA", "mut")}
    check(f"{adult}: mmdA and mutase seen, their route present or below detection",
          min(seen.values()) > 0 and call in {"present", "below_detection"},
          [seen, call])  # fmt: skip
    species = results.species(adult)
    for name in ("Faecalibacterium prausnitzii", "Segatella copri", "Bifidobacterium adolescentis"):
        check(f"{adult}: {name} found", name in species, species)
    for pathway in ("BUT_ACOA_BUT", "BUT_ACOA_BUK", "BUT_GLUTARATE", "BUT_4AB", "BUT_LYS"):
        call = results.call(infant, pathway)
        check(f"{infant}: {pathway} absent or below detection",
              call in {"absent", "below_detection"}, call)  # fmt: skip
    call = results.call(infant, "ACE_BIFID")
    check(f"{infant}: bifid shunt present", call == "present", call)
    species = results.species(infant)
    known = {name: value for name, value in species.items() if name != "unclassified"}
    top = max(known, key=known.__getitem__, default="")
    check(f"{infant}: Bifidobacterium longum on top", top == "Bifidobacterium longum", species)
    for pathway in ("PROP_SUCC_DEC", "PROP_SUCC_TC"):
        call = results.call(infant, pathway)
        check(f"{infant}: carboxylase of Bifidobacterium makes no {pathway}",
              call in {"absent", "below_detection"}, call)  # fmt: skip
    shallow = results.stage("SRR769403_mgx", "taxonomy")
    check("SRR769403_mgx: marked shallow", shallow == "low_depth", shallow)
    left = results.stage("stag_hostrich1", "pathways")
    calls = {
        row["call"]
        for row in results.pathways
        if (row["sample"], row["taxon"]) == ("stag_hostrich1", "community")
    }
    marked = left in {"low_depth", "empty"} and not calls & {"present", "absent"}
    check("stag_hostrich1: ends almost empty and is marked so", marked, (left, calls))
    single = results.reads["HD48R4_SE"]
    alone = single["clean_pairs"] == "0" and int(single["clean_single_reads"]) > 0
    check("HD48R4_SE: runs as single end", alone, single)
    return found


def stages(folder: Path, output: Path) -> list[dict[str, str]]:
    """Wall time and peak memory of each rule over all its jobs."""
    seconds: dict[str, float] = defaultdict(float)
    memory: dict[str, float] = defaultdict(float)
    jobs: dict[str, int] = defaultdict(int)
    for path in sorted((folder / "benchmarks").rglob("*.tsv")):
        rule = path.relative_to(folder / "benchmarks").parts[0].removesuffix(".tsv")
        for row in read_table(path):
            jobs[rule] += 1
            seconds[rule] += float(row["s"])
            memory[rule] = max(memory[rule], parse_number(row["max_rss"].replace("-", "NA")))
    columns = ["rule", "jobs", "wall_seconds", "peak_memory_mb"]
    rows = [
        {
            "rule": rule,
            "jobs": jobs[rule],
            "wall_seconds": round(seconds[rule], 1),
            "peak_memory_mb": round(memory[rule], 1),
        }
        for rule in sorted(jobs)
    ]
    write_table(output, columns, rows)
    return read_table(output)


def main() -> None:
    """Build, run, check, report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared/data")
    parser.add_argument("--folder", type=Path, default=ROOT / "real")
    parser.add_argument("--cores", default=str(os.cpu_count() or 1))
    options = parser.parse_args()
    if not (options.data / "reads").is_dir():
        print(f"real: skipped, there is no {options.data}/reads on this machine")
        return
    options.folder.mkdir(parents=True, exist_ok=True)
    write_inputs(options.data.resolve(), options.folder)
    started = time.monotonic()
    if not (options.folder / "reference/reference/manifest.yaml").is_file():
        print("real: building the references", flush=True)
        subprocess.run(
            [sys.executable, str(ROOT / "benchmarks/real/build_reference.py"),
             "--data", str(options.data.resolve()), "--out", str(options.folder / "reference"),
             "--threads", options.cores],
            check=True,
        )  # fmt: skip
    built = time.monotonic()
    subprocess.run(
        [str(Path(sys.executable).with_name("snakemake")), "--snakefile", str(ROOT / "Snakefile"),
         "--cores", options.cores, "--rerun-incomplete"],
        cwd=options.folder,
        check=True,
    )  # fmt: skip
    print(f"real: references {built - started:.0f} s, workflow {time.monotonic() - built:.0f} s")
    for row in stages(options.folder, options.folder / "stages.tsv"):
        print("  {rule:20} {jobs:>3} jobs {wall_seconds:>7} s {peak_memory_mb:>7} MB".format(**row))
    results = Results(options.folder)
    write_table(
        options.folder / "classified.tsv",
        ["sample", "stage", "status", "reads_in", "reads_out"],
        [
            {key: row[key] for key in ("sample", "stage", "status", "reads_in", "reads_out")}
            for row in results.status
        ],
    )
    print("share of clean reads whose species is known, and share that hit the proteins:")
    for row in results.status:
        if row["stage"] in {"taxonomy", "function"} and row["reads_in"] not in {"0", "NA"}:
            share = int(row["reads_out"]) / int(row["reads_in"])
            print(f"  {row['sample']:16} {row['stage']:9} {share:.3f} ({row['status']})")
    failed = 0
    found = checks(results)
    write_table(
        options.folder / "checks.tsv",
        ["claim", "holds"],
        [{"claim": claim, "holds": holds} for claim, holds, _ in found],
    )
    for claim, holds, seen in found:
        print(f"  {'holds ' if holds else 'FAILS '} {claim}" + ("" if holds else f"; seen: {seen}"))
        failed += not holds
    if failed:
        sys.exit(f"real: {failed} of the known facts do not hold")


if __name__ == "__main__":
    main()
