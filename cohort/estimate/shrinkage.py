"""A registry's own estimate is drawn towards what other places found, by as much as it is the less sure of the two.

The literature's prediction for a new place, normal around the pooled value with variance tau squared plus that of the
pooled value, is taken as a prior; the registry's estimate is normal around its own truth; the mean of both, weighted by
their precisions, is what both say together (Efron and Morris 1975, J Am Stat Assoc 70:311). On the scale on which the
studies were pooled. It is honest only if the registry could have been one of the studies: same outcome, same unit, same
window. Tau squared is taken as known, which with few studies it is not.
"""

from __future__ import annotations

import math
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
from scipy import stats

from cohort.domain.errors import EstimationError
from cohort.estimate import report
from cohort.estimate.meta_studies import FEW_STUDIES
from cohort.tables.results import Estimates

ErrorOf = Literal["estimate", "coef"]
SURPRISE = 0.05


def shrink(
    estimate: float,
    std_error: float,
    pooled: Estimates,
    *,
    group: str | float | None = None,
    error_of: ErrorOf = "estimate",
    confidence: float = 0.95,
    outcome: str = "",
) -> Estimates:
    """One registry's estimate, the literature's prediction for it, and both together.

    estimate : a proportion, rate (of the same `per` and time as the studies), ratio or difference, as read.
    std_error : of that estimate (as in curves and proportions), or with error_of="coef" of its logit or logarithm (as
        in models and rates).
    pooled : from `meta_proportions` ("glmm" or "logit"), `meta_rates` or `meta_effects`. group : the value of the
        subgroup column whose pooled row is meant, needed where there are several.

    Returns three rows, `row` "prior", "registry" and "shrunken": estimate, conf_low, conf_high, coef, std_error, and
    `weight`, the share of the prior and of the registry in the result. `settings`: prior_mean and prior_sd (scale of
    coef), tau2, and `surprise_p_value`, how often the prior would see a registry at least as far off. The note says
    when that is rare, and when the spread between studies is unsure or none was found. The limits of the prior are
    normal, so they are narrower than the prediction interval of few studies, whose limits are of Student's t.

    >>> from cohort.estimate.meta import meta_proportions
    >>> df = pd.DataFrame({"events": [2, 30, 9, 58, 11], "n": [150, 240, 110, 260, 200]})
    >>> found = shrink(0.20, 0.05, meta_proportions(df, events="events", n="n"))
    >>> found.frame[["row", "estimate", "conf_low", "conf_high"]].round(3).to_numpy().tolist()
    [['prior', 0.078, 0.012, 0.37], ['registry', 0.2, 0.119, 0.316], ['shrunken', 0.185, 0.112, 0.289]]
    """
    scale = pooled.settings.get("scale")
    if scale not in ("identity", "log", "logit"):
        raise EstimationError(
            "Shrinking needs studies pooled as log odds, logarithms or differences; double arcsines are read back with "
            'a size, which a registry does not share: pool with method="glmm".'
        )
    if error_of not in get_args(ErrorOf):
        raise EstimationError(f"error_of must be estimate or coef, and is {error_of!r}.")
    row = _pooled_row(pooled, group)
    per = float(pooled.settings.get("per", 1.0))
    y, error = _on_scale(float(estimate), float(std_error), str(scale), per, error_of)
    prior, tau2, prior_error = float(row["coef"]), float(row["tau2"]), float(row["std_error"])
    variance = tau2 + prior_error**2
    if not (math.isfinite(prior) and math.isfinite(variance)):
        raise EstimationError(
            "The pooled row has no spread between studies to predict from: at least two studies with events are "
            "needed, pooled with random effects."
        )
    weight = variance / (variance + error**2)
    both = weight * y + (1.0 - weight) * prior
    coef, errors = np.array([prior, y, both]), np.sqrt([variance, error**2, weight * error**2])
    surprise = float(report.two_sided(np.array([(y - prior) / math.sqrt(variance + error**2)]))[0])
    reach = report.quantile(confidence) * errors
    notes = []
    if surprise < SURPRISE:
        notes.append("fewer than one registry in 20 would lie as far from this prior: ask why before drawing it in")
    if tau2 == 0.0:
        notes.append("no spread between studies was found, which is not to say there is none: drawn in too far")
    elif float(row["n_studies"]) < FEW_STUDIES:
        notes.append(f"the spread comes from only {row['n_studies']:g} studies")
    said = "; ".join(notes)
    return report.estimates(
        {
            "row": ["prior", "registry", "shrunken"],
            "outcome": outcome,
            "measure": row["measure"],
            "estimate": _read(coef, str(scale), per),
            "conf_low": _read(coef - reach, str(scale), per),
            "conf_high": _read(coef + reach, str(scale), per),
            "coef": coef,
            "std_error": errors,
            "weight": [1.0 - weight, weight, math.nan],
            "note": ["", "", said],
        },
        {
            "method": "empirical Bayes, normal prior from the literature's prediction, tau squared as known",
            "scale": scale,
            "per": per,
            "limits": "normal",
            "prior_mean": prior,
            "prior_sd": math.sqrt(variance),
            "prior_std_error": prior_error,
            "tau2": tau2,
            "n_studies": float(row["n_studies"]),
            "prior_test": pooled.settings.get("test", ""),
            "tau2_method": pooled.settings.get("tau2_method", ""),
            "surprise_p_value": surprise,
            "confidence": confidence,
        },
    )


def _pooled_row(pooled: Estimates, group: str | float | None) -> pd.Series:
    frame = pooled.frame
    rows = frame[frame["row"] == "pooled"]
    names = list(pooled.settings.get("by", []))
    if group is not None:
        if len(names) != 1:
            raise EstimationError(f"The studies were pooled by {len(names)} columns; `group` picks a value of one.")
        rows = rows[rows[names[0]] == group]
    if len(rows) != 1:
        raise EstimationError(
            f"{len(rows)} pooled rows fit; name the `group` of the studies that the registry belongs with"
            + (f" ({', '.join(map(str, frame[names[0]].unique()))})." if len(names) == 1 else ".")
        )
    return rows.iloc[0]


def _on_scale(estimate: float, error: float, scale: str, per: float, error_of: ErrorOf) -> tuple[float, float]:
    """The registry's estimate and error on the scale on which studies were pooled."""
    if not error > 0 or not math.isfinite(error):
        raise EstimationError(f"The registry's standard error must be positive, and is {error:g}.")
    if scale == "identity":
        return estimate, error
    if scale == "log":
        if not 0 < estimate < math.inf:
            raise EstimationError(f"A rate or ratio to be shrunk must be positive, and is {estimate:g}.")
        return math.log(estimate / per), error if error_of == "coef" else error / estimate
    if not 0 < estimate < 1:
        raise EstimationError(
            f"A proportion to be shrunk must lie between 0 and 1, and is {estimate:g}. Where the registry saw no "
            "event, add it to the studies and read its `shrunken` value there."
        )
    return math.log(estimate / (1.0 - estimate)), error if error_of == "coef" else error / (estimate * (1.0 - estimate))


def _read(values: Any, scale: str, per: float) -> Any:
    return values if scale == "identity" else per * np.exp(values) if scale == "log" else stats.logistic.cdf(values)
