"""The one place where p-values of a cohort are corrected for their number.

The method is that of Benjamini and Hochberg (1995, doi:10.1111/j.2517-6161.1995.tb02031.x), which
holds the false discovery rate also where tests are positively dependent (Benjamini and Yekutieli
2001, doi:10.1214/aos/1013699998), as those of related features are.

Which tests are corrected together is a question that each analysis answers where it calls
`adjust`, by the names of the families:

- effects of groups and covariates: the features of one table, for one level of one column,
  abundance and detection apart. A reader looks at one such list at a time. A cohort with many
  columns has many lists, and the rate holds within each of them;
- PERMANOVA: all columns and distances of a run; the tests of dispersion are a family of their own;
- people: all visits of one person, for measures of one kind (diversity, products, pathways, ...);
- responses to an event: the measures of one kind, for one event and phase;
- metabolites: the pairs of a product and the metabolite of its name are a family, the exploratory
  pairs another one.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.stats import false_discovery_control

from fermentome.cohort.data import Numbers
from fermentome.errors import CohortError


def adjust(p: Numbers, family: Sequence[str] | None = None) -> Numbers:
    """False discovery rates (q) of p-values.

    Parameters
    ----------
    p
        One per test; NaN where nothing was tested. Such a test counts for nothing.
    family
        Name of the family of each test; families are corrected apart. All are one without it.

    Returns
    -------
    numpy.ndarray
        q in the order of `p`; NaN stays NaN.

    Raises
    ------
    CohortError
        If a p-value is not within 0 and 1, or there are not as many families as p-values.

    Examples
    --------
    >>> adjust(np.array([0.01, 0.04, np.nan, 0.03])).tolist()
    [0.03, 0.04, nan, 0.04]
    >>> adjust(np.array([0.01, 0.04, 0.03]), ["a", "b", "b"]).tolist()
    [0.01, 0.04, 0.04]
    """
    p = np.asarray(p, dtype=np.float64)
    names = np.zeros(p.size, dtype=np.intp)
    if family is not None:
        if len(family) != p.size:
            raise CohortError(
                f"multiple testing: {len(family)} families, {p.size} expected: one per p-value"
            )
        names = np.unique(np.asarray(family, dtype=object), return_inverse=True)[1]
    known = ~np.isnan(p)
    wrong = known & ~((p >= 0) & (p <= 1))
    if wrong.any():
        place = int(np.flatnonzero(wrong)[0])
        raise CohortError(
            f"multiple testing, test {place + 1}: p = {p[place]}, a value from 0 to 1 expected"
        )
    q = np.full(p.shape, np.nan)
    for name in np.unique(names[known]):
        own = known & (names == name)
        q[own] = false_discovery_control(p[own], method="bh")
    return q
