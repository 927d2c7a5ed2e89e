"""Build an SCFA protein reference from labelled proteins and genomes.

1. Read the sources (`sources`), and let residues of active sites decide where names cannot.
2. Search all labelled proteins against each other and clean the labels
   (`fermentome.reference.clean_labels`): mislabelled members, fragments, over-long chains.
3. Give the proteins whose source does not say the family the one that they are close to.
4. Search the proteins of genomes against the members. Those that are close to one family and
   clearly closer than to any other become members with a lineage; those that resemble a target
   from afar become members of its decoy.
5. Take the universal single-copy families from the genomes, beside those that came labelled.
6. Drop near-identical members that add nothing (`clusters`).
7. Add as background decoys the proteins of the genomes that share a part with a target and are no
   member of a family.
8. Cap each family, keeping its diversity, and write, with a report of what came and fell and why.

The result depends on the sources and the options alone, not on threads, nor on the order of files
or records.
"""

from __future__ import annotations

import logging
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from fermentome.databases.clusters import (
    adds_nothing,
    choose_spread,
    near_duplicates,
    similar_pairs,
)
from fermentome.databases.families import BACKGROUND, Families
from fermentome.databases.labels import OTHER
from fermentome.databases.membership import (
    Closeness,
    background,
    decide_candidates,
    id_and_sequence,
    label_by_sites,
    label_genome_proteins,
    single_copy_members,
)
from fermentome.databases.searches import Searcher
from fermentome.databases.sources import Gathered, Sources, gather
from fermentome.errors import DatabaseError
from fermentome.genome_search import diamond_version
from fermentome.reference import (
    CleaningPolicy,
    CleaningResult,
    LabelledProtein,
    clean_labels,
    read_reference,
    write_reference,
)
from fermentome.tables import write_table

__all__ = ["REASONS", "REPORT", "REPORT_COLUMNS", "Built", "Ledger", "Options", "build"]

logger = logging.getLogger(__name__)

REPORT = "families.tsv"
REASONS = ("duplicate", "near_duplicate", "fragment", "too_long", "mislabelled", "orphan",
           "disputed", "capped")  # fmt: skip
REPORT_COLUMNS = (
    "family", "role", "labelled", "joined", *REASONS, "members", "from_genomes", "with_lineage",
    "without_lineage", "median_length_aa", "mislabelled_look_like", "remark",
)  # fmt: skip

#: Pta has a short form and one with an N-terminal domain of its own (E. coli: 714 residues); FumA
#: and GcvP are one chain or two, the catalytic chain of the mutase has its cobalamin domain or not,
#: and these decoys gather enzymes of several sizes.
LONG_FORMS = frozenset({"pta", "fumA", "gcvP", "mut", "decoy_kor", "decoy_nirsir_assim"})


@dataclass(frozen=True)
class Options:
    """What a build is asked for.

    Attributes
    ----------
    dereplicate
        Identity, per cent, above which members of a family that add no lineage fall.
    max_per_family
        Members that a family has at most.
    min_members
        Families with fewer are warned of.
    """

    dereplicate: float = 95.0
    max_per_family: int = 2000
    min_members: int = 3
    threads: int = 1


@dataclass
class Ledger:
    """What became of every protein: came with a label, joined later, fell and why."""

    labelled: Counter[str] = field(default_factory=Counter)
    joined: Counter[str] = field(default_factory=Counter)
    fell: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    looks_like: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))

    def drop(
        self, proteins: Sequence[LabelledProtein], kept: Sequence[LabelledProtein], reason: str
    ) -> None:
        """Note that of some proteins only part was kept."""
        gone = Counter(p.family for p in proteins)
        gone.subtract(Counter(p.family for p in kept))
        for family, count in gone.items():
            self.fell[family][reason] += count


@dataclass(frozen=True)
class Built:
    """Result of a build: members, the account of them, what was read.

    `carried` has families by genome with their copies, before anything was dropped.
    """

    members: tuple[LabelledProtein, ...]
    ledger: Ledger
    gathered: Gathered
    carried: Mapping[str, Counter[str]]


