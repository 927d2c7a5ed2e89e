"""Build the protein and the taxonomic reference of `make real` from the shared data.

    python benchmarks/real/build_reference.py --data ../shared/data --out FOLDER

writes `FOLDER/reference` (protein reference folder), `FOLDER/taxonomy` (genomes and
`lineages.tsv`), and beside them `families.tsv` (per family: how many came, fell and why) and
`genomes.tsv` (per genome: members by family). Steps:

1. read the labelled proteins of all sources (`sources.py`, `labels.tsv`), and decide by residues
   of the active site where names cannot (`sites.tsv`);
2. search them against each other and clean the labels (`fermentome.reference.clean_labels`);
3. search the proteins of the genomes against the members; those that are close to one family and
   clearly closer than to any other become members with a lineage, those that resemble a target
   from afar become members of its decoy;
4. take the universal single-copy families from the genomes;
5. drop members without a species that are nearly identical to one with;
6. add as background decoys the proteins of the genomes that share a part with a target and are no
   member of a family, and write.

One source, the proteins of the BiGG models, is read out of CarveMe's wheel, which pip fetches once
(`--bigg` names a copy, `--no-bigg` leaves them out; the manifest says which).
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import logging
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))
sys.path.insert(0, str(Path(__file__).resolve().parent))

import sources  # noqa: E402  (needs the path above)

from fermentome.errors import FermentomeError, ReferenceFolderError  # noqa: E402
from fermentome.reference import (  # noqa: E402
    SEARCH_COLUMNS,
    CleaningPolicy,
    CleaningResult,
    LabelledProtein,
    SearchHit,
    clean_labels,
    read_reference,
    read_search_hits,
    write_fasta,
    write_reference,
)

logger = logging.getLogger("build_reference")

HERE = Path(__file__).resolve().parent
VERSION = "2"

BIGG_WHEEL = "carveme-1.6.6-py3-none-any.whl"
BIGG_SHA256 = "56aaf908d18afab6e1682e062ef279da58f5c415a742fbe0b3791831a64707b5"

# A genome protein is a member where it is this close to one, over this much of both ...
MEMBER_IDENTITY = 40.0
MEMBER_COVER = 70.0
# ... and scores this much higher than with any family it could be confused with.
MEMBER_MARGIN = 1.1
# Below this identity a full-length relative of a target is something else.
NEAR_MISS_IDENTITY = 35.0
NEAR_MISS_BITS = 60.0
# What shares a part with a target: a read of that part scores like one of the target.
BACKGROUND = "decoy_background"
NEAR_BITS = 45.0
NEAR_DENSITY = 0.45  # bits per aligned residue
# A whole relative with this score may be a member that the margin above kept out.
MEMBER_DENSITY = 0.6
# Above this identity a member without species adds no sensitivity and blurs the taxon.
SAME_PROTEIN_IDENTITY = 95.0
SAME_PROTEIN_COVER = 90.0
# Pta has a short form and one with an N-terminal domain of its own (E. coli: 714 residues); FumA
# and GcvP are one chain or two, the catalytic chain of the mutase has its cobalamin domain or not,
# and the decoys gather enzymes of several sizes.
CLEANING = CleaningPolicy(
    long_forms=frozenset({"pta", "fumA", "gcvP", "mut", "decoy_kor", "decoy_nirsir_assim"})
)
SINGLE_COPY_COVER = 60.0
SINGLE_COPY_IDENTITY = 25.0


@dataclass(frozen=True)
class Families:
    """What the builder needs of the catalogue: ids, which are decoys, which merge."""

    ids: frozenset[str]
    decoys: frozenset[str]
    merge_groups: Mapping[str, str]
    single_copy: Mapping[str, str]

    def rivals(self, one: str, other: str) -> bool:
        """Whether a clear margin is wanted between two families.

        Not between two decoys, for either is right, nor within a merge group, whose members
        are reported as one.
        """
        if one in self.decoys and other in self.decoys:
            return False
        group = self.merge_groups.get(one)
        return group is None or group != self.merge_groups.get(other)


def load_families(catalogue: Path, single_copy: Path) -> Families:
    """Read families.yaml and single_copy.yaml."""
    content = yaml.safe_load(catalogue.read_text(encoding="utf-8"))["families"]
    universal = yaml.safe_load(single_copy.read_text(encoding="utf-8"))["families"]
    return Families(
        ids=frozenset(family["id"] for family in content),
        decoys=frozenset(family["id"] for family in content if family["role"] == "decoy"),
        merge_groups={
            family["id"]: family["merge_group"] for family in content if family.get("merge_group")
        },
        single_copy={family["id"]: family["product_pattern"] for family in universal},
    )


# --- search ---------------------------------------------------------------------------------------


class Searcher:
    """Protein searches with DIAMOND in a working folder."""

    def __init__(self, folder: Path, threads: int) -> None:
        self.folder = folder
        self.threads = threads

    def search(
        self,
        queries: Iterable[tuple[str, str]],
        subjects: Iterable[tuple[str, str]],
        *options: str,
    ) -> list[SearchHit]:
        """Hits of (id, sequence) pairs against others, best first for each query."""
        query, subject, table = (self.folder / name for name in ("q.faa", "s.faa", "hits.tsv"))
        write_fasta(query, queries)
        write_fasta(subject, subjects)
        self._diamond("makedb", "--in", str(subject), "--db", str(self.folder / "s"))
        self._diamond(
            "blastp", "--query", str(query), "--db", str(self.folder / "s"), "--out", str(table),
            "--evalue", "1e-5", "--masking", "0", *options,
            "--outfmt", "6", *SEARCH_COLUMNS,
        )  # fmt: skip
        return list(read_search_hits(table))

    def align(
        self, queries: Iterable[tuple[str, str]], template: tuple[str, str]
    ) -> dict[str, dict[int, str]]:
        """Residue of each query at each place of a template that it aligns with."""
        query, subject, table = (self.folder / name for name in ("q.faa", "s.faa", "aligned.tsv"))
        write_fasta(query, queries)
        write_fasta(subject, [template])
        self._diamond("makedb", "--in", str(subject), "--db", str(self.folder / "s"))
        self._diamond(
            "blastp", "--query", str(query), "--db", str(self.folder / "s"), "--out", str(table),
            "--evalue", "1e-5", "--masking", "0", "--very-sensitive", "--max-hsps", "1",
            "--outfmt", "6", "qseqid", "sstart", "qseq_gapped", "sseq_gapped",
        )  # fmt: skip
        aligned: dict[str, dict[int, str]] = {}
        for line in table.read_text(encoding="utf-8").splitlines():
            name, start, ours, theirs = line.split("\t")
            place = int(start) - 1
            aligned[name] = {}
            for residue, reference in zip(ours, theirs, strict=True):
                place += reference != "-"
                if reference != "-":
                    aligned[name][place] = residue
        return aligned

    def _diamond(self, *arguments: str) -> None:
        command = ["diamond", *arguments, "--threads", str(self.threads), "--quiet"]
        try:
            subprocess.run(command, check=True, capture_output=True, text=True)
        except FileNotFoundError as error:
            raise ReferenceFolderError("diamond is not on the PATH; install it") from error
        except subprocess.CalledProcessError as error:
            raise ReferenceFolderError(
                f"diamond {arguments[0]} failed with exit code {error.returncode}: "
                f"{error.stderr.strip()[-500:]}"
            ) from error


def id_and_sequence(proteins: Iterable[LabelledProtein]) -> list[tuple[str, str]]:
    """Pairs as the search wants them."""
    return [(protein.accession, protein.sequence) for protein in proteins]


# --- step 1: labels by residues -------------------------------------------------------------------


def label_by_sites(
    proteins: Sequence[LabelledProtein], rules: Sequence[sources.SiteRule], searcher: Searcher
) -> list[LabelledProtein]:
    """The proteins, those under a site rule with the family that their residues give them.

    Proteins that the template does not resemble keep their label.
    """
    by_accession = {protein.accession: protein for protein in proteins}
    family: dict[str, str] = {}
    for template in sorted({rule.template for rule in rules} & set(by_accession)):
        own = [rule for rule in rules if rule.template == template]
        labelled = frozenset().union(*(rule.labelled for rule in own))
        queries = [protein for protein in proteins if protein.family in labelled]
        places = searcher.align(
            id_and_sequence(queries), (template, by_accession[template].sequence)
        )
        for name, residues in places.items():
            family[name] = by_sites(by_accession[name], residues, own)
    return [
        replace(protein, family=family.get(protein.accession, protein.family))
        for protein in proteins
        if family.get(protein.accession) != sources.NOT_USED
    ]


def by_sites(
    protein: LabelledProtein, residues: Mapping[int, str], rules: Sequence[sources.SiteRule]
) -> str:
    """Family of the first rule that fits a protein, its own where none does."""
    for rule in rules:
        if (
            protein.family in rule.labelled
            and len(protein.sequence) in rule.lengths
            and all(residues.get(place) == residue for place, residue in rule.residues)
        ):
            return rule.family
    return protein.family


# --- step 3: members from genomes -----------------------------------------------------------------


def best_by_family(
    hits: Iterable[SearchHit], family_of: Mapping[str, str]
) -> dict[str, dict[str, SearchHit]]:
    """The best hit of each query with each family."""
    best: dict[str, dict[str, SearchHit]] = defaultdict(dict)
    for hit in hits:
        family = family_of[hit.subject]
        known = best[hit.query].get(family)
        if known is None or hit.bits > known.bits:
            best[hit.query][family] = hit
    return best


def full_length(hit: SearchHit, cover: float) -> bool:
    """Whether the alignment covers both proteins."""
    return hit.query_cover >= cover and hit.subject_cover >= cover


def family_for(
    by_family: Mapping[str, SearchHit], families: Families, near_miss: Mapping[str, str]
) -> str | None:
    """Family of a genome protein from its best hit with each family, or None."""
    ranked = sorted(by_family.items(), key=lambda item: (-item[1].bits, item[0]))
    family, hit = ranked[0]
    if not full_length(hit, MEMBER_COVER):
        return None
    if hit.identity < NEAR_MISS_IDENTITY and hit.bits >= NEAR_MISS_BITS:
        return near_miss.get(family)
    if hit.identity < MEMBER_IDENTITY:
        return None
    for other, rival in ranked[1:]:
        if families.rivals(family, other) and hit.bits < MEMBER_MARGIN * rival.bits:
            # Between a target and its decoy the decoy has the benefit of the doubt.
            return other if other in families.decoys else None
    return family


def label_genome_proteins(
    proteins: Sequence[sources.GenomeProtein],
    members: Sequence[LabelledProtein],
    families: Families,
    near_miss: Mapping[str, str],
    lineages: Mapping[str, str],
    searcher: Searcher,
) -> list[LabelledProtein]:
    """Genome proteins that belong to a family, or to the decoy of one that they resemble.

    A protein that is a member by its own label keeps that family.
    """
    own_label = {member.accession: member.family for member in members}
    hits = searcher.search(
        [(protein_key(p), p.sequence) for p in proteins],
        id_and_sequence(members),
        "--max-target-seqs", "200", "--query-cover", "50", "--sensitive",
    )  # fmt: skip
    best = best_by_family(hits, own_label)
    labelled = []
    for protein in proteins:
        family = own_label.get(protein.accession)
        if family is None and protein_key(protein) in best:
            family = family_for(best[protein_key(protein)], families, near_miss)
        if family is not None and family in families.ids:
            labelled.append(
                LabelledProtein(
                    protein.accession,
                    family,
                    protein.sequence,
                    f"genome:{protein.genome}",
                    lineages[protein.genome],
                    protein.accession in own_label,
                )  # fmt: skip
            )
    return labelled


def protein_key(protein: sources.GenomeProtein) -> str:
    """Id of a genome protein; RefSeq gives one accession to identical proteins of genomes."""
    return f"{protein.genome}|{protein.accession}"


# --- step 4: universal single-copy families -------------------------------------------------------


def single_copy_members(
    proteins: Sequence[sources.GenomeProtein],
    patterns: Mapping[str, str],
    lineages: Mapping[str, str],
    searcher: Searcher,
) -> list[LabelledProtein]:
    """At most one member of each single-copy family from each genome.

    Proteins with the family's RefSeq product name are the seeds. In each genome the protein that
    scores highest with a family's seeds of other genomes is taken, if it scores higher with no
    other family.
    """
    matchers = sources.compile_names(patterns)
    seeds: dict[str, str] = {}
    for protein in proteins:
        for family, pattern in matchers.items():
            if protein.product and pattern.search(protein.product):
                seeds[protein_key(protein)] = family
    hits = searcher.search(
        [(protein_key(p), p.sequence) for p in proteins],
        [(protein_key(p), p.sequence) for p in proteins if protein_key(p) in seeds],
        "--max-target-seqs", "500", "--sensitive",
    )  # fmt: skip
    elsewhere = [h for h in hits if h.query.partition("|")[0] != h.subject.partition("|")[0]]
    best = best_by_family(elsewhere, seeds)
    by_key = {protein_key(protein): protein for protein in proteins}
    winners: dict[tuple[str, str], tuple[float, str]] = {}
    for key, by_family in best.items():
        family, hit = min(by_family.items(), key=lambda item: (-item[1].bits, item[0]))
        if full_length(hit, SINGLE_COPY_COVER) and hit.identity >= SINGLE_COPY_IDENTITY:
            place = (family, by_key[key].genome)
            winners[place] = min(winners.get(place, (0.0, "")), (-hit.bits, key))
    return [
        LabelledProtein(
            by_key[key].accession,
            family,
            by_key[key].sequence,
            f"genome:{genome}",
            lineages[genome],
            True,
        )  # fmt: skip
        for (family, genome), (_, key) in sorted(winners.items())
    ]


# --- step 5 ---------------------------------------------------------------------------------------


def background(
    proteins: Sequence[sources.GenomeProtein],
    members: Sequence[LabelledProtein],
    families: Families,
    lineages: Mapping[str, str],
    searcher: Searcher,
) -> list[LabelledProtein]:
    """Proteins of the genomes that share a part with a target and are no member of a family.

    A read from such a part has no better place to go than the target. Proteins that could be
    members, whole relatives of a target with a member's score, are left out: they would take
    reads of true members.
    """
    taken = {member.sequence for member in members}
    queries = {protein_key(p): p for p in proteins if p.sequence not in taken}
    family = {member.accession: member.family for member in members}
    hits = searcher.search(
        ((key, protein.sequence) for key, protein in queries.items()),
        id_and_sequence(members),
        "--max-target-seqs",
        "25",
    )
    near: set[str] = set()
    doubtful: set[str] = set()
    for hit in hits:
        if family[hit.subject] in families.decoys:
            continue
        aligned = hit.query_cover / 100 * len(queries[hit.query].sequence)
        density = hit.bits / aligned
        if hit.bits >= NEAR_BITS and density >= NEAR_DENSITY:
            near.add(hit.query)
            if density >= MEMBER_DENSITY and full_length(hit, MEMBER_COVER):
                doubtful.add(hit.query)
    return [
        LabelledProtein(
            key, BACKGROUND, queries[key].sequence, "near miss", lineages[queries[key].genome]
        )
        for key in sorted(near - doubtful)
    ]


def has_species(protein: LabelledProtein) -> bool:
    """Whether the lineage goes down to a species."""
    return ";s__" in protein.lineage


def drop_shadowed(
    members: Sequence[LabelledProtein],
    genomic: Sequence[LabelledProtein],
    searcher: Searcher,
) -> tuple[list[LabelledProtein], list[LabelledProtein]]:
    """Split members without species into those to keep and those that a genomic member covers."""
    without = [member for member in members if not has_species(member)]
    keyed = {f"{n}": protein for n, protein in enumerate(genomic)}
    hits = searcher.search(
        id_and_sequence(without),
        [(key, protein.sequence) for key, protein in keyed.items()],
        "--id", str(SAME_PROTEIN_IDENTITY), "--max-target-seqs", "25",
    )  # fmt: skip
    family_of = {member.accession: member.family for member in without}
    shadowed = {
        hit.query
        for hit in hits
        if hit.identity >= SAME_PROTEIN_IDENTITY
        and hit.query_cover >= SAME_PROTEIN_COVER
        and keyed[hit.subject].family == family_of[hit.query]
    }
    return (
        [member for member in members if member.accession not in shadowed],
        [member for member in members if member.accession in shadowed],
    )


def without_repeats(proteins: Iterable[LabelledProtein]) -> list[LabelledProtein]:
    """One of the proteins with the same sequence, family and lineage; the rest add nothing."""
    kept: dict[tuple[str, str, str], LabelledProtein] = {}
    for protein in sorted(proteins, key=lambda p: (p.accession, p.source)):
        kept.setdefault((protein.sequence, protein.family, protein.lineage), protein)
    return list(kept.values())


def disputed_sequences(proteins: Iterable[LabelledProtein]) -> set[str]:
    """Sequences that stand under more than one family."""
    families: dict[str, set[str]] = defaultdict(set)
    for protein in proteins:
        families[protein.sequence].add(protein.family)
    return {sequence for sequence, names in families.items() if len(names) > 1}


# --- reports --------------------------------------------------------------------------------------

REASONS = ("duplicate", "fragment", "too_long", "mislabelled", "orphan")


def write_table(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a TSV file."""
    with open(path, "w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out, delimiter="\t", lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def write_family_report(
    path: Path,
    families: Families,
    cleaned: CleaningResult,
    shadowed: Sequence[LabelledProtein],
    final: Sequence[LabelledProtein],
) -> None:
    """Per family: labelled, fallen by reason, shadowed, and what the reference holds."""
    counts = cleaned.counts()
    moved = Counter(f"{v.protein.family}>{v.looks_like}" for v in cleaned.verdicts if v.looks_like)
    covered = Counter(protein.family for protein in shadowed)
    held: dict[str, list[LabelledProtein]] = defaultdict(list)
    for protein in final:
        held[protein.family].append(protein)
    rows = []
    for family in sorted(families.ids | set(families.single_copy)):
        by_reason = counts.get(family, Counter())
        own = held[family]
        lengths = sorted(len(protein.sequence) for protein in own)
        rows.append(
            [
                family,
                sum(by_reason.values()),
                *(by_reason[reason] for reason in REASONS),
                covered[family],
                len(own),
                sum(protein.source.startswith("genome:") for protein in own),
                sum(bool(protein.lineage) for protein in own),
                lengths[len(lengths) // 2] if lengths else "NA",
                " ".join(
                    f"{pair.partition('>')[2]}:{n}"
                    for pair, n in sorted(moved.items())
                    if pair.partition(">")[0] == family
                ),
            ]
        )
    header = ["family", "labelled", *REASONS, "near_identical_to_genome", "members"]
    header += ["from_genomes", "with_lineage", "median_length_aa", "mislabelled_look_like"]
    write_table(path, header, rows)


def write_genome_report(
    path: Path,
    genomes: Iterable[str],
    lineages: Mapping[str, str],
    final: Sequence[LabelledProtein],
) -> None:
    """Per genome: species and the families that it carries, with copy numbers above one."""
    carried: dict[str, Counter[str]] = defaultdict(Counter)
    for protein in final:
        carried[protein.source.removeprefix("genome:")][protein.family] += 1
    rows = []
    for genome in sorted(genomes):
        counts = carried[genome]
        universal = [family for family in counts if family.startswith("COG")]
        names = [f for f in sorted(counts) if not f.startswith("COG")]
        text = " ".join(f"{f}:{counts[f]}" if counts[f] > 1 else f for f in names)
        species = lineages[genome].rpartition(";s__")[2]
        rows.append([genome, species, len(universal), text])
    write_table(path, ["genome", "species", "single_copy_families", "families"], rows)


# --- the taxonomic reference ----------------------------------------------------------------------


def build_taxonomy(data: Path, genomes: Mapping[str, Path], out: Path) -> None:
    """Copy the genomes and their lineage table into one folder."""
    folder = out / "genomes"
    folder.mkdir(parents=True, exist_ok=True)
    for genome, path in genomes.items():
        shutil.copyfile(path, folder / f"{genome}{path.name.removeprefix(genome)}")
    shutil.copyfile(data / "truth" / "lineages.tsv", out / "lineages.tsv")


def read_lineages(path: Path) -> dict[str, str]:
    """Genome to GTDB-style lineage, from a table with one column per rank."""
    ranks = ("domain", "phylum", "class", "order", "family", "genus", "species")
    return {
        row["genome"]: ";".join(f"{rank[0]}__{row[rank]}" for rank in ranks)
        for row in sources.read_tsv(path)
    }


# --- the build ------------------------------------------------------------------------------------


def timed(what: str) -> Callable[[], None]:
    """Log `what`; the function that is returned logs how long it took."""
    start = time.monotonic()
    logger.info("%s ...", what)
    return lambda: logger.info("%s: %.0f s", what, time.monotonic() - start)


def load_labelled(
    data: Path, accessions: Path, bigg: Path | None,
    proteins: Sequence[sources.GenomeProtein],
    labels: sources.Labels, lineages: Mapping[str, str],
) -> list[LabelledProtein]:  # fmt: skip
    """The labelled proteins of all sources, one per accession."""
    genera = sources.read_genera(HERE / "genera.tsv")
    proteins_folder = data / "proteins"
    found = [
        *sources.named_genome_proteins(proteins, labels, lineages),
        *sources.curated_butyrate(
            proteins_folder / "vital2014_butyrate.faa.gz", accessions, labels, genera
        ),
        *sources.uniref_by_ec(proteins_folder / "uniref90_by_ec", labels, genera),
        *(sources.model_genes(bigg, labels) if bigg else ()),
        *sources.screened_families(proteins_folder / "scfa_families_rep80.faa.gz", labels),
    ]
    unique: dict[str, LabelledProtein] = {}
    for protein in found:
        unique.setdefault(protein.accession, protein)
    by_name = {protein.sequence: protein.family for protein in found if named_gene(protein, labels)}
    return [
        protein
        for protein in unique.values()
        if by_name.get(protein.sequence, protein.family) == protein.family
    ]


def named_gene(protein: LabelledProtein, labels: sources.Labels) -> bool:
    """Whether the label was given to this very gene, which outweighs that of a collection."""
    return protein.source == "bigg_models" or bool(labels.find("accession", protein.accession))


def build(
    data: Path, accessions: Path, bigg: Path | None, families: Families, out: Path, threads: int
) -> None:
    """Build both references below `out`."""
    labels = sources.read_labels(HERE / "labels.tsv", families.ids)
    sites = sources.read_sites(HERE / "sites.tsv", families.ids)
    lineages = read_lineages(data / "truth" / "lineages.tsv")
    genomes = sources.find_genomes(data)
    out.mkdir(parents=True, exist_ok=True)

    done = timed("proteins of the genomes")
    proteins = sources.genome_proteins(genomes, sources.find_proteomes(data))
    done()
    labelled = load_labelled(data, accessions, bigg, proteins, labels, lineages)
    with tempfile.TemporaryDirectory(dir=out) as work:
        searcher = Searcher(Path(work), threads)
        labelled = label_by_sites(labelled, sites, searcher)
        done = timed(f"cleaning of {len(labelled)} labelled proteins")
        pairs = id_and_sequence(labelled)
        hits = searcher.search(pairs, pairs, "--max-target-seqs", "60")
        cleaned = clean_labels(labelled, hits, CLEANING)
        members = cleaned.members + recovered_decoys(cleaned, families)
        done()
        done = timed(f"{len(proteins)} genome proteins against {len(members)} members")
        genomic = label_genome_proteins(
            proteins, members, families, labels.pairs("near_miss"), lineages, searcher
        )
        done()
        done = timed("single-copy families")
        universal = single_copy_members(proteins, families.single_copy, lineages, searcher)
        done()
        in_genomes = {protein.accession for protein in genomic}
        elsewhere = [
            member
            for member in members
            if member.accession not in in_genomes and member.family in families.ids
        ]
        kept, shadowed = drop_shadowed(elsewhere, genomic, searcher)
        # Rivals without a family of their own are what the background is there for.
        rivals = [
            replace(member, family=BACKGROUND)
            for member in members
            if member.family.startswith("other:")
        ]
        done = timed("background of the genomes")
        near = background(
            proteins, [*kept, *genomic, *universal, *rivals], families, lineages, searcher
        )
        done()
    final = without_repeats([*kept, *genomic, *universal, *rivals, *near])
    disputed = disputed_sequences(final)
    final = [p for p in final if p.sequence not in disputed or p.trusted]
    write_reference(out / "reference", final, manifest_of(bool(bigg)))
    read_reference(out / "reference", families.ids | set(families.single_copy))
    write_family_report(out / "families.tsv", families, cleaned, shadowed, final)
    write_genome_report(out / "genomes.tsv", genomes, lineages, final)
    build_taxonomy(data, genomes, out / "taxonomy")
    logger.info("%d proteins of %d families", len(final), len({p.family for p in final}))


def recovered_decoys(cleaned: CleaningResult, families: Families) -> list[LabelledProtein]:
    """Mislabelled proteins whose neighbours are a decoy: exactly what the decoy is there for."""
    return [
        replace(verdict.protein, family=verdict.looks_like, trusted=False)
        for verdict in cleaned.verdicts
        if verdict.looks_like in families.decoys
    ]


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
    found = hashlib.sha256(wheel.read_bytes()).hexdigest()
    if found != BIGG_SHA256:
        raise ReferenceFolderError(
            f"{wheel}: SHA-256 is {found}, not {BIGG_SHA256}; delete it to have it fetched again"
        )
    return wheel


def manifest_of(with_bigg: bool) -> dict[str, Any]:
    """Name, version and origin of the reference."""
    models = "read" if with_bigg else "left out"
    return {
        "name": "fermentome-shared-data",
        "version": VERSION,
        "description": "SCFA families, decoys and universal single-copy families from the shared "
        "development data; for measuring on real reads, not for publication or redistribution",
        "licence": "mixed; parts without a stated licence: local use only",
        "sources": [
            "proteins/scfa_families_rep80.faa.gz: KO screens, labels partly wrong, cleaned",
            "proteins/vital2014_butyrate.faa.gz: Vital 2014, 10.1128/mBio.00889-14",
            "proteins/uniref90_by_ec: UniProt, CC BY 4.0, through jotech/gapseq",
            f"BiGG models, in CarveMe 1.6.6 (10.1093/nar/gky537): {models}",
            "proteomes, genomes, genomes_extra: RefSeq and others, lineages of truth/lineages.tsv",
        ],
    }


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
    accessions = options.accessions or options.data.parent / "catalogue" / "ACCESSIONS.tsv.gz"
    try:
        families = load_families(options.families, options.single_copy)
        options.out.mkdir(parents=True, exist_ok=True)
        bigg = None if options.no_bigg else options.bigg or fetch_bigg(options.out.parent)
        build(options.data, accessions, bigg, families, options.out, options.threads)
    except (FermentomeError, OSError) as error:
        logger.error("%s", error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
