"""A patient is her own control: an event counts against the other vertebrae of the same patient on the same day.

Cox's model with one stratum per patient: whatever is the same for all her vertebrae on that day cancels, measured or
not (Holt and Prentice 1974). With one event per patient it is conditional logistic regression, the patient as the set.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from cohort.domain.clock import BoolArray, FloatArray, IntArray
from cohort.estimate import report
from cohort.estimate.cox import complete_rows, hazard_estimates
from cohort.estimate.design import Rows, design, distinct, rows_of
from cohort.estimate.kernel import Ties
from cohort.estimate.recurrent import refuse_shared_ids
from cohort.estimate.risk_sets import RiskSets
from cohort.estimate.small_sample import HazardCorrection
from cohort.tables.results import Estimates

READS = (
    "hazard of a vertebra against the other vertebrae of the same patient at risk on the same day; only patients "
    "with an event while vertebrae that differ in the exposure were at risk tell about it"
)
CONTROLLED = (
    "all that is the same for every vertebra of the patient on that day, measured or not: age, sex, bone density, "
    "drugs, centre, operator, visits and time since treatment"
)
NOT_CONTROLLED = (
    "what differs between vertebrae of one patient: level and region of the spine, a vertebra's own deformity at "
    "baseline, whether films show it (a level next to the cement is imaged more often), and the amount, leakage and "
    "neighbourhood of cement unless they are the exposure; name those known per vertebra as covariates"
)


def within_patient(
    rows: pd.DataFrame,
    covariates: Sequence[str],
    *,
    exit: str,
    event: str,
    cluster: str,
    entry: str | None = None,
    id: str | None = None,
    weight: str | None = None,
    strata: str | Sequence[str] | None = None,
    ties: Ties = "efron",
    of: int | None = None,
    robust: bool = False,
    small_sample: HazardCorrection = "auto",
    confidence: float = 0.95,
    outcome: str = "",
    model: str = "",
) -> Estimates:
    """Hazard ratios between vertebrae of one patient: Cox stratified by `cluster`.

    rows : one row per vertebra (`id`) and interval `(entry, exit]`; role, level and the like may change between rows.
    covariates : what differs within a patient, such as role (adjacent against remote) and region. A covariate that is
        the same for all her vertebrae keeps its row, controlled and not estimated.
    strata : further strata within the patient. weight : probability weights.
    robust : sum score residuals over patients. By default the standard error is that of the stratified likelihood,
        for vertebrae that are independent given their patient.
    Returns the frame of `cox` with, per term, `n_informative_patients` (those with an event while vertebrae that differ
    in the term were at risk) and `n_informative_events`. settings: `reads`, `controlled`, `not_controlled`.
    Raises EstimationError as `cox` does, and for an id in two clusters.

    >>> days = pd.DataFrame({
    ...     "patient": [1, 1, 2, 2, 3, 3], "vertebra": [1, 2, 3, 4, 5, 6], "exit": [5, 9, 4, 8, 7, 7],
    ...     "event": [1, 0, 1, 0, 0, 1], "adjacent": [1, 0, 1, 0, 1, 0]})
    >>> frame = within_patient(days, ["adjacent"], exit="exit", event="event", cluster="patient", id="vertebra").frame
    >>> round(float(frame["estimate"].iloc[0]), 6), int(frame["n_informative_patients"].iloc[0])
    (2.0, 3)
    """
    plan = design(rows, covariates)
    further = [] if strata is None else [strata] if isinstance(strata, str) else list(strata)
    base = rows_of(rows, exit_=exit, entry=entry, weight=weight, id_=id, cluster=cluster, strata=[cluster, *further])
    refuse_shared_ids(base, id or "row")
    x, happened, base = complete_rows(rows, plan, base, event, of)
    sets = RiskSets.of(base.exit, happened, base.entry, base.stratum)
    n_events, n_patients = informative(x, happened, base, sets)
    result = hazard_estimates(
        plan,
        x,
        happened,
        base,
        ties=ties,
        weight_kind="probability",
        robust=robust,
        confidence=confidence,
        common={
            "outcome": outcome,
            "model": model,
            "measure": "hazard_ratio",
            "n_informative_events": n_events,
            "n_informative_patients": n_patients,
        },
        settings={
            "method": "Cox partial likelihood, one stratum per patient",
            "reads": READS,
            "controlled": CONTROLLED,
            "not_controlled": NOT_CONTROLLED,
            "weights": "probability" if weight is not None else "none",
            "strata": [cluster, *further],
        },
        sets=sets,
        small_sample=small_sample,
    )
    frame = result.frame
    if happened.any():
        if "df" in frame:
            # Only patients who tell about a term stand behind its jackknife.
            df = np.minimum(n_patients - 1.0, frame["df"].to_numpy(dtype=np.float64))
            frame = frame.assign(**report.wald(frame["coef"].to_numpy(), frame["std_error"].to_numpy(), confidence, df))
        constant = ~(_from_first(x, base.stratum) != 0).any(axis=0)
        own = [
            _told(alike, int(events), int(patients), robust)
            for alike, events, patients in zip(constant, n_events, n_patients, strict=True)
        ]
        notes = zip(own, frame["note"], strict=True)
        frame = frame.assign(note=["; ".join(part for part in pair if part) for pair in notes])
    return Estimates(frame, result.settings)


def informative(x: FloatArray, event: BoolArray, rows: Rows, sets: RiskSets) -> tuple[IntArray, IntArray]:
    """Events at which those at risk in the stratum differ in each column of x (n, p), and their patients, each (p,)."""
    happened = np.flatnonzero(event)
    apart = _from_first(x, rows.stratum)
    width = np.ptp(x, axis=0) if len(x) else np.ones(x.shape[1])
    apart = apart / np.where(width > 0, width, 1.0)
    n = sets.sums(np.ones(len(x)))[:, None]
    # A spread below 1e-9 of the squared range is rounding, or a difference no event could tell anything about.
    differ = sets.sums(apart**2) - sets.sums(apart) ** 2 / np.maximum(n, 1.0) > 1e-9
    told = differ[sets.at_event[happened]]
    patients = [distinct(rows.cluster[happened][column]) if column.any() else 0 for column in told.T]
    return told.sum(axis=0).astype(np.int64), np.array(patients, dtype=np.int64)


def _from_first(x: FloatArray, stratum: IntArray) -> FloatArray:
    """Columns less their value in the stratum's first row, so that what is constant there is exactly zero."""
    _, first, code = np.unique(stratum, return_index=True, return_inverse=True)
    result: FloatArray = x - x[first[code]]
    return result


def _told(constant: bool, events: int, patients: int, robust: bool) -> str:
    if constant:
        return "the same for all vertebrae of a patient: controlled by design, not estimated"
    if not events:
        return "no patient had an event while vertebrae that differ in it were at risk"
    said = []
    if events < report.FEW_EVENTS:
        said.append(f"only {events} informative {'event' if events == 1 else 'events'}")
    if robust and patients < report.FEW_CLUSTERS:
        said.append(
            f"only {patients} informative {'patient' if patients == 1 else 'patients'} behind the robust variance"
        )
    return "; ".join(said)