def build(
    sources: Sources,
    families: Families,
    folder: Path,
    work: Path,
    options: Options,
    *,
    name: str,
    version: str,
    catalogue_version: str = "",
) -> Built:
    """Build a reference folder: proteins, table, report of families, manifest.

    Parameters
    ----------
    folder
        Created where it is missing; its files of the reference are replaced.
    work
        Folder for the files of the searches.

    Raises
    ------
    DatabaseError
        If a source cannot be read, none has a label of the catalogue, all proteins fall, or
        DIAMOND fails.
    """
    _check_options(options)
    done = _timed("sources")
    gathered = gather(sources, families)
    done()
    builder = _Builder(sources, families, gathered, Searcher(work, options.threads), options)
    members = builder.members()
    folder.mkdir(parents=True, exist_ok=True)
    write_table(
        folder / REPORT, REPORT_COLUMNS, report_rows(families, builder.ledger, members, options)
    )
    if not members:
        fell = sum(builder.ledger.fell.values(), Counter[str]())
        reasons = ", ".join(f"{n} {why}" for why, n in sorted(fell.items()) if n)
        raise DatabaseError(
            f"no protein is left of {sum(builder.ledger.labelled.values())} with a label of the"
            f" catalogue; they fell as {reasons or 'of no family'} (docs/databases.md says what"
            " that means)"
        )
    write_reference(
        folder,
        members,
        name=name,
        version=version,
        description=sources.description
        or "SCFA families, their decoys and single-copy families, built from labelled proteins",
        licence=sources.licence or _licences(gathered),
        sources=gathered.files,
        tools={"diamond": diamond_version()},
        parameters=_parameters(options, catalogue_version),
    )
    read_reference(folder, families.all_ids)
    _say(families, members, gathered, options)
    return Built(tuple(members), builder.ledger, gathered, builder.carried)


def _check_options(options: Options) -> None:
    if not 50 <= options.dereplicate <= 100:
        raise DatabaseError(
            f"dereplicate is {options.dereplicate:g}, expected an identity of 50 to 100 per cent"
        )
    for key in ("max_per_family", "threads"):
        if getattr(options, key) < 1:
            raise DatabaseError(f"{key} is {getattr(options, key)}, expected 1 or more")


def _licences(gathered: Gathered) -> str:
    found = sorted({source.licence for source in gathered.files if source.licence})
    return " AND ".join(found) if found else "that of its sources"


def _parameters(options: Options, catalogue_version: str) -> dict[str, Any]:
    cleaning = asdict(CleaningPolicy(long_forms=LONG_FORMS))
    del cleaning["lengths"]
    cleaning["long_forms"] = sorted(LONG_FORMS)
    return {
        "catalogue": catalogue_version,
        "dereplicate": options.dereplicate,
        "max_per_family": options.max_per_family,
        "cleaning": cleaning,
        "closeness": asdict(Closeness()),
    }


