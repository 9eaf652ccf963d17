"""An outcome the exposure cannot reach should not move with it: what it moves there is bias, and may be bias here too.

Negative control (Lipsitch, Tchetgen Tchetgen and Cohen 2010, Epidemiology 21:383): the same model with the same
covariates on an outcome that the exposure cannot cause, or an exposure that cannot cause the outcome. The ratio of the
two ratios is the primary one freed of bias that acts on both alike, on the scale of the ratio; that it does is an
assumption, and no figure can show it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from cohort.domain.clock import FloatArray
from cohort.domain.errors import EstimationError
from cohort.estimate import report
from cohort.tables.results import Estimates

SHOWS = (
    "a control that moves speaks for bias (confounding, detection, selection) that the covariates leave; the ratio of "
    "ratios removes it only where it multiplies both ratios alike"
)
CANNOT_SHOW = (
    "a control that does not move does not show that there is no bias: its interval says how much could have hidden in "
    "it, and bias of the primary outcome alone (other causes of it, other ways to be seen) leaves the control where it "
    "is; an exposure that after all reaches the control takes part of its own effect out of the ratio of ratios"
)
APART = (
    "as if of different patients: the covariance of estimates that share patients is left out, which makes the "
    "interval of the ratio of ratios too wide where both move together, and too narrow where against each other"
)
TOGETHER = "the influence of each patient on the difference of the two log ratios, squared and summed"
SIDE_BY_SIDE = {
    "outcome": "outcome",
    "estimate": "estimate",
    "low": "conf_low",
    "high": "conf_high",
    "events": "n_events",
}
KEYS = ("term", "stratum", "time", "interval")


def negative_control(
    primary: Estimates,
    control: Estimates,
    *,
    influence: tuple[Estimates, Estimates] | None = None,
    confidence: float = 0.95,
    model: str = "",
) -> Estimates:
    """Ratios of the primary and of the control model side by side, with the ratio of one to the other.

    primary, control : Estimates with `coef` and `std_error`, such as those of `cox`; rows meet by term (and stratum,
        time, interval where there), and those of one side only are left out and named in the settings.
    influence : `cohort.estimate.influence` of both models, clustered by the same column; then patients who are in both
        count as such, and the error is the plain robust one (no jackknife for few clusters).

    Returns per term measure "ratio_of_ratios": estimate, conf_low, conf_high, coef, std_error, statistic, df (the
    smaller one, where limits were from t), p_value; primary_estimate, primary_low, primary_high, primary_events, and
    the same of the control; note, which says how the control's interval lies. settings: `shows`, `cannot_show`.
    Raises EstimationError where no row has a partner, the measures differ, or an influence lacks a term.

    >>> from cohort.estimate.cox import cox
    >>> days = pd.DataFrame({"exit": [5, 8, 9, 12, 14, 20], "disc": [1, 1, 0, 1, 1, 0], "remote": [0, 1, 0, 1, 0, 0],
    ...                      "leak": [1, 0, 1, 1, 0, 0]})
    >>> fits = [cox(days, ["leak"], exit="exit", event=event) for event in ("disc", "remote")]
    >>> frame = negative_control(*fits).frame
    >>> frame[["primary_estimate", "control_estimate", "estimate"]].round(2).to_numpy().tolist()
    [[2.92, 1.73, 1.69]]
    """
    both, left_out = _beside(primary.frame, control.frame)
    coef, error = (
        {side: both[f"{name}_{side}"].to_numpy(np.float64) for side in ("primary", "control")}
        for name in ("coef", "_error")
    )
    with np.errstate(invalid="ignore"):
        difference = coef["primary"] - coef["control"]
    difference = np.where(np.isfinite(difference), difference, np.nan)
    if influence is None:
        spread, variance = np.hypot(error["primary"], error["control"]), APART
    else:
        _refuse_frequencies(primary, control)
        spread, variance = _joint(both["term"].tolist(), *influence), TOGETHER
    df = _df(both)
    ratio = report.wald(difference, np.where(np.isnan(difference), np.nan, spread), confidence, df)
    columns: dict[str, Any] = {name: both[name].to_numpy() for name in KEYS if name in both}
    columns |= {"model": model, "measure": "ratio_of_ratios", **ratio}
    if df is not None:
        columns["df"] = np.where(np.isinf(df), np.nan, columns["df"])
    for side in ("primary", "control"):
        for name, source in SIDE_BY_SIDE.items():
            if f"{source}_{side}" in both:
                columns[f"{side}_{name}"] = both[f"{source}_{side}"].to_numpy()
    columns["note"] = [_words(both, j, float(difference[j]), float(ratio["std_error"][j])) for j in range(len(both))]
    return report.estimates(
        columns,
        {
            "method": "negative control, ratio of ratios",
            "variance": variance,
            "shows": SHOWS,
            "cannot_show": CANNOT_SHOW,
            "confidence": confidence,
            "rows_without_partner": left_out,
            "primary": dict(primary.settings),
            "control": dict(control.settings),
        },
    )


def _beside(primary: pd.DataFrame, control: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Rows of both by their keys, columns suffixed by side, in the order of the primary; and who has no partner."""
    for frame, side in ((primary, "primary"), (control, "control")):
        missing = {"term", "estimate", "coef", "std_error", "conf_low", "conf_high"} - set(frame.columns)
        if missing:
            raise EstimationError(f"The {side} estimates have no {', '.join(sorted(missing))}; give those of a model.")
    keys = [name for name in KEYS if name in primary and name in control]
    if "measure" in primary and "measure" in control:
        keys.append("measure")
        apart = set(primary["measure"]) ^ set(control["measure"])
        if set(primary["measure"]).isdisjoint(control["measure"]):
            raise EstimationError(
                f"The measures differ ({', '.join(sorted(apart))}); a ratio of ratios needs the same."
            )
    parts = []
    for frame in (primary, control):
        # Rows of a test stand beside the ratios of some models.
        used = frame[frame["measure"].astype(str).str.endswith("ratio")] if "measure" in frame else frame
        if used.duplicated(keys).any():
            raise EstimationError(
                f"Several rows have the same {', '.join(keys)}; give the estimates of one model a side."
            )
        corrected = used["corrected_std_error"] if "corrected_std_error" in used else used["std_error"]
        parts.append(used.assign(_error=corrected))
    order = {"_order": np.arange(len(parts[0]))}
    both = parts[0].assign(**order).merge(parts[1], on=keys, how="inner", suffixes=("_primary", "_control"))
    if not len(both):
        raise EstimationError("No term is in both models; fit both with the same exposure and covariates.")
    shared = set(both["term"])
    left_out = sorted((set(primary["term"]) | set(control["term"])) - shared)
    return both.sort_values("_order").reset_index(drop=True), left_out


