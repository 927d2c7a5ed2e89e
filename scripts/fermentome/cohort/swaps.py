"""Samples that look swapped between people.

A person's samples are nearer to each other than to those of other people (Franzosa 2015,
doi:10.1073/pnas.1423854112). A sample that is nearer to another person's is therefore suspect:
of all samples sequenced, 0.3 to 3 % are said to bear another's name (Tourlousse 2018,
doi:10.1038/s41598-018-27314-3). Each sample is compared with all people by Aitchison distance:

1. Its distance to a person is the mean of those to the `NEAREST` samples of that person that are
   nearest, its own left out. The nearest, because a person changes over time and because one
   strange sample among a person's must not spoil the comparison for the others.
2. Logistic regression over all pairs of sample and person, own pairs weighing as much as the
   others, turns a distance into a weight of evidence (Good 1950, Probability and the Weighing of
   Evidence): log10 of how much more likely that distance is for a person's own sample than for a
   stranger's. Its penalty (scikit-learn's default on standardised distances) keeps the evidence
   modest where samples are few. It is fitted twice, the second time without the own distances of
   samples that the first made suspect.
3. The evidence against the label is the weight for the person who fits best, less that for the
   own one.

A sample is flagged in one of two ways:

``pair``
    Two samples of two people, each of which fits the other's person best, with odds of at least
    `PAIR_ODDS` each and `SINGLE_ODDS` together. They explain each other.
``elsewhere``
    A sample that fits another person, without a partner. Its evidence must reach `SINGLE_ODDS`,
    and exceed what only `FALSE_FLAGS` of the samples of this cohort would reach without any swap,
    or reach `MOST_ODDS`.
    Evidence is not likelihood: after antibiotics a person is like nobody, or like others after
    antibiotics. The tail of the evidence is therefore taken from the cohort itself
    (`tail_threshold`), in a way that a few swapped samples move little.

Measured by planting swaps in HMP2 and in simulated people: `benchmarks/cohort/swaps.py`.

A flag is a reason to look at the records of the laboratory. It is no proof, and nothing is
exchanged or left out because of it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegression

from fermentome.cohort.data import TAXA, Account, Cohort, Numbers
from fermentome.cohort.ordination import AITCHISON, distances
from fermentome.cohort.settings import Settings
from fermentome.cohort.text_tables import AnyPath
from fermentome.cohort.visits import event_of
from fermentome.tables import Cell, write_table

Places = npt.NDArray[np.intp]
Mask = npt.NDArray[np.bool_]
METRIC = AITCHISON
"""Of five distances, the one by which most samples of HMP2 were nearest to their own person in the
mean: 93 %, against 65 % by Bray-Curtis."""
NEAREST = 3
"""Of 1, 3, half and all samples of a person, 3 found most planted swaps in HMP2."""
PAIR_ODDS = float(np.log10(19))
"""19 to 1: probability of 95 % for a sample that could as well be of either person."""
SINGLE_ODDS = float(np.log10(19 * 0.99 / 0.01))
"""Probability of 95 % for a sample of which one in a hundred is swapped."""
MOST_ODDS = float(np.log10(19 * 0.9999 / 0.0001))
"""The same if one in ten thousand is swapped. It is enough whatever the tail says, since many
samples under other names would else hide behind each other."""
FALSE_FLAGS = 0.01
"""Share of unswapped samples that may be flagged as ``elsewhere``. In HMP2 it comes to 0.9 to
1.5 %, the study's own swaps among them if it has any."""
TAIL_FROM, TAIL_TO = 0.9, 0.975
"""Quantiles of the evidence from which its tail is taken. Above the upper one only the number
counts, not how far out they lie: up to 2.5 % of the samples may be swapped. From 0.8 on, the tail
of HMP2 was not yet exponential, and twice as many were flagged as were meant to be."""
LEAST_FOR_TAIL = 80
"""Samples; with fewer, fewer than 8 lie in the tail, and its rate is known to a third at best."""
MOST_PLANTED, PLANTINGS = 10, 3
"""Pairs that are swapped on purpose, and how often, to say what would be found."""
PAIR, ELSEWHERE, NOT_FLAGGED, NOT_CHECKED = "pair", "elsewhere", "not_flagged", "not_checked"
SWAP_COLUMNS = (
    "sample", "subject", "timepoint", "event", "own_samples", "own_distance", "fits_best",
    "best_distance", "log10_odds", "threshold", "verdict", "partner", "note",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Fits:
    """How well each sample fits each person.

    Attributes
    ----------
    people
        Sorted by name.
    own
        Index of the person of each sample.
    distance
        Of shape (samples, people); NaN where a person has no other sample.
    weight
        log10 of the likelihood ratio, same shape; -inf where there is no distance.
    """

    people: tuple[str, ...]
    own: Places
    distance: Numbers
    weight: Numbers

    @property
    def checked(self) -> Mask:
        """Whether a sample's own person has another sample."""
        mask: Mask = ~np.isnan(self.distance[np.arange(self.own.size), self.own])
        return mask

    @property
    def best(self) -> Places:
        """Index of the other person whom a sample fits best."""
        others = self.weight.copy()
        others[np.arange(self.own.size), self.own] = -np.inf
        return np.asarray(others.argmax(axis=1), dtype=np.intp)

    @property
    def evidence(self) -> Numbers:
        """log10 odds of the best other person against the own one; NaN where not checked."""
        rows = np.arange(self.own.size)
        known = self.checked
        result = np.full(self.own.size, np.nan)
        own, best = self.weight[rows, self.own], self.weight[rows, self.best]
        result[known] = best[known] - own[known]
        return result


@dataclass(frozen=True, slots=True)
class Flags:
    """What was flagged.

    Attributes
    ----------
    verdict, partner
        By sample; the partner's index, -1 without one.
    threshold
        Evidence from which a sample without a partner is flagged.
    calibrated
        Whether the threshold could be taken from the cohort's own tail, or is above it.
    pairs_by_chance
        Number of pairs to be expected if the best other person were drawn at random.
    """

    verdict: tuple[str, ...]
    partner: tuple[int, ...]
    threshold: float
    calibrated: bool
    pairs_by_chance: float


def distances_to_people(
    square: Numbers, own: Places, people: int, apart: Mask | None = None
) -> Numbers:
    """Mean distance of each sample to the nearest ones of each person.

    Parameters
    ----------
    square
        Distances between samples.
    own
        Index of the person of each sample.
    people
        Their number.
    apart
        Pairs of samples that are not compared, as technical replicates: they say nothing of how
        like itself a person stays.

    Returns
    -------
    numpy.ndarray
        Of shape (samples, people); NaN where a person has no sample to compare with.
    """
    masked = square.astype(np.float64, copy=True)
    np.fill_diagonal(masked, np.nan)
    if apart is not None:
        masked[apart] = np.nan
    result = np.full((own.size, people), np.nan)
    for person in range(people):
        nearest = np.sort(masked[:, own == person], axis=1)[:, :NEAREST]  # NaN comes last
        known = ~np.isnan(nearest)
        number = known.sum(axis=1)
        sums = np.where(known, nearest, 0.0).sum(axis=1)
        result[number > 0, person] = sums[number > 0] / number[number > 0]
    return result


def fit_people(square: Numbers, subjects: Sequence[str], apart: Mask | None = None) -> Fits | None:
    """Weigh the evidence that each sample is of each person.

    Returns
    -------
    Fits or None
        `None` if people are no nearer to themselves than to each other.
    """
    people, own = np.unique(np.asarray(subjects, dtype=object).astype(str), return_inverse=True)
    names = tuple(str(name) for name in people)
    distance = distances_to_people(square, own, people.size, apart)
    used: Mask = ~np.isnan(distance)
    rows = np.arange(own.size)
    fits = None
    # What a first fit makes suspect says nothing of how like themselves people are: with 14 of
    # 320 simulated samples under other names, one fit lost half of the evidence against them.
    for _ in range(2):
        weight = weigh(distance, own, used)
        if weight is None:
            return fits
        fits = Fits(names, own, distance, weight)
        suspect = np.nan_to_num(fits.evidence, nan=-np.inf) >= PAIR_ODDS
        used = used.copy()
        used[rows[suspect], own[suspect]] = False
    return fits


def weigh(distance: Numbers, own: Places, used: Mask) -> Numbers | None:
    """log10 of the likelihood ratio, own person against a stranger, of each distance.

    Parameters
    ----------
    distance
        Of shape (samples, people).
    own
        Index of the person of each sample.
    used
        What the regression is fitted to.

    Returns
    -------
    numpy.ndarray or None
        -inf where there is no distance. `None` if own distances are not the shorter ones.
    """
    is_own = np.zeros(distance.shape, dtype=bool)
    is_own[np.arange(own.size), own] = True
    value, label = distance[used], is_own[used]
    if not label.any() or label.all() or np.ptp(value) == 0:
        return None
    middle, spread = value.mean(), value.std()
    each = np.where(label, 0.5 / label.sum(), 0.5 / (~label).sum()) * label.size
    model = LogisticRegression(max_iter=1000)
    model.fit(((value - middle) / spread)[:, None], label, sample_weight=each)
    if model.coef_[0, 0] >= 0:
        return None
    known = ~np.isnan(distance)
    weight = np.full(distance.shape, -np.inf)
    scaled = ((distance[known] - middle) / spread)[:, None]
    weight[known] = model.decision_function(scaled) / np.log(10)
    return weight


def censored_exponential_mean(values: Numbers, limit: float) -> float:
    """Mean of an exponential distribution of which values above a limit are only counted.

    The sum of all values, those above the limit counted as the limit, over the number below it
    (Meeker and Escobar 1998, Statistical Methods for Reliability Data, p. 166).

    Examples
    --------
    >>> censored_exponential_mean(np.array([16, 33, 10, 250.0]), 200)
    86.33333333333333
    """
    below = values < limit
    return float(np.minimum(values, limit).sum() / below.sum())


def tail_threshold(evidence: Numbers, share: float = FALSE_FLAGS) -> float | None:
    """Evidence that a given share of unswapped samples would exceed.

    The upper tail is taken as exponential from the quantile `TAIL_FROM` on. Values above the
    quantile `TAIL_TO` are only counted, so that swapped samples do not widen it.

    Returns
    -------
    float or None
        `None` with too few samples to say.
    """
    known = evidence[np.isfinite(evidence)]
    if known.size < LEAST_FOR_TAIL:
        return None
    start, end = np.quantile(known, [TAIL_FROM, TAIL_TO])
    excess = known[known > start] - start
    if not excess.size or end <= start:
        return None
    mean = censored_exponential_mean(excess, float(end - start))
    return float(start + mean * np.log((1 - TAIL_FROM) / share))


def flag(fits: Fits, false_flags: float = FALSE_FLAGS) -> Flags:
    """Flag the samples that look swapped."""
    evidence = np.nan_to_num(fits.evidence, nan=-np.inf)
    best, number = fits.best, fits.own.size
    likely = evidence >= PAIR_ODDS
    partner = np.full(number, -1)
    candidates = np.flatnonzero(likely)
    found = sorted(
        (-(evidence[i] + evidence[j]), int(i), int(j))
        for i in candidates
        for j in candidates[(candidates > i) & (fits.own[candidates] == best[i])]
        if best[j] == fits.own[i] and evidence[i] + evidence[j] >= SINGLE_ODDS
    )
    for _, i, j in found:
        if partner[i] < 0 and partner[j] < 0:
            partner[i], partner[j] = j, i
    # Samples that a partner explains say nothing of the others.
    tail = tail_threshold(evidence[partner < 0], false_flags)
    threshold = SINGLE_ODDS if tail is None else min(max(SINGLE_ODDS, tail), MOST_ODDS)
    verdict = np.where(evidence >= threshold, ELSEWHERE, NOT_FLAGGED).astype(object)
    verdict[partner >= 0] = PAIR
    verdict[~fits.checked] = NOT_CHECKED
    people = len(fits.people)
    from_person = np.bincount(fits.own[candidates], minlength=people)
    to_person = np.bincount(best[candidates], minlength=people)
    chance = 0.0
    if candidates.size:
        share = to_person / candidates.size
        chance = float(sum(from_person[best[i]] * share[fits.own[i]] for i in candidates) / 2)
    calibrated = tail is not None and tail <= MOST_ODDS
    partners = tuple(int(j) for j in partner)
    return Flags(tuple(verdict), partners, threshold, calibrated, chance)


def plant(
    subjects: Sequence[str], pairs: int, generator: np.random.Generator
) -> tuple[list[str], dict[int, int]]:
    """Exchange the names of pairs of samples of different people.

    Only people with three samples or more lose one: of two samples that contradict each other
    nobody can say which is the stranger.

    Returns
    -------
    subjects, planted
        The new labels, and the partner of each swapped sample.
    """
    names = list(subjects)
    number = Counter(names)
    free = [i for i, name in enumerate(names) if number[name] > 2]
    order = [free[i] for i in generator.permutation(len(free))]
    planted: dict[int, int] = {}
    while order and len(planted) < 2 * pairs:
        first = order.pop(0)
        second = next((i for i in order if subjects[i] != subjects[first]), None)
        if second is None:
            break
        order.remove(second)
        names[first], names[second] = subjects[second], subjects[first]
        planted[first], planted[second] = second, first
    return names, planted


def planted_recall(
    square: Numbers, subjects: Sequence[str], seed: int, apart: Mask | None = None
) -> tuple[int, int]:
    """Number of planted swapped samples that are flagged, and of all that were planted."""
    found = total = 0
    pairs = max(1, min(MOST_PLANTED, len(subjects) // 40))
    for planting in range(PLANTINGS):
        generator = np.random.default_rng([seed, 0x5A3, planting])
        names, planted = plant(subjects, pairs, generator)
        fits = fit_people(square, names, apart)
        total += len(planted)
        if fits is not None:
            verdict = flag(fits).verdict
            found += sum(verdict[i] in {PAIR, ELSEWHERE} for i in planted)
    return found, total


def find_swaps(cohort: Cohort, settings: Settings, account: Account) -> list[dict[str, Cell]]:
    """Rows of `SWAP_COLUMNS`, one per sample of a named person; none if nothing can be said."""
    item = "samples swapped between people"
    table = cohort.tables.get(TAXA)
    if table is None:
        account.left_out(item, "there is no table of taxa, by which people are told apart")
        return []
    subject_of = dict(zip(cohort.samples, cohort.metadata.column("subject").values, strict=True))
    named = [name for name in table.samples if subject_of.get(name)]
    every = distances(table.select(named), METRIC)
    # Samples that cannot be compared have no distance, not even to themselves.
    seen = np.flatnonzero(~np.isnan(np.diagonal(every)))
    square = every[np.ix_(seen, seen)]
    samples = [named[i] for i in seen]
    subjects = [subject_of[name] or "" for name in samples]
    repeated = sum(number > 1 for number in Counter(subjects).values())
    if repeated < 2:
        account.left_out(
            item,
            f"{repeated} people with two samples or more: at least 2 are needed, named in"
            " the column subject",
            len(samples), len(set(subjects)),
        )  # fmt: skip
        return []
    apart = replicate_pairs(cohort, samples)
    fits = fit_people(square, subjects, apart)
    if fits is None:
        account.left_out(
            item,
            "people are no nearer to themselves than to others in this table, so nobody's sample"
            " can be told from another's",
            len(samples), len(set(subjects)),
        )  # fmt: skip
        return []
    flags = flag(fits)
    say(account, item, fits, flags, planted_recall(square, subjects, settings.seed, apart))
    return rows_of(cohort, samples, fits, flags)


def replicate_pairs(cohort: Cohort, samples: Sequence[str]) -> Mask | None:
    """Pairs of technical replicates: same person and timepoint, in a sheet that has replicates."""
    metadata = cohort.metadata
    if "replicate" not in metadata.columns:
        return None
    place = {name: i for i, name in enumerate(metadata.samples)}
    own = [place[name] for name in samples]
    key = np.array([
        f"{metadata.column('subject').values[i]}\t{metadata.column('timepoint').values[i]}"
        for i in own
    ])  # fmt: skip
    marked = np.array([metadata.column("replicate").values[i] is not None for i in own])
    same: Mask = (key[:, None] == key[None, :]) & marked[:, None] & marked[None, :]
    return same


def say(account: Account, item: str, fits: Fits, flags: Flags, recall: tuple[int, int]) -> None:
    """Put into the account what was flagged, and how far flags can be trusted here."""
    checked = fits.checked
    identified = float(np.mean(fits.evidence[checked] <= 0))
    pairs = flags.verdict.count(PAIR) // 2
    text = (
        f"{pairs} pairs of samples that explain each other ({flags.pairs_by_chance:.2g} by"
        f" chance), {flags.verdict.count(ELSEWHERE)} further samples that look like another"
        f" person's; {identified:.0%} of the samples are nearest to their own person"
    )
    if flags.calibrated:
        text += f"; about {FALSE_FLAGS:.0%} of unswapped samples may be flagged without a partner"
    elif checked.sum() >= LEAST_FOR_TAIL:
        text += (
            "; many samples are unlike their own person, swapped or not, so that more than"
            f" {FALSE_FLAGS:.0%} of the unswapped ones may be flagged"
        )
    else:
        text += f"; fewer than {LEAST_FOR_TAIL} samples: the share of false flags is not calibrated"
    if recall[1]:
        text += f"; of {recall[1]} samples swapped on purpose, {recall[0]} were flagged"
    else:
        text += "; no two people have three samples, so what would be found is not known"
    if not checked.all():
        text += f"; {int((~checked).sum())} samples of people with one sample not checked"
    account.partly(item, text, int(checked.sum()), len(set(fits.own[checked].tolist())))


def rows_of(
    cohort: Cohort, samples: Sequence[str], fits: Fits, flags: Flags
) -> list[dict[str, Cell]]:
    """Rows of `SWAP_COLUMNS`, by sample."""
    metadata = cohort.metadata.select(samples)
    evidence, best = fits.evidence, fits.best
    size = np.bincount(fits.own, minlength=len(fits.people))
    rows: list[dict[str, Cell]] = []
    for i, sample in enumerate(samples):
        verdict, other = flags.verdict[i], flags.partner[i]
        event = event_of(metadata.column("event").values[i])
        note = ""
        if verdict == NOT_CHECKED:
            note = "the only sample of this person that can be compared"
        elif verdict != NOT_FLAGGED and event is not None:
            note = "taken during an event, which can make a person unlike themselves"
        elif verdict != NOT_FLAGGED and size[fits.own[i]] == 2:
            note = "one of two samples of this person: either of them may be the stranger"
        rows.append({
            "sample": sample,
            "subject": fits.people[fits.own[i]],
            "timepoint": metadata.column("timepoint").values[i],
            "event": event,
            "own_samples": int(size[fits.own[i]]) - 1,
            "own_distance": float(fits.distance[i, fits.own[i]]),
            "fits_best": None if verdict == NOT_CHECKED else fits.people[best[i]],
            "best_distance": (
                None if verdict == NOT_CHECKED else float(fits.distance[i, best[i]])
            ),
            "log10_odds": float(evidence[i]),
            "threshold": flags.threshold,
            "verdict": verdict,
            "partner": samples[other] if other >= 0 else None,
            "note": note,
        })  # fmt: skip
    return rows


def write_swaps(
    cohort: Cohort, settings: Settings, account: Account, outputs: Mapping[str, AnyPath]
) -> list[dict[str, Cell]]:
    """Find swapped samples and write them to ``outputs["swaps"]``."""
    rows = find_swaps(cohort, settings, account)
    write_table(outputs["swaps"], SWAP_COLUMNS, rows)
    return rows
