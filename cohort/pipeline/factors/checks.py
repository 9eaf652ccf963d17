"""What to look at before an effect is believed, in the order in which it would be believed.

A check has a limit and says whether it is passed; none of them proves a model right.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pandas as pd

from cohort import estimate
from cohort.domain.errors import EstimationError
from cohort.pipeline.factors import effects
from cohort.pipeline.factors.rare import FEW_PER_PARAMETER
from cohort.pipeline.factors.rows import ROWS, Factor, binary, complete

MANY_INCOMPLETE: Final = 0.2
P_LIMIT: Final = 0.05
MOVED: Final = 0.25  # of the logarithm of a ratio: between two models of one risk, or between all units and some
SPLINE_EVENTS: Final = 40
CHECKS: Final = {
    "events_per_parameter": "Events per parameter",
    "incomplete": "Units left out for missing values",
    "same_units": "Crude ratio of the units in the adjusted model",
    "proportional_hazards": "Hazard ratio constant over time",
    "straight_line": "A straight line fits the number",
    "exposure_probability": "Each kind of unit could have been either",
    "other_risk_model": "The other model of the same risk",
}


def check_rows(
    factor: Factor,
    effect: pd.DataFrame,
    hazard: pd.DataFrame,
    units: pd.DataFrame,
    *,
    horizon: int,
    risk_model: str = "cox",
    penalized: str = "on_separation",
    confidence: float = 0.95,
) -> pd.DataFrame:
    """The checks of the fullest model of a factor (adjusted, else crude).

    effect : `effect_rows` of the factor; the others as there. Each row: check, label, estimate, statistic, df, p_value,
    concern ("yes", "no", "" where it could not be made), sentence.
    """
    model, terms = factor.models[-1]
    behind = effects.events_behind(hazard, terms)
    rows = [
        _events(behind),
        _incomplete(behind),
        *_same_units(effect, hazard, terms, penalized, confidence),
        _proportional(hazard, terms),
        *([] if binary(hazard[factor.name]) else [_straight(hazard, factor, terms)]),
        *_overlap(effect, model),
        _other(effect, units, factor, terms, horizon, risk_model, confidence),
    ]
    frame = pd.DataFrame(rows).assign(**factor.said, model=model, adjusted_for=", ".join(terms[1:]), **behind)
    return frame.assign(check_label=frame["check"].map(CHECKS))


def _row(check: str, concern: bool | None, sentence: str, **values: Any) -> dict[str, Any]:
    said = "" if concern is None else "yes" if concern else "no"
    return {"check": check, "concern": said, "sentence": sentence, **values}


def _events(behind: dict[str, float]) -> dict[str, Any]:
    events, parameters = behind["n_events"], behind["n_parameters"]
    few = events / parameters < FEW_PER_PARAMETER
    return _row(
        "events_per_parameter",
        few,
        f"{events:.0f} event{'' if events == 1 else 's'} for {parameters:.0f} parameter{'' if parameters == 1 else 's'}"
        + (": too few for limits from large samples; read the penalized ratio beside." if few else "."),
        estimate=events / parameters,
    )


def _incomplete(behind: dict[str, float]) -> dict[str, Any]:
    whole = behind["n_units"] + behind["n_incomplete"]
    share = behind["n_incomplete"] / whole if whole else np.nan
    return _row(
        "incomplete",
        None if np.isnan(share) else share > MANY_INCOMPLETE,
        f"{behind['n_incomplete']:.0f} of {whole:.0f} vertebrae lack the exposure or a covariate"
        + ("; compare with the imputed analysis." if share > MANY_INCOMPLETE else "."),
        estimate=share,
    )


def _same_units(
    effect: pd.DataFrame, hazard: pd.DataFrame, terms: list[str], penalized: str, confidence: float
) -> list[dict[str, Any]]:
    """What of the way from crude to adjusted is not adjustment, but units left out for a missing covariate."""
    whole = complete(hazard, terms)
    if len(whole) == len(complete(hazard, terms[:1])):
        return []
    here = effects.hazard_ratio(whole, terms[:1], penalized, confidence)
    crude, adjusted = (
        effect[(effect["measure"] == "hazard_ratio") & (effect["model"] == model)].iloc[:1]
        for model in ("crude", "adjusted")
    )
    if not (effects.finite(here) and effects.finite(crude) and effects.finite(adjusted)):
        return [_row("same_units", None, "No crude ratio of the units in the adjusted model to compare.")]
    mine, everybody, within = (float(row["estimate"].iloc[0]) for row in (here, crude, adjusted))
    moved = bool(abs(np.log(mine / everybody)) > MOVED)
    return [
        _row(
            "same_units",
            moved,
            f"Among the units of the adjusted model the crude ratio is {mine:.2f}; it is {everybody:.2f} among all "
            f"with the exposure known, and {within:.2f} adjusted"
            + (": part of the way is who was left out, not adjustment." if moved else "."),
            estimate=mine, conf_low=float(here["conf_low"].iloc[0]), conf_high=float(here["conf_high"].iloc[0]),
        )
    ]  # fmt: skip


def _proportional(hazard: pd.DataFrame, terms: list[str]) -> dict[str, Any]:
    try:
        found = estimate.ph_test(hazard, terms, event="cause", of=1, **ROWS).frame
    except EstimationError as error:
        return _row("proportional_hazards", None, str(error))
    mine = found[found["term"] == terms[0]]
    if mine.empty or mine["p_value"].isna().all():
        return _row("proportional_hazards", None, "Too few events to test.")
    r = mine.iloc[0]
    bent = bool(r["p_value"] < P_LIMIT)
    return _row(
        "proportional_hazards",
        bent,
        "The ratio changes with time: read it by interval, not as one number."
        if bent
        else "No sign that the ratio changes with time; the test sees large changes only.",
        statistic=float(r["statistic"]), df=float(r["df"]), p_value=float(r["p_value"]),
    )  # fmt: skip


def _straight(hazard: pd.DataFrame, factor: Factor, terms: list[str]) -> dict[str, Any]:
    events = effects.events_behind(hazard, terms)["n_events"]
    if events < SPLINE_EVENTS:
        return _row("straight_line", None, f"Not tested: {events:.0f} events bear no curve.")
    try:
        found = estimate.functional_form(
            hazard, factor.name, adjust=terms[1:], event="cause", of=1, at=[float(hazard[factor.name].median())], **ROWS
        ).frame
    except EstimationError as error:
        return _row("straight_line", None, str(error))
    r = found[found["term"].astype(str).str.contains("not a straight line")].iloc[0]
    bent = bool(r["p_value"] < P_LIMIT)
    return _row(
        "straight_line",
        bent,
        "One ratio per step hides a bend: read the curve." if bent else "No sign of a bend.",
        statistic=float(r["statistic"]), df=float(r["df"]), p_value=float(r["p_value"]),
    )  # fmt: skip


def _overlap(effect: pd.DataFrame, model: str) -> list[dict[str, Any]]:
    """Positivity: whether the covariates foretell the exposure so well that some have no counterpart."""
    mine = effect[(effect["model"] == model) & (effect["measure"] == "risk_difference")]
    if model == "crude" or mine.empty or "share_extreme" not in mine or mine["share_extreme"].isna().all():
        return []
    r = mine.iloc[0]
    return [
        _row(
            "exposure_probability",
            bool(r["share_extreme"] > 0),
            f"By the covariates, the probability of the exposure runs from {r['lowest_probability']:.2f} to "
            f"{r['highest_probability']:.2f}; "
            + (
                f"{100 * r['share_extreme']:.1f} % of units lie within 0.05 of 0 or 1: only the model compares them."
                if r["share_extreme"] > 0
                else "nobody is beyond comparison."
            ),
            estimate=float(r["share_extreme"]),
        )
    ]


def _other(
    effect: pd.DataFrame,
    units: pd.DataFrame,
    factor: Factor,
    terms: list[str],
    horizon: int,
    risk_model: str,
    confidence: float,
) -> dict[str, Any]:
    other = "logistic_ipcw" if risk_model == "cox" else "cox"
    name = "a logistic model at the horizon" if other == "logistic_ipcw" else "Cox models of each cause"
    found = effects.risks(units, factor, terms, horizon, other, confidence)
    theirs = found[found["measure"] == "risk_ratio"]
    mine = effect[(effect["model"] == factor.models[-1][0]) & (effect["measure"] == "risk_ratio")]
    if theirs.empty or mine.empty or not (effects.finite(theirs.iloc[:1]) and effects.finite(mine.iloc[:1])):
        why = "; ".join(str(text) for text in found["note"].dropna().unique() if text)
        return _row("other_risk_model", None, f"No risk ratio to compare from {name}" + (f": {why}" if why else "."))
    r = theirs.iloc[0]
    apart = abs(np.log(r["estimate"]) - np.log(mine.iloc[0]["estimate"]))
    return _row(
        "other_risk_model",
        bool(apart > MOVED),
        f"From {name} the risk ratio is {r['estimate']:.2f} ({r['conf_low']:.2f}-{r['conf_high']:.2f}), "
        f"{'far from' if apart > MOVED else 'near'} {mine.iloc[0]['estimate']:.2f}.",
        estimate=float(r["estimate"]), conf_low=float(r["conf_low"]), conf_high=float(r["conf_high"]),
    )  # fmt: skip
