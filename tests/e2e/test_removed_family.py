"""A family that the reference lacks must not become another family's call."""

import gzip
import subprocess

import pytest
from snakemake_runs import ROOT

from fermentome.catalogue import load_catalogue
from fermentome.command_genomes import SEARCH
from fermentome.defaults import catalogue_files
from fermentome.genomes import HIT_COLUMNS, TABLES, call_batch, score_genomes
from fermentome.tables import read_table, write_table

EXAMPLE = ROOT / "example/data"
REFERENCE = EXAMPLE / "reference"


class Genomes:
    """The example's genomes, searched once; scored with any families left out."""

    def __init__(self, folder):
        self.folder = folder
        self.proteins = read_table(REFERENCE / "proteins.tsv")
        self.family = {row["protein"]: row["family"] for row in self.proteins}
        self.genes, self.called = folder / "genes.faa.gz", folder / "called.tsv"
        call_batch(sorted((EXAMPLE / "genomes").glob("*.fna.gz")), self.genes, self.called, 2)
        index = folder / "proteins.dmnd"
        fasta = REFERENCE / "proteins.faa.gz"
        run = ["diamond", "makedb", "--in", fasta, "--db", index, "--quiet"]
        subprocess.run(run, check=True)
        search = ["diamond", "blastp", "--query", self.genes, "--db", index, *SEARCH,
                  "--threads", "2", "--quiet", "--outfmt", "6", *HIT_COLUMNS]  # fmt: skip
        done = subprocess.run(search, check=True, capture_output=True, text=True)
        self.hits = [line.split("\t") for line in done.stdout.splitlines()]

    def present(self, removed=()):
        """Present (genome, pathway) when the reference does not hold some families."""
        kept = [row for row in self.proteins if row["family"] not in removed]
        table = self.folder / "proteins.tsv"
        write_table(table, list(kept[0]), kept)
        hits = self.folder / "hits.tsv.gz"
        with gzip.open(hits, "wt") as handle:
            for fields in self.hits:
                if self.family[fields[1]] not in removed:
                    handle.write("\t".join(fields) + "\n")
        tables = {name: self.folder / f"{name}.tsv" for name in TABLES}
        score_genomes(
            self.called,
            self.genes,
            hits,
            table,
            EXAMPLE / "lineages.tsv",
            catalogue_files(),
            tables,
        )
        rows = read_table(tables["pathways"])
        return {(r["genome"], r["pathway"]) for r in rows if r["call"] == "present"}


@pytest.fixture(scope="module")
def genomes(tools, tmp_path_factory):
    return Genomes(tmp_path_factory.mktemp("removed"))


def markers():
    """Marker families of the reported routes that the example's reference holds."""
    held = {row["family"] for row in read_table(REFERENCE / "proteins.tsv")}
    routes = [p for p in load_catalogue(catalogue_files()).pathways.values() if p.reported]
    return sorted(held & {f for p in routes for group in p.required_markers for f in group})


def test_a_removed_family_never_becomes_another_call(genomes):
    whole = genomes.present()
    routes = load_catalogue(catalogue_files()).pathways
    assert whole
    for family in markers():
        found = genomes.present({family})
        assert found <= whole, family
        # A route that cannot do without the family is gone.
        needing = {
            name
            for name, route in routes.items()
            if route.required_markers and all(family in group for group in route.required_markers)
        }
        assert not {pair for pair in found if pair[1] in needing}, family
