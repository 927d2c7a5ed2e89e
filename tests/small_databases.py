"""Database folders of a few kilobytes, one per engine, as the builders would leave them."""

import gzip
import random
import struct

import pysylph

from fermentome.databases.manifest import MANIFEST, Source, write_manifest
from fermentome.databases.verify import KRAKEN2_OPTIONS, installed_version
from fermentome.reference import LabelledProtein, write_proteins

LINEAGE = "d__Bacteria;p__Bacillota;c__Clostridia;o__O;f__F;g__G;s__G {}"
DEFAULTS = {
    "name": "small",
    "version": "1",
    "description": "for a test",
    "licence": "CC0-1.0",
    "sources": [Source("genome.fna", sha256="0" * 64, size=1)],
    "tools": {},
    "parameters": {"c": 50},
    "memory_mb": 100,
}


def describe(folder, kind, engine, **values):
    """Write the manifest of a folder."""
    return write_manifest(folder, kind=kind, engine=engine, **(DEFAULTS | values))


def describe_again(folder, **values):
    """Write a manifest for files that were changed on purpose: what a bad builder would do."""
    from fermentome.databases.manifest import read_manifest

    old = read_manifest(folder)
    (folder / MANIFEST).unlink()
    kept = {key: getattr(old, key) for key in DEFAULTS}
    return write_manifest(folder, kind=old.kind, engine=old.engine, **(kept | values))


def fill(folder, files):
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def letters(alphabet, length, seed):
    return "".join(random.Random(seed).choices(alphabet, k=length))


def make_sylph(folder, genomes=("one", "two"), **values):
    folder.mkdir(parents=True)
    sketcher = pysylph.Sketcher(c=50, k=31)
    names = [f"db/{name}.fna.gz contig 1" for name in genomes]
    sketches = [sketcher.sketch_genome(name, [letters("ACGT", 20_000, name)]) for name in names]
    pysylph.Database(sketches).dump(str(folder / "taxonomy.syldb"))
    lines = ["genome\tlineage", *(f"{name}\t{LINEAGE.format(name)}" for name in genomes)]
    (folder / "lineages.tsv").write_text("\n".join(lines) + "\n")
    tools = {"pysylph": installed_version("pysylph")}
    describe(folder, "taxonomy", "sylph", **({"tools": tools} | values))
    return folder


def kraken2_options(*, is_dna=True, database_version=0):
    return struct.pack(KRAKEN2_OPTIONS, 35, 31, 0, 0, is_dna, 0, 1, database_version, 0)


def make_kraken2(folder, **values):
    # A root, and the root of the tree; layout as in DerrickWood/kraken2, src/taxonomy.h.
    names, ranks = b"\0root\0", b"\0no rank\0"
    nodes = struct.pack("<14Q", *[0] * 7, 0, 0, 0, 1, 1, 1, 0)
    tree = b"K2TAXDAT" + struct.pack("<3Q", 2, len(names), len(ranks)) + nodes + names + ranks
    fill(
        folder,
        {
            "hash.k2d": struct.pack("<4Q", 16, 0, 22, 10) + bytes(16 * 4),
            "opts.k2d": kraken2_options(),
            "taxo.k2d": tree,
        },
    )
    describe(folder, "taxonomy", "kraken2", **({"tools": {"kraken2": "2.1.2"}} | values))
    return folder


def minimap2_index(*, k=21, w=11, sequences=1, flag=0):
    """Header of an index as in lh3/minimap2, index.c; what follows is not looked at."""
    return b"MMI\2" + struct.pack("<5I", w, k, 14, sequences, flag) + bytes(64)


def make_host(folder, version="1", **values):
    text = f">chr{version}\n{letters('ACGT', 500, version)}\n".encode()
    files = {"host.fa.gz": gzip.compress(text, mtime=0), "host.mmi": minimap2_index()}
    fill(folder, files)
    tools = {"minimap2": installed_version("minimap2") or "2.24-r1122"}
    describe(folder, "host", "minimap2", **({"version": version, "tools": tools} | values))
    return folder


def make_scfa(folder, **values):
    proteins = [
        LabelledProtein(f"ACC{n}", "but", letters("ACDEFGHIK", 50 + n, n), "test") for n in range(4)
    ]
    folder.mkdir(parents=True)
    write_proteins(folder, proteins)
    describe(folder, "scfa_proteins", "diamond", **values)
    return folder


MAKERS = {
    "sylph": make_sylph,
    "kraken2": make_kraken2,
    "minimap2": make_host,
    "diamond": make_scfa,
}