class _Builder:
    def __init__(
        self,
        sources: Sources,
        families: Families,
        gathered: Gathered,
        searcher: Searcher,
        options: Options,
    ) -> None:
        self.sources = sources
        self.families = families
        self.gathered = gathered
        self.searcher = searcher
        self.options = options
        self.ledger = Ledger()
        self.carried: dict[str, Counter[str]] = defaultdict(Counter)

    def members(self) -> list[LabelledProtein]:
        """All members, in order."""
        families, lineages = self.families, self.gathered.lineages
        proteins, near_miss = self.gathered.proteins, self._near_miss()
        cleaned = self._clean()
        labelled = [member for member in cleaned if member.family not in families.single_copy]
        universal = [member for member in cleaned if member.family in families.single_copy]
        labelled += self._decide(labelled, near_miss)

        done = _timed(f"{len(proteins)} proteins of genomes against {len(labelled)} members")
        genomic = label_genome_proteins(
            proteins, labelled, families, near_miss, lineages, self.searcher
        )
        done()
        done = _timed("single-copy families of the genomes")
        of_genomes = single_copy_members(
            proteins, universal, families.single_copy, lineages, self.searcher
        )
        done()
        for protein in [*genomic, *of_genomes]:
            self.carried[protein.source.removeprefix("genome:")][protein.family] += 1
        self.ledger.joined.update(p.family for p in [*genomic, *of_genomes])

        # A labelled protein that is one of a genome's stands there, with its lineage.
        in_genomes = {(protein.accession, protein.sequence) for protein in genomic}
        elsewhere = [member for member in labelled if member.family in families.ids]
        kept = [m for m in elsewhere if (m.accession, m.sequence) not in in_genomes]
        self.ledger.joined.subtract(m.family for m in elsewhere)
        self.ledger.joined.update(m.family for m in kept)

        # Rivals without a family of their own are what the background is there for.
        rivals = [
            replace(member, family=BACKGROUND)
            for member in labelled
            if member.family.startswith(OTHER)
        ]
        self.ledger.joined[BACKGROUND] += len(rivals)
        clear = self._undisputed([*kept, *genomic, *universal, *of_genomes, *rivals])
        found = self._dereplicate(clear)
        near = self._background(found)
        return self._settle([*found, *near])

    def _near_miss(self) -> dict[str, str]:
        """Where distant relatives of a target go: as the rules say, else to its one decoy."""
        ruled = self.sources.labels.pairs("near_miss")
        if ruled or BACKGROUND not in self.families.ids:
            return ruled
        targets = self.families.ids - self.families.decoys
        return {target: self.families.near_miss.get(target, BACKGROUND) for target in targets}

    def _clean(self) -> list[LabelledProtein]:
        labelled = label_by_sites(self.gathered.labelled, self.sources.sites, self.searcher)
        done = _timed(f"cleaning of {len(labelled)} labelled proteins")
        pairs = id_and_sequence(labelled)
        hits = self.searcher.search(pairs, pairs, "--max-target-seqs", "60")
        policy = CleaningPolicy(long_forms=LONG_FORMS, lengths=self.families.lengths)
        result = clean_labels(labelled, hits, policy)
        done()
        restored = _other_lineages(result)
        # `other:` families have no row in the report: they are counted where they end.
        verdicts = [v for v in result.verdicts if not v.protein.family.startswith(OTHER)]
        again = {protein.accession for protein in restored}
        for verdict in verdicts:
            family = verdict.protein.family
            self.ledger.labelled[family] += 1
            if not verdict.kept and verdict.protein.accession not in again:
                self.ledger.fell[family][verdict.reason] += 1
            if verdict.looks_like:
                self.ledger.looks_like[family][verdict.looks_like] += 1
        recovered = _recovered_decoys(result, self.families)
        self.ledger.joined.update(protein.family for protein in recovered)
        return result.members + restored + recovered

    def _decide(
        self, members: Sequence[LabelledProtein], near_miss: Mapping[str, str]
    ) -> list[LabelledProtein]:
        candidates = self.gathered.candidates
        if not candidates:
            return []
        done = _timed(f"{len(candidates)} proteins without a label against {len(members)} members")
        decided, undecided = decide_candidates(
            candidates, members, self.families, near_miss, self.searcher
        )
        done()
        logger.info(
            "%d of %d proteins without a label got a family, %d are left out",
            len(decided), len(candidates), len(undecided),
        )  # fmt: skip
        self.ledger.joined.update(protein.family for protein in decided)
        return decided

    def _dereplicate(self, proteins: Sequence[LabelledProtein]) -> list[LabelledProtein]:
        unique = _without_repeats(proteins)
        self.ledger.drop(proteins, unique, "duplicate")
        done = _timed(f"near-identical ones among {len(unique)} members")
        dropped = near_duplicates(unique, self.options.dereplicate, self.searcher)
        done()
        kept = [protein for position, protein in enumerate(unique) if position not in dropped]
        self.ledger.drop(unique, kept, "near_duplicate")
        return kept

    def _background(self, members: Sequence[LabelledProtein]) -> list[LabelledProtein]:
        lineages = self.gathered.lineages
        pool = {
            protein.key: LabelledProtein(
                protein.key, BACKGROUND, protein.sequence, "near miss", lineages[protein.genome]
            )
            for protein in self.gathered.proteins
        }
        if not pool or BACKGROUND not in self.families.ids:
            return []
        done = _timed("background of the genomes")
        near = background(pool, members, self.families, self.searcher)
        done()
        self.ledger.joined[BACKGROUND] += len(near)
        return self._dereplicate(near)

    def _undisputed(self, proteins: Sequence[LabelledProtein]) -> list[LabelledProtein]:
        """Leave out sequences that stand under several families, before they stand for others."""
        disputed = _disputed_sequences(proteins)
        clear = [p for p in proteins if p.sequence not in disputed or p.trusted]
        self.ledger.drop(proteins, clear, "disputed")
        return clear

    def _settle(self, proteins: Sequence[LabelledProtein]) -> list[LabelledProtein]:
        """Leave out what is above the cap."""
        by_family: dict[str, list[LabelledProtein]] = defaultdict(list)
        for protein in proteins:
            by_family[protein.family].append(protein)
        kept: list[LabelledProtein] = []
        for _, members in sorted(by_family.items()):
            kept += self._capped(members)
        self.ledger.drop(proteins, kept, "capped")
        return kept

    def _capped(self, members: Sequence[LabelledProtein]) -> list[LabelledProtein]:
        most = self.options.max_per_family
        if len(members) <= most:
            return list(members)
        pairs = similar_pairs(members, self.searcher)
        return [members[position] for position in choose_spread(members, most, pairs)]


