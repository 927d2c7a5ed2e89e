"""From fragments to copies per genome equivalent.

The expected number of fragments of a family is its copies per genome, times the number of
genome equivalents sequenced, times an effective length: the number of fragment positions
that can yield an accepted alignment. Dividing by the same quantity of universal single-copy
families cancels the genome equivalents, so that samples of any depth and average genome size
compare (Nayfach & Pollard 2015, doi:10.1186/s13059-015-0611-7).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import optimize, stats

CONFIDENCE = 0.95
FAMILY_VARIATION = 0.1
"""Standard deviation of the logarithm of estimated over true copies among 58 target families of
simulated communities whose species the reference holds, counting noise being small; 0.07 among
single-copy families (benchmarks/accuracy/communities.py --communities 8 --max-pairs 600000 --seed
20; the judge draws others)."""
MINIMUM_SINGLE_COPY_FRAGMENTS = 10
"""Below this number the relative standard error of the genome equivalents exceeds
1/sqrt(10) = 32 %, and no copies per genome are stated."""


@dataclass(frozen=True, slots=True)
class Library:
    """Clean reads of a sample, in what the effective length depends on.

    Attributes
    ----------
    paired_fragments, single_fragments
        Number of clean pairs and of clean single-end reads.
    read_length
        Mean length of the clean reads, nucleotides.
    mate_offset
        Mean distance between the starts of the two mates, nucleotides; see
        `estimate_mate_offset`.
    """

    paired_fragments: int
    single_fragments: int
    read_length: float
    mate_offset: float


@dataclass(frozen=True, slots=True)
class GenomeEquivalents:
    """Sequencing depth in copies of a single-copy gene.

    Attributes
    ----------
    density
        Fragments per nucleotide of effective length that a gene with one copy per genome
        receives; NaN if too few single-copy fragments were seen.
    fragments
        Fragments of the single-copy families that were used.
    effective_length
        Sum of their effective lengths, nucleotides.
    families_used, families_total
        Families used and offered; the difference was set aside as outlying.
    variation
        Coefficient of variation between families beyond counting noise: how evenly genes of
        the same number of copies are covered and found.
    family_variation
        The same of other families, which vary more; see `genome_equivalents`.
    interquartile_ratio
        Third over first quartile of the families' densities, NaN where not defined.
    median_density
        Median over all families of fragments per nucleotide.
    """

    density: float
    fragments: float
    effective_length: float
    families_used: int
    families_total: int
    variation: float
    family_variation: float
    interquartile_ratio: float
    median_density: float


def read_effective_length(protein_length: float, read_length: float, min_cover: float) -> float:
    """Start positions of a read that yield an accepted alignment to a gene.

    ``3 L + r - 2 m + 1`` with L the protein in amino acids, r the read and m the shortest
    accepted alignment, ``min_cover * r``, all in nucleotides.

    >>> read_effective_length(400, 100, 0.6)
    1181.0
    """
    return max(3 * protein_length + read_length - 2 * min_cover * read_length + 1, 1.0)


def fragment_effective_length(positions: float, library: Library) -> float:
    """Positions of a fragment at which at least one of its mates is accepted.

    The two mates of a pair start `mate_offset` apart, so the fragment has as many positions
    as one mate plus the part that the other adds. A sample with paired and single-end runs
    has the mean of both, weighted by their fragments.

    Parameters
    ----------
    positions
        Effective length of one read, see `read_effective_length`.
    """
    paired = positions + min(library.mate_offset, positions)
    total = library.paired_fragments + library.single_fragments
    if not total:
        return positions
    share = library.paired_fragments / total
    return share * paired + (1 - share) * positions


def estimate_mate_offset(
    fragments: Sequence[float], mates: Sequence[float], positions: Sequence[float]
) -> float:
    """Distance between the starts of mates that explains how often both mates hit a family.

    With density q, a family of W read positions receives 2 q W mates and q (W + min(d, W))
    fragments. The offset d is the one for which the fragments of all families together are
    the ones seen. No insert size has to be known, and pairs that do not overlap count too.

    Parameters
    ----------
    fragments, mates, positions
        Per family: fragments from pairs, mates among them that hit, read effective length.

    Returns
    -------
    float
        Nucleotides; 0 if nothing was seen.
    """
    count = np.asarray(fragments, float)
    seen = np.asarray(mates, float)
    width = np.asarray(positions, float)
    if not count.sum():
        return 0.0

    def surplus(offset: float) -> float:
        return float((seen / (2 * width) * (width + np.minimum(offset, width)) - count).sum())

    upper = float(width.max())
    if surplus(0.0) >= 0:
        return 0.0
    if surplus(upper) <= 0:
        return upper
    return float(optimize.brentq(surplus, 0.0, upper, xtol=1e-6))


def genome_equivalents(
    fragments: Sequence[float],
    effective_lengths: Sequence[float],
    least_family_variation: float = 0.0,
) -> GenomeEquivalents:
    """Density of single-copy genes, robust against families that are off.

    The estimate is the ratio of sums over the families. A family is set aside if its count
    lies both outside twofold of what the others predict and beyond three standard errors:
    families that the reference serves badly or that are not single in a dominant organism.
    At low depth nothing is outlying, where a median of small counts would be coarse.

    Parameters
    ----------
    fragments, effective_lengths
        Per single-copy family.
    least_family_variation
        Variation of other families where the single-copy ones of the sample show less, see
        `FAMILY_VARIATION`.
    """
    count = np.asarray(fragments, float)
    length = np.asarray(effective_lengths, float)
    used = np.ones(len(count), bool)
    for _ in range(len(count)):
        density = count[used].sum() / length[used].sum() if used.any() else math.nan
        expected = density * length
        off = (np.abs(count - expected) > 3 * np.sqrt(expected)) & (
            (count > 2 * expected) | (count < expected / 2)
        )
        if (off == ~used).all() or off.sum() > len(count) / 2:
            break
        used = ~off
    total = float(count[used].sum())
    size = float(length[used].sum())
    density = total / size if size else math.nan
    variation = 0.0
    if used.sum() > 1 and total > 0:
        expected = density * length[used]
        excess = float(((count[used] - expected) ** 2 - expected).sum())
        variation = math.sqrt(max(0.0, excess / float((expected**2).sum())))
    quartiles = np.quantile(count / length, [0.25, 0.5, 0.75]) if len(count) else [math.nan] * 3
    return GenomeEquivalents(
        density=density if total >= MINIMUM_SINGLE_COPY_FRAGMENTS else math.nan,
        fragments=total,
        effective_length=size,
        families_used=int(used.sum()),
        families_total=len(count),
        variation=variation,
        family_variation=max(variation, least_family_variation),
        interquartile_ratio=float(quartiles[2] / quartiles[0]) if quartiles[0] > 0 else math.nan,
        median_density=float(quartiles[1]),
    )


def independent_count(fragments: float, variation: float) -> float:
    """Count of a Poisson variable that is as uncertain as `fragments` of one family are.

    The variance of a count n is n + (variation * n)^2 (negative binomial): no number of reads
    makes a gene more certain than the evenness of coverage allows.
    """
    return fragments / (1 + variation**2 * fragments)


def counting_bounds(fragments: float, variation: float) -> tuple[float, float]:
    """95 % bounds of the expected fragments of a family (Garwood 1936,
    doi:10.1093/biomet/28.3-4.437), widened by the variation between genes.
    """  # noqa: D205
    count = independent_count(fragments, variation)
    scale = fragments / count if fragments else 1.0
    alpha = 1 - CONFIDENCE
    low = float(stats.gamma.ppf(alpha / 2, count)) if count else 0.0
    return low * scale, float(stats.gamma.ppf(1 - alpha / 2, count + 1)) * scale


def depth_bounds(equivalents: GenomeEquivalents) -> tuple[float, float]:
    """95 % bounds of the genome equivalents, as multiples of the estimate."""
    shared = equivalents.variation / math.sqrt(max(equivalents.families_used, 1))
    low, high = counting_bounds(equivalents.fragments, shared)
    return low / equivalents.fragments, high / equivalents.fragments


def copies_per_genome(
    fragments: float, effective_length: float, equivalents: GenomeEquivalents
) -> tuple[float, float, float]:
    """Copies of a family per genome equivalent, with its 95 % confidence interval.

    Given their sum, the family's fragments among family plus single-copy fragments are
    binomial; the interval is the exact one of Clopper & Pearson (1934,
    doi:10.1093/biomet/26.4.404), turned into a ratio, for the counts that remain when the
    variation between genes is taken off, see `independent_count`.

    Returns
    -------
    copies, low, high
        NaN if the genome equivalents are not known. With no fragment the copies are 0 and
        the upper bound says what the depth leaves open.
    """
    if math.isnan(equivalents.density):
        return math.nan, math.nan, math.nan
    copies = fragments / effective_length / equivalents.density
    own = independent_count(fragments, equivalents.family_variation)
    shared = equivalents.variation / math.sqrt(max(equivalents.families_used, 1))
    reference = independent_count(equivalents.fragments, shared)
    alpha = 1 - CONFIDENCE
    low = float(stats.beta.ppf(alpha / 2, own, reference + 1)) if own > 0 else 0.0
    high = float(stats.beta.ppf(1 - alpha / 2, own + 1, reference))
    # The odds of the reduced counts, brought back to the ratio of the whole ones.
    scale = equivalents.effective_length / effective_length * reference / equivalents.fragments
    scale *= fragments / own if own else 1.0
    return copies, low / (1 - low) * scale, high / (1 - high) * scale


def detection_limit(
    single: Sequence[float],
    equivalents: GenomeEquivalents,
    minimum_fragments: int,
    pooled: Sequence[float] = (),
    single_others: Sequence[float] | None = None,
) -> float:
    """Copies per genome at which families would all be detected 19 times in 20.

    Parameters
    ----------
    single
        Effective lengths of families that each need the minimum.
    minimum_fragments
        Fragments that count as detection.
    pooled
        Effective lengths of k families of which each needs one fragment and all together need
        the minimum beyond these k.
    single_others
        Fragments of the `single` families that come from elsewhere anyway; none by default.

    Returns
    -------
    float
        Counts are taken to be Poisson. NaN if the genome equivalents are not known.
    """
    if math.isnan(equivalents.density) or not len(single) + len(pooled):
        return math.nan
    alone = equivalents.density * np.asarray(single, float)
    together = equivalents.density * np.asarray(pooled, float)
    beside = np.zeros(len(alone)) if single_others is None else np.asarray(single_others, float)

    def shortfall(log_copies: float) -> float:
        copies = math.exp(log_copies)
        chance = float(np.prod(stats.poisson.sf(minimum_fragments - 1, copies * alone + beside)))
        if len(together):
            chance *= _chance_of_sum(copies * together, minimum_fragments + len(together))
        return chance - CONFIDENCE

    centre = -math.log(min([*alone, *together]))
    if shortfall(centre - 10) >= 0:
        return math.exp(centre - 10)  # all of them come from elsewhere
    return math.exp(float(optimize.brentq(shortfall, centre - 10, centre + 10, xtol=1e-9)))


def _chance_of_sum(expected: np.ndarray, enough: int) -> float:
    """Chance that Poisson counts are all at least 1 and add up to at least `enough`."""
    total = np.array([1.0])
    for rate in expected:
        seen = stats.poisson.pmf(np.arange(enough), rate)
        seen[0] = 0.0
        total = np.convolve(total, seen)[:enough]
    return float(np.prod(stats.poisson.sf(0, expected)) - total.sum())
