"""Measure how often a short piece of a protein names its genus, and how often a wrong one.

Cuts pieces out of the reference proteins whose genus is known, searches them in the reference
and applies the rule of ``fermentome.assign.genus_of``: once without the protein itself (its
genus may still be there), once without its whole genus (no answer can be right). Writes
``genus.tsv`` beside this file; with it the identity and the length of an alignment that may
name a genus were chosen.

Usage: ``measure.py --reference FOLDER`` (protein reference, as ``make real`` builds it)
"""

import argparse
import random
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

from fermentome.assign import NEAR_BEST  # noqa: E402
from fermentome.lineage import RANKS, parse_lineage  # noqa: E402
from fermentome.reference import read_fasta  # noqa: E402
from fermentome.tables import read_table, write_table  # noqa: E402

LENGTHS = (20, 25, 30, 33, 50)
IDENTITIES = (80, 90, 95)
PIECES = 3000
FAMILIES = {
    "but",
    "thl",
    "hbd",
    "crt",
    "bcd",
    "etfA",
    "mmdA",
    "mut",
    "buk",
    "ptb",
    "xfp",
    "pduC",
    "ackA",
}

Hits = list[tuple[str, float, float]]
"""Protein, identity in per cent, bit score."""


def search(pieces: dict[str, str], reference: Path, folder: Path) -> dict[str, Hits]:
    """Hits of each piece."""
    query, table = folder / "pieces.faa", folder / "hits.tsv"
    query.write_text("".join(f">{name}\n{piece}\n" for name, piece in pieces.items()))
    subprocess.run(
        ["diamond", "blastp", "--query", str(query), "--db", str(reference), "--sensitive",
         "--min-score", "30", "--top", "40", "--out", str(table), "--quiet",
         "--outfmt", "6", "qseqid", "sseqid", "pident", "bitscore"],
        check=True,
    )  # fmt: skip
    hits: dict[str, Hits] = defaultdict(list)
    for line in table.read_text().splitlines():
        name, protein, identity, bits = line.split("\t")
        hits[name].append((protein, float(identity), float(bits)))
    return hits


def named_genus(hits: Hits, genus: dict[str, str], identity: float) -> str:
    """Genus that the near-best hits agree on, empty if none."""
    floor = NEAR_BEST * max(bits for _, _, bits in hits)
    genera = {genus[p] for p, i, bits in hits if bits >= floor and i >= identity and genus[p]}
    return genera.pop() if len(genera) == 1 else ""


def main() -> None:
    """Measure and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--reference", type=Path, required=True)
    folder = parser.parse_args().reference
    rows = read_table(folder / "proteins.tsv", ["protein", "family", "lineage"])
    family = {row["protein"]: row["family"] for row in rows}
    genus = {row["protein"]: parse_lineage(row["lineage"])[RANKS.index("genus")] for row in rows}
    sequences = {
        record.identifier: record.sequence for record in read_fasta(folder / "proteins.faa.gz")
    }
    sources = sorted(p for p in sequences if genus[p] and family[p] in FAMILIES)
    generator = random.Random(1)
    table = []
    with tempfile.TemporaryDirectory() as scratch:
        index = Path(scratch, "index.dmnd")
        subprocess.run(
            ["diamond", "makedb", "--in", str(folder / "proteins.faa.gz"), "--db", str(index),
             "--quiet"],
            check=True,
        )  # fmt: skip
        for length in LENGTHS:
            pieces, source = {}, {}
            for number in range(PIECES):
                protein = generator.choice(sources)
                start = generator.randrange(max(1, len(sequences[protein]) - length))
                pieces[f"q{number}"] = sequences[protein][start : start + length]
                source[f"q{number}"] = protein
            found = search(pieces, index, Path(scratch))
            for identity in IDENTITIES:
                table.append(
                    {"length_aa": length, "identity": identity}
                    | rates("protein_left_out", found, source, family, genus, identity,
                            lambda hit, own: hit != own)
                    | rates("genus_left_out", found, source, family, genus, identity,
                            lambda hit, own: genus[hit] != genus[own])
                )  # fmt: skip
    output = Path(__file__).with_name("genus.tsv")
    write_table(output, list(table[0]), table)
    print(output.read_text())


def rates(
    name: str,
    found: dict[str, Hits],
    source: dict[str, str],
    family: dict[str, str],
    genus: dict[str, str],
    identity: float,
    allowed: Callable[[str, str], bool],
) -> dict[str, float]:
    """Shares of the pieces that are given to their genus and to another one."""
    right = wrong = total = 0
    for query, all_hits in found.items():
        own = source[query]
        hits = [h for h in all_hits if family[h[0]] == family[own] and allowed(h[0], own)]
        if hits:
            total += 1
            answer = named_genus(hits, genus, identity)
            right += answer == genus[own]
            wrong += answer not in {"", genus[own]}
    return {f"{name}_right": right / total, f"{name}_wrong": wrong / total}


if __name__ == "__main__":
    main()