def _df(both: pd.DataFrame) -> FloatArray | None:
    """The smaller degrees of freedom of the two sides (n,); None where limits were normal on both."""
    sides = [both[name].to_numpy(np.float64) for name in ("df_primary", "df_control", "df") if name in both]
    known = [values for values in sides if not np.isnan(values).all()]
    if not known:
        return None
    return np.asarray(np.fmin.reduce([np.where(np.isnan(values), np.inf, values) for values in known]))


def _joint(terms: list[str], primary: Estimates, control: Estimates) -> FloatArray:
    """Standard errors of the differences of log ratios (n,), patients in both being one."""
    sides = []
    for one in (primary, control):
        if not {"term", "cluster", "dfbeta"} <= set(one.frame.columns):
            raise EstimationError("Give the influences as `cohort.estimate.influence` returns them.")
        sides.append(one.frame.pivot_table(index="cluster", columns="term", values="dfbeta", sort=False, dropna=False))
    if len(set(terms)) < len(terms):
        raise EstimationError("Influences are one per term; these estimates have several rows a term. Leave them out.")
    absent = [term for term in terms if any(term not in side.columns for side in sides)]
    if absent:
        raise EstimationError(f"The influences lack {', '.join(absent)}; take them of the same models.")
    # A patient of one model only moves that estimate alone.
    everyone = sides[0].index.union(sides[1].index)
    moved = [side.reindex(everyone)[terms].fillna(0.0) for side in sides]
    return np.sqrt(((moved[0] - moved[1]).to_numpy() ** 2).sum(axis=0))


def _refuse_frequencies(primary: Estimates, control: Estimates) -> None:
    if "frequency" in (primary.settings.get("weights"), control.settings.get("weights")):
        raise EstimationError("Influences do not know of frequency weights; repeat the rows, or leave `influence` out.")


def _words(both: pd.DataFrame, j: int, difference: float, error: float) -> str:
    low, high = float(both["conf_low_control"].iloc[j]), float(both["conf_high_control"].iloc[j])
    said = []
    if np.isnan(low) or np.isnan(high):
        said.append("the control has no interval: it shows nothing")
    elif low <= 1.0 <= high:
        said.append(
            f"the control's interval ({low:.2f} to {high:.2f}) holds 1: bias shared with it may still be as large"
        )
    else:
        said.append(
            f"the control moves ({low:.2f} to {high:.2f}) though the exposure cannot reach it: that speaks for bias"
        )
    if np.isnan(difference):
        said.append("no finite estimate on one side: no ratio of ratios")
    elif np.isnan(error):
        said.append("no standard error of the difference: no interval of the ratio of ratios")
    for side in ("primary", "control"):
        own = both[f"note_{side}"].iloc[j] if f"note_{side}" in both else ""
        if own:
            said.append(f"{side}: {own}")
    return "; ".join(said)
