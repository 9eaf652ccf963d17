"""What the models cannot know: an unmeasured confounder, findings told wrongly, and levels that nothing can reach."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import pandas as pd

from cohort import estimate
from cohort.domain.errors import EstimationError
from cohort.domain.study import BiasSettings
from cohort.estimate.cox_again import CoxAgain
from cohort.pipeline.factors import effects
from cohort.pipeline.factors.rows import ROWS, Factor, binary, complete
from cohort.tables.results import Estimates

LOCAL: Final = ("cleft", "leak", "height_restoration")
CONTROL: Final = "remote"
SYSTEMIC: Final = ("t_score", "corticosteroids", "anti_osteoporotic", "age", "female", "prior_fractures")
EVERYWHERE: Final = "acts on the whole spine: no level is out of its reach, so there is no control"
REACH_UNKNOWN: Final = "which levels are out of its reach is not known, so there is no control"


def e_value_rows(effect: pd.DataFrame, *, rare: bool) -> pd.DataFrame:
    """How strong a confounder would have to be, for the adjusted hazard and risk ratio of each exposure.

    rare : whether the outcome is, by the end of follow-up, below the usual 15 %; else hazard ratios are shrunk first.
    """
    asked = effect[
        effect["measure"].isin(["hazard_ratio", "risk_ratio"])
        & (effect["model"] == "adjusted")
        & effect[["estimate", "conf_low", "conf_high"]].notna().all(axis=1)
    ]
    if asked.empty:
        return pd.DataFrame()
    return estimate.e_value(Estimates(asked.reset_index(drop=True)), rare=rare).frame


def misclassified_rows(
    factor: Factor,
    patients: pd.DataFrame,
    hazard: pd.DataFrame,
    settings: BiasSettings,
    *,
    horizon: int,
    confidence: float = 0.95,
    seed: int = 1,
) -> pd.DataFrame:
    """The crude risk ratio at the horizon corrected for error of the exposure, then of the outcome, and the adjusted
    hazard ratio told again with the same error of the exposure.

    Of patients whose outcome at the horizon is known. Sensitivities are those of the study; a specificity was never
    published, so that its values are assumptions. Nothing for exposures without a sensitivity.
    """
    asked = settings.sensitivity.get(factor.name, ())
    if not asked or factor.name not in patients or not binary(patients[factor.name]):
        return pd.DataFrame()
    table = _known(patients, factor, horizon)
    parts = [_ratio(table, 1.0, 1.0, "exposure", confidence).iloc[[0]].assign(error="none")]
    for sensitivity in asked:
        for specificity in settings.specificity:
            said: dict[str, Any] = {"error": "exposure", "sensitivity": sensitivity, "specificity": specificity}
            parts.append(_corrected(table, sensitivity, specificity, "exposure", confidence).assign(**said))
            if settings.draws and specificity == settings.specificity[0]:
                again = _told_again(factor, hazard, sensitivity, specificity, settings.draws, seed, confidence)
                parts.append(again.assign(**said))
    for sensitivity, specificity in settings.outcome:
        said = {"error": "outcome", "sensitivity": sensitivity, "specificity": specificity}
        parts.append(_corrected(table, sensitivity, specificity, "outcome", confidence).assign(**said))
    return pd.concat(parts, ignore_index=True).assign(**factor.said)


def _known(patients: pd.DataFrame, factor: Factor, horizon: int) -> pd.DataFrame:
    whole = complete(patients, [factor.name])
    happened = (whole["cause"] == 1) & (whole["exit"] <= horizon)
    known = (whole["entry"] == 0) & (happened | (whole["cause"] > 1) | (whole["exit"] >= horizon))
    frame = pd.DataFrame({"exposed": whole[factor.name], "happened": happened.astype(float)})
    return frame[known.to_numpy()].reset_index(drop=True)


def _corrected(
    table: pd.DataFrame, sensitivity: float, specificity: float, error: str, confidence: float
) -> pd.DataFrame:
    return _ratio(table, sensitivity, specificity, error, confidence).iloc[[-1]]


def _ratio(table: pd.DataFrame, sensitivity: float, specificity: float, error: str, confidence: float) -> pd.DataFrame:
    try:
        found = estimate.corrected_ratio(
            table, exposure="exposed", outcome="happened", measure="risk_ratio", misclassified=error,  # type: ignore[arg-type]
            sensitivity=sensitivity, specificity=specificity, confidence=confidence,
        ).frame  # fmt: skip
    except EstimationError as why:
        return pd.DataFrame([{"correction": "corrected", "measure": "risk_ratio", "model": "crude", "note": str(why)}])
    return found[found["correction"].isin(["as recorded", "corrected"])].assign(
        model="crude", n_units=float(len(table)), n_events=float(table["happened"].sum())
    )


def _told_again(
    factor: Factor,
    hazard: pd.DataFrame,
    sensitivity: float,
    specificity: float,
    draws: int,
    seed: int,
    confidence: float,
) -> pd.DataFrame:
    row = {"correction": "told again", "measure": "hazard_ratio", "model": "adjusted"}
    rows = complete(hazard, factor.terms)[[*ROWS.values(), "cause", *factor.terms]]
    recorded = effects.of_term(lambda: effects.cox(rows, factor.terms, confidence), factor.name, "hazard_ratio")
    if not effects.finite(recorded):
        return pd.DataFrame([{**row, "note": "the adjusted ratio as recorded has no finite value to tell again"}])
    changing = rows.groupby("id")[factor.name].nunique().max() if len(rows) else 0
    if changing > 1:
        # A finding that grows with later treatments has no single telling; its value at entry stands for it.
        rows = rows.assign(**{factor.name: rows.groupby("id")[factor.name].transform("first")})
    try:
        model = CoxAgain.of(rows, factor.terms, factor.name, event="cause", of=1, confidence=confidence, **ROWS)
        found = estimate.corrected_estimates(
            model.fit, rows, exposure=factor.name, event="cause", of=1, id="id",
            cluster="cluster", sensitivity=sensitivity, specificity=specificity, draws=draws, seed=seed,
            confidence=confidence,
        ).frame  # fmt: skip
    except EstimationError as why:
        return pd.DataFrame([{**row, "note": str(why)}])
    return found[found["term"] == factor.name].reset_index(drop=True).assign(**row)


def control_rows(
    factor: Factor, outcome: str, hazard: pd.DataFrame, control: pd.DataFrame, confidence: float = 0.95
) -> pd.DataFrame:
    """The adjusted hazard ratio of a local finding beside its ratio for levels that it cannot reach (remote ones).

    hazard, control : vertebrae at risk of the outcome and of a remote refracture. Bone that is worse everywhere moves
    both ratios; what the finding itself does moves only the first.
    """
    said = {**factor.said, "outcome": outcome, "control_outcome": CONTROL}
    if factor.name not in LOCAL:
        return pd.DataFrame([{**said, "note": EVERYWHERE if factor.name in SYSTEMIC else REACH_UNKNOWN}])
    try:
        fits = [effects.cox(rows, factor.terms, confidence) for rows in (hazard, control)]
        without = [
            f"{name} refracture ({note})"
            for name, fit in zip((outcome, CONTROL), fits, strict=True)
            if not fit.frame["coef"].notna().any()
            for note in fit.frame["note"].iloc[:1]
        ]
        if without:
            return pd.DataFrame([{**said, "note": f"no ratio to compare of {' and of '.join(without)}"}])
        found = estimate.negative_control(*fits, influence=_influences(factor, hazard, control), confidence=confidence)
    except EstimationError as why:
        return pd.DataFrame([{**said, "note": str(why)}])
    return found.frame[found.frame["term"] == factor.name].reset_index(drop=True).assign(**said)


def _influences(factor: Factor, hazard: pd.DataFrame, control: pd.DataFrame) -> tuple[Estimates, Estimates]:
    frames: Sequence[pd.DataFrame] = (hazard, control)
    first, second = (
        estimate.influence(
            rows, factor.terms, event="cause", of=1, exit="exit", entry="entry", id="id", cluster="cluster"
        )
        for rows in frames
    )
    return first, second


def rare_within(patients: pd.DataFrame, horizon: float = np.inf) -> bool:
    """Whether fewer than 15 % of the patients were seen to have the outcome by the horizon, or ever."""
    happened = (patients["cause"] == 1) & (patients["exit"] <= horizon)
    return bool(np.mean(happened) < 0.15) if len(patients) else True