def _other_lineages(result: CleaningResult) -> list[LabelledProtein]:
    """Exact copies of members of the same family that come from other taxa.

    They had no vote of their own; with them goes where else a read may come from.
    """
    members: dict[tuple[str, str], list[str]] = defaultdict(list)
    for member in result.members:
        members[member.sequence, member.family].append(member.lineage)
    restored = []
    for verdict in result.verdicts:
        protein = verdict.protein
        known = members.get((protein.sequence, protein.family))
        if verdict.reason != "duplicate" or known is None:
            continue
        if not any(adds_nothing(protein.lineage, lineage) for lineage in known):
            known.append(protein.lineage)
            restored.append(protein)
    return restored


def _recovered_decoys(cleaned: CleaningResult, families: Families) -> list[LabelledProtein]:
    """Mislabelled proteins whose neighbours are a decoy: exactly what the decoy is there for."""
    return [
        replace(verdict.protein, family=verdict.looks_like, trusted=False)
        for verdict in cleaned.verdicts
        if verdict.looks_like in families.decoys
    ]


def _without_repeats(proteins: Iterable[LabelledProtein]) -> list[LabelledProtein]:
    """One of the proteins with the same sequence, family and lineage; the rest add nothing."""
    kept: dict[tuple[str, str, str], LabelledProtein] = {}
    for protein in sorted(proteins, key=lambda p: (p.accession, p.source, p.family, p.sequence)):
        kept.setdefault((protein.sequence, protein.family, protein.lineage), protein)
    return list(kept.values())


def _disputed_sequences(proteins: Iterable[LabelledProtein]) -> set[str]:
    """Sequences that stand under more than one family."""
    families: dict[str, set[str]] = defaultdict(set)
    for protein in proteins:
        families[protein.sequence].add(protein.family)
    return {sequence for sequence, names in families.items() if len(names) > 1}


# --- report ---------------------------------------------------------------------------------------


def report_rows(
    families: Families, ledger: Ledger, members: Iterable[LabelledProtein], options: Options
) -> list[dict[str, Any]]:
    """Per family of the catalogue: what came, what fell and why, what the reference holds."""
    held: dict[str, list[LabelledProtein]] = defaultdict(list)
    for protein in members:
        held[protein.family].append(protein)
    rows = []
    for family in sorted(families.all_ids):
        own = held[family]
        lengths = sorted(len(protein.sequence) for protein in own)
        lineages = sum(bool(protein.lineage) for protein in own)
        looks = ledger.looks_like[family]
        rows.append(
            {
                "family": family,
                "role": families.role(family),
                "labelled": ledger.labelled[family],
                "joined": ledger.joined[family],
                **{reason: ledger.fell[family][reason] for reason in REASONS},
                "members": len(own),
                "from_genomes": sum(p.source.startswith("genome:") for p in own),
                "with_lineage": lineages,
                "without_lineage": len(own) - lineages,
                "median_length_aa": lengths[len(lengths) // 2] if lengths else None,
                "mislabelled_look_like": " ".join(f"{f}:{n}" for f, n in sorted(looks.items())),
                "remark": _remark(len(own), options.min_members),
            }
        )
    return rows


def _remark(members: int, least: int) -> str:
    if not members:
        return "empty"
    return f"fewer than {least}" if members < least else ""


def _say(
    families: Families,
    members: Sequence[LabelledProtein],
    gathered: Gathered,
    options: Options,
) -> None:
    """Log what the reference holds and what it lacks."""
    counts = Counter(member.family for member in members)
    lineages = sum(bool(member.lineage) for member in members)
    logger.info(
        "%d proteins of %d families from %d files; %d with lineage, %d without",
        len(members), len(counts), len(gathered.readings), lineages, len(members) - lineages,
    )  # fmt: skip
    for role in ("target", "decoy", "single_copy"):
        of_role = [f for f in sorted(families.all_ids) if families.role(f) == role]
        empty = [family for family in of_role if not counts[family]]
        few = [f"{f} ({counts[f]})" for f in of_role if 0 < counts[f] < options.min_members]
        if empty:
            logger.warning("%s families without a member: %s", role, ", ".join(empty))
        if few:
            logger.warning(
                "%s families with fewer than %d members: %s",
                role, options.min_members, ", ".join(few),
            )  # fmt: skip
    if families.single_copy and not any(counts[family] for family in families.single_copy):
        logger.warning(
            "no single-copy family has a member: copies per genome cannot be stated, and the"
            " workflow refuses the reference. Add genomes (--genomes, --lineages) or the UniProt"
            " tables of single_copy.yaml"
        )


def _timed(what: str) -> Callable[[], None]:
    """Log `what`; the function that is returned logs how long it took."""
    start = time.monotonic()
    logger.info("%s ...", what)
    return lambda: logger.info("%s: %.0f s", what, time.monotonic() - start)
