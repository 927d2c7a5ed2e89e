"""Score SCFA routes from tables of HUMAnN, eggNOG-mapper or PICRUSt2.

Tables of KOs, EC numbers or UniRef clusters are scored by the same catalogue and the same rules
as reads. What identifiers cannot tell apart is said per call. The result is genetic potential.
"""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

from fermentome.catalogue import Catalogue, load_catalogue
from fermentome.defaults import catalogue_files
from fermentome.errors import TableError
from fermentome.evidence import COMMUNITY
from fermentome.foreign import FORMATS, ForeignSample, read_foreign_tables
from fermentome.foreign_scoring import (
    Sight,
    TableEvidence,
    TableScore,
    family_values,
    score_table_products,
    score_table_sample,
)
from fermentome.identifiers import (
    IdentifierIndex,
    Kind,
    ReferenceNames,
    catalogue_identifiers,
    index_identifiers,
    read_reference_names,
    read_single_copy_identifiers,
)
from fermentome.tables import Cell, write_table

SINGLE_COPY = "single_copy_identifiers.tsv"
OK, EMPTY, FAILED = "ok", "empty", "failed"

FAMILY_COLUMNS = (
    "sample", "family", "taxon", "role", "identifiers", "seen", "table_value", "shared_value",
    "table_unit", "copies_per_genome",
)  # fmt: skip
PATHWAY_COLUMNS = (
    "sample", "pathway", "taxon", "product", "direction", "copies_per_genome", "table_value",
    "table_unit", "completeness", "call", "tier", "missing_steps", "reason", "identifiers_used",
    "cannot_separate",
)  # fmt: skip
PRODUCT_COLUMNS = (
    "sample", "product", "direction", "call", "copies_per_genome", "table_value", "table_unit",
    "present_routes", "indeterminate_routes",
)  # fmt: skip
STATUS_COLUMNS = (
    "sample", "status", "reason", "file", "tool", "identifiers", "taxa", "features_read",
    "features_used", "share_used", "share_unidentified", "single_copy_families",
    "single_copy_median", "table_unit", "lowest_value",
)  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``fermentome table``."""
    parser.add_argument("tables", nargs="+", metavar="FILE", help="table, may be gzipped")
    parser.add_argument("--out", required=True, metavar="DIR", help="folder for the results")
    parser.add_argument(
        "--catalogue", metavar="DIR", help="catalogue of your own; default: the built-in"
    )
    parser.add_argument(
        "--reference",
        metavar="DIR",
        help="protein reference: families of UniRef clusters, and lineages of genera",
    )
    parser.add_argument("--format", choices=FORMATS, default="auto", help="tool; default: auto")


def run(arguments: argparse.Namespace) -> int:
    """Score tables and write families, pathways, products and status.

    Returns
    -------
    int
        0 if every sample was scored, 1 if one was not; status.tsv says why.
    """
    catalogue = load_catalogue(catalogue_files(arguments.catalogue))
    names = read_reference_names(arguments.reference) if arguments.reference else ReferenceNames()
    indices = build_indices(catalogue, arguments.catalogue, names)
    samples = read_foreign_tables(arguments.tables, indices, arguments.format)
    evidence = [TableEvidence(s, indices[s.kind], catalogue) for s in samples]
    status = {found.sample.name: judge_sample(found) for found in evidence}
    scored = [found for found in evidence if status[found.sample.name][0] == OK]
    scores = [score_table_sample(found, names.ranks) for found in scored]

    out = Path(arguments.out)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TableError(f"{out}: cannot be made ({error.strerror}); give another --out") from error
    write_table(out / "families.tsv", FAMILY_COLUMNS, _family_rows(scored, catalogue))
    write_table(out / "pathways.tsv", PATHWAY_COLUMNS, _pathway_rows(scores))
    write_table(out / "products.tsv", PRODUCT_COLUMNS, _product_rows(scores))
    write_table(out / "status.tsv", STATUS_COLUMNS, _status_rows(evidence, status))
    print(f"{len(scored)} of {len(samples)} samples scored; results in {out}")
    for name, (state, reason) in status.items():
        if state != OK:
            print(f"{name}: {state}: {reason}")
    return 0 if len(scored) == len(samples) else 1


def build_indices(
    catalogue: Catalogue, folder: str | None, names: ReferenceNames
) -> dict[Kind, IdentifierIndex]:
    """Indices of KOs, EC numbers and, if a reference names them, UniRef clusters.

    Parameters
    ----------
    folder
        Catalogue of the user's own. If it does not name identifiers of single-copy families,
        the built-in ones are used.
    """
    resources = Path(catalogue_files(None).families).parent
    own = Path(folder) / SINGLE_COPY if folder else None
    path = own if own is not None and own.exists() else resources / SINGLE_COPY
    indices = catalogue_identifiers(catalogue, read_single_copy_identifiers(path))
    if names.uniref:
        indices["UniRef"] = index_identifiers("UniRef", names.uniref, catalogue)
    return indices


def judge_sample(evidence: TableEvidence) -> tuple[str, str]:
    """Status of a sample, and why it cannot be scored.

    A sample without any value is not one without routes: other tools gave zeros for thousands of
    genomes whose annotation had failed (DRAM, issue 53).
    """
    sample = evidence.sample
    if not sample.features:
        return EMPTY, "no feature is above zero; was the sample annotated?"
    if sample.values[COMMUNITY] or sample.doubtful:
        return OK, ""
    if sample.kind == "UniRef":
        return FAILED, (
            f"none of {sample.features} UniRef clusters is in the reference; give one of the same"
            " release and level (UniRef90 or UniRef50), or regroup the table to KO"
        )
    return FAILED, (
        f"none of {sample.features} {sample.kind} features is of the catalogue or a universal"
        " single-copy family; is the table whole?"
    )


def _family_rows(
    samples: Sequence[TableEvidence], catalogue: Catalogue
) -> Iterator[dict[str, Cell]]:
    for evidence in samples:
        for row in family_values(evidence):
            yield {
                "sample": evidence.sample.name,
                "family": row.family,
                "taxon": row.taxon,
                "role": catalogue.role(row.family),
                "identifiers": _shorten(evidence.index.identifiers.get(row.family, ())),
                "seen": {Sight.SEEN: "yes", Sight.MISSING: "no"}.get(row.sight, "unknown"),
                "table_value": row.value,
                "shared_value": row.shared_value,
                "table_unit": evidence.sample.unit,
                "copies_per_genome": row.copies,
            }


def _shorten(names: Sequence[str]) -> str:
    more = f", and {len(names) - 8} more" if len(names) > 8 else ""
    return ", ".join(names[:8]) + more


def _pathway_rows(scores: Sequence[Sequence[TableScore]]) -> Iterator[dict[str, Cell]]:
    for sample_scores in scores:
        for score in sample_scores:
            yield {
                "sample": score.sample,
                "pathway": score.pathway,
                "taxon": score.taxon,
                "product": score.product,
                "direction": score.direction,
                "copies_per_genome": score.copies,
                "table_value": score.value,
                "table_unit": score.unit,
                "completeness": score.completeness,
                "call": score.call,
                "tier": score.tier,
                "missing_steps": ",".join(score.missing_steps),
                "reason": score.reason,
                "identifiers_used": score.identifiers_used,
                "cannot_separate": score.cannot_separate,
            }


def _product_rows(scores: Sequence[Sequence[TableScore]]) -> Iterator[dict[str, Cell]]:
    for sample_scores in scores:
        for product in score_table_products(sample_scores):
            yield {
                "sample": product.sample,
                "product": product.product,
                "direction": product.direction,
                "call": product.call,
                "copies_per_genome": product.copies,
                "table_value": product.value,
                "table_unit": product.unit,
                "present_routes": ",".join(product.present),
                "indeterminate_routes": ",".join(product.indeterminate),
            }


def _status_rows(
    samples: Sequence[TableEvidence], status: dict[str, tuple[str, str]]
) -> Iterator[dict[str, Cell]]:
    for evidence in samples:
        sample = evidence.sample
        state, reason = status[sample.name]
        everything = sample.total + sample.unidentified
        found = sum(value > 0 for value in evidence.single_copy.values())
        yield {
            "sample": sample.name,
            "status": state,
            "reason": reason or sample.filtered,
            "file": sample.source,
            "tool": sample.tool,
            "identifiers": sample.kind,
            "taxa": _taxa(evidence, sample),
            "features_read": sample.features,
            "features_used": sample.used,
            "share_used": sample.used_total / sample.total if sample.total else None,
            "share_unidentified": sample.unidentified / everything if everything else None,
            "single_copy_families": f"{found} of {len(evidence.single_copy)}",
            "single_copy_median": evidence.equivalents,
            "table_unit": sample.unit,
            "lowest_value": sample.lowest,
        }


def _taxa(evidence: TableEvidence, sample: ForeignSample) -> str:
    if sample.taxa_are:
        return sample.taxa_are
    return "one genome" if evidence.looks_like_one_genome() else "none"
