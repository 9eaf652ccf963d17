"""How well a model predicts: who comes first (concordance, AUC), and how far risks are from what happened (Brier).

A pair of rows can be ordered when one has the event while the other is at risk and goes on, in the same stratum; it is
concordant when the first was given the higher risk. At a horizon the known stand for the lost with weights
1 / G(min(T, horizon)-), as in `ipcw_logistic`, events before losses on one day. The sums are in `discrimination`.

Sources: Harrell 1996, Statistics in Medicine 15:361; Uno 2011, Statistics in Medicine 30:1105; Therneau's `concordance`
(variance by infinitesimal jackknife); Graf 1999, Statistics in Medicine 18:2529; Blanche 2013, Statistics in Medicine
32:5381 (AUC with competing events). Measured on the rows of the fit a model looks better than it is: use `folds`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from cohort.domain.clock import BoolArray, FloatArray, IntArray
from cohort.domain.errors import EstimationError
from cohort.estimate import report
from cohort.estimate.baseline_influence import linear_predictor
from cohort.estimate.cox import fit_cox, select
from cohort.estimate.curves import aalen_johansen
from cohort.estimate.design import (
    Rows,
    causes,
    design,
    distinct,
    first_and_last,
    numbers,
    rows_of,
    zero_one,
)
from cohort.estimate.discrimination import Losses, auc, ordered_pairs
from cohort.estimate.ipcw import censoring_weights
from cohort.estimate.kernel import Ties, WeightKind
from cohort.estimate.risk_model import Method, fit_risk, units_of
from cohort.estimate.risk_sets import sum_by
from cohort.tables.results import Estimates

PairWeight = Literal["harrell", "uno"]


def concordance(
    rows: pd.DataFrame,
    covariates: Sequence[str] = (),
    *,
    exit: str,
    event: str,
    risk: str | None = None,
    pairs: PairWeight = "harrell",
    until: float | None = None,
    entry: str | None = None,
    weight: str | None = None,
    strata: str | Sequence[str] | None = None,
    id: str | None = None,
    cluster: str | None = None,
    ties: Ties = "efron",
    of: int | None = None,
    weight_kind: WeightKind = "probability",
    confidence: float = 0.95,
    outcome: str = "",
    model: str = "",
) -> Estimates:
    """The share of ordered pairs in which the model gave the earlier event the higher risk; ties in risk count half.

    covariates : of the Cox model whose linear predictor is judged, other arguments as in `cox`; or
    risk : a column of scores from elsewhere, higher for earlier events.
    pairs : "harrell" counts every pair alike, so that the answer depends on when rows were lost; "uno" weights them
        by 1 / G(t-)^2, G the Kaplan-Meier curve of losses within strata, and cannot have late entry.
    until : pairs whose event comes later are left out (with "uno", where G becomes small).

    Returns one row: estimate, conf_low, conf_high (on the logit scale), std_error (infinitesimal jackknife, over
    clusters, coefficients and G as known), n_patients, n_units, n_events, concordant, discordant, tied (sums of pair
    weights) and note. A pair may be two vertebrae of one patient.

    >>> days = pd.DataFrame({"exit": [1, 2, 3, 4], "event": [1, 1, 1, 0], "score": [4, 2, 3, 1]})
    >>> float(concordance(days, exit="exit", event="event", risk="score").frame["estimate"].round(4).iloc[0])
    0.8333
    """
    if pairs not in ("harrell", "uno"):
        raise EstimationError(f"pairs must be harrell or uno, and is {pairs!r}.")
    base = rows_of(
        rows, exit_=exit, entry=entry, weight=weight, id_=id, cluster=cluster, strata=strata, weight_kind=weight_kind
    )
    happened = zero_one(rows, event, "the event") if of is None else causes(rows, event) == of
    _one_of(covariates, risk)
    settings: dict[str, Any] = {}
    notes: list[str] = []
    if risk is not None:
        used = base.weight > 0
        base, happened, score = select(base, used), happened[used], numbers(rows, risk, "the risk")[used]
    else:
        plan = design(rows, covariates)
        used = plan.complete & (base.weight > 0)
        base, happened, x = select(base, used), happened[used], plan.matrix[base.weight[plan.complete] > 0]
        score = np.zeros(len(x))
        if happened.any():
            fit = fit_cox(x, happened, base, ties=ties, weight_kind=weight_kind)
            score = linear_predictor(fit.likelihood.x, fit.maximum.coef)
            notes.append("on the rows of the fit")
        settings = {"covariates": list(covariates), "ties": ties, **plan.settings}
    pair_weight = happened.astype(np.float64)
    if until is not None:
        pair_weight[base.exit > until] = 0.0
    if pairs == "uno":
        pair_weight *= _uno(base, happened)
    found = ordered_pairs(score, happened, pair_weight, base)
    total = found.concordant + found.discordant + found.tied
    estimate, error = float("nan"), float("nan")
    if total > 0:
        estimate = (found.concordant + found.tied / 2.0) / total
        moved = (found.by_row[:, 0] + found.by_row[:, 2] / 2.0 - estimate * found.by_row.sum(axis=1)) / total
        error = _clustered_error(moved[:, None], base, weight_kind)[0]
    else:
        notes.insert(0, "no two rows can be ordered")
    counts = base.weight if weight_kind == "frequency" else np.ones(len(base.exit))
    n_events = float(counts[happened].sum())
    notes += report.robust_notes(n_events, base.n_patients, distinct(base.cluster[happened]), True)
    low, high = _logit_limits(np.array([estimate]), np.array([error]), confidence)
    return report.estimates(
        {
            "outcome": [outcome],
            "model": model,
            "measure": "concordance",
            "n_patients": base.n_patients,
            "n_units": base.n_units,
            "n_events": n_events,
            "estimate": estimate,
            "conf_low": low,
            "conf_high": high,
            "std_error": error,
            "concordant": found.concordant,
            "discordant": found.discordant,
            "tied": found.tied,
            "note": "; ".join(notes),
        },
        {
            "method": "concordance" if pairs == "harrell" else "concordance, pairs weighted by 1 / G^2",
            "pairs": pairs,
            "until": until,
            "strata": strata,
            "confidence": confidence,
            "weights": weight_kind if weight is not None else "none",
            **settings,
        },
    )


def prediction_accuracy(
    rows: pd.DataFrame,
    covariates: Sequence[str] = (),
    *,
    at: npt.ArrayLike,
    exit: str,
    cause: str,
    of: int = 1,
    risk: Sequence[str] | None = None,
    method: Method = "cause_specific",
    folds: int | None = None,
    seed: int = 0,
    entry: str | None = None,
    weight: str | None = None,
    strata: str | Sequence[str] | None = None,
    id: str | None = None,
    cluster: str | None = None,
    ties: Ties = "efron",
    confidence: float = 0.95,
    outcome: str = "",
    model: str = "",
) -> Estimates:
    """Brier score and AUC of predicted incidences by day `at`, with the lost stood for by those still seen.

    covariates : of the model (`absolute_risk`) whose incidences are judged; or risk : columns of incidences from
        elsewhere, one per day of `at`. cause : 0 none or censored, 1, 2, ... (an event of 0/1 is one cause).
    folds : predict each patient from a model without that patient's fold (patients are dealt at random by `seed`);
        without it the model is judged on its own rows, which flatters it.
    Units that enter late are left out and counted (`n_late_entry`); covariates are fixed, an id counts once.

    Returns four rows per day: measure "brier" (mean squared distance of risk and outcome, 0 best), "brier_null" (of
    everyone's Aalen-Johansen incidence), "scaled_brier" (1 - brier / brier_null: the share of the distance removed)
    and "auc" (chance that who has the event by the day was given a higher risk than who has not, competing events
    included), with estimate, std_error (over clusters, G as estimated, predictions as known), conf_low, conf_high
    (logit scale for the AUC, log scale for Brier), n_events, n_known, n_patients, n_units and note.

    >>> days = pd.DataFrame({"exit": [1, 2, 3, 4], "event": [1, 0, 1, 0], "score": [0.9, 0.2, 0.6, 0.1]})
    >>> found = prediction_accuracy(days, at=3, exit="exit", cause="event", risk=["score"])
    >>> found.frame["measure"].tolist(), found.frame["estimate"].round(3).tolist()
    (['brier', 'brier_null', 'scaled_brier', 'auc'], [0.066, 0.234, 0.717, 1.0])
    """
    asked = np.atleast_1d(np.asarray(at, dtype=np.float64))
    if not len(asked) or not np.isfinite(asked).all():
        raise EstimationError("`at` needs at least one day, and no missing ones.")
    _one_of(covariates, risk)
    base = rows_of(rows, exit_=exit, entry=entry, weight=weight, id_=id, cluster=cluster, strata=strata)
    what = causes(rows, cause)
    model_options: dict[str, Any] = {
        "exit": exit, "cause": cause, "of": of, "entry": entry, "weight": weight, "strata": strata, "id": id,
        "cluster": cluster, "ties": ties, "method": method,
        "causes_named": [str(k) for k in range(1, max(int(what.max(initial=1)), of) + 1)],
    }  # fmt: skip
    first, last = first_and_last(base.id, base.entry, base.exit)
    earliest = float(base.entry.min(initial=np.inf))
    in_time = (base.entry[first] == earliest) & (base.weight[first] > 0)
    n_late = int((base.entry[first] > earliest).sum())
    settings: dict[str, Any] = {"n_late_entry": n_late}
    if risk is not None:
        if len(risk) != len(asked):
            raise EstimationError(f"`risk` names {len(risk)} columns for {len(asked)} days; give one for each day.")
        given = np.column_stack([numbers(rows, name, "the predicted risk") for name in risk])
        if ((given < 0) | (given > 1)).any():
            raise EstimationError("Predicted risks must lie between 0 and 1.")
        first, last = first[in_time], last[in_time]
        predicted, judged = given[first], "predictions given"
    else:
        plan = design(rows, covariates)
        keep = in_time & plan.complete[first]
        first, last = first[keep], last[keep]
        settings |= {"covariates": list(covariates), "method_of_risk": method, "ties": ties, **plan.settings}
        predicted = _predictions(rows, covariates, first, base.cluster, asked, folds, seed, model_options)
        judged = "on the rows of the fit" if folds is None else f"cross-validated in {folds} folds of patients"
    units, ended = units_of(base, first, last), what[last]
    exit_ = units.exit
    curve = aalen_johansen(
        pd.DataFrame({"exit": exit_, "cause": ended, "weight": units.weight}),
        exit="exit", cause="cause", weight="weight", at=asked,
        causes_named=model_options["causes_named"],
    ).frame  # fmt: skip
    null = curve.loc[curve["outcome"] == str(of), "estimate"].to_numpy()
    losses = Losses.of(exit_, ended, units.weight)
    parts = [
        _at_horizon(t, predicted[:, k], null[k], exit_, ended, of, units, losses, confidence)
        for k, t in enumerate(asked)
    ]
    size = len(asked) * 4
    frame = {
        "outcome": np.full(size, outcome, dtype=object),
        "model": np.full(size, model, dtype=object),
        "time": np.repeat(asked, 4),
        "measure": np.tile(np.array(["brier", "brier_null", "scaled_brier", "auc"], dtype=object), len(asked)),
        "n_patients": np.full(size, units.n_patients),
        "n_units": np.full(size, units.n_units),
        **{name: np.repeat([part[name] for part in parts], 4) for name in ("n_events", "n_known")},
        **{
            name: np.concatenate([part[name] for part in parts])
            for name in ("estimate", "conf_low", "conf_high", "std_error")
        },
        "note": ["; ".join([*part["note"], judged]) for part in parts for _ in range(4)],
    }
    return report.estimates(
        frame,
        {
            "method": "inverse probability of censoring weights, Kaplan-Meier of losses",
            "of": of,
            "judged": judged,
            "folds": folds,
            "seed": seed,
            "strata": strata,
            "confidence": confidence,
            **settings,
        },
    )


def _at_horizon(
    t: float,
    risk: FloatArray,
    null: float,
    exit_: FloatArray,
    ended: IntArray,
    of: int,
    units: Rows,
    losses: Losses,
    confidence: float,
) -> dict[str, Any]:
    inverse, known = losses.known(t)
    case = (ended == of) & (exit_ <= t)
    estimate, error = np.full(4, np.nan), np.full(4, np.nan)
    few = report.robust_notes(float(case.sum()), units.n_patients, distinct(units.cluster[case]), True)
    result: dict[str, Any] = {"n_events": int(case.sum()), "n_known": int(known.sum()), "note": few}
    # Past the last day of follow-up there is nobody known to be free, unless everyone has had an event.
    if len(exit_) and (exit_ >= t).any() | (ended > 0).all():
        weight = units.weight * inverse
        total = units.weight.sum()
        influences = np.zeros((len(exit_), 4))
        for k, guess in ((0, risk), (1, np.full(len(risk), null))):
            distance = (case - guess) ** 2
            estimate[k] = weight @ distance / total
            influences[:, k] = (inverse * distance - estimate[k]) / total
            influences[:, k] += losses.influence(t, weight * distance / total)
        estimate[2] = 1.0 - estimate[0] / estimate[1] if estimate[1] > 0 else np.nan
        influences[:, 2] = np.nan
        if estimate[1] > 0:
            influences[:, 2] = -influences[:, 0] / estimate[1] + estimate[0] / estimate[1] ** 2 * influences[:, 1]
        estimate[3], by_case, by_control = auc(risk, weight * case, weight * (known & ~case))
        moved = np.where(case, by_case, np.where(known, by_control, 0.0))
        if np.isfinite(estimate[3]):
            influences[:, 3] = inverse * moved + losses.influence(t, weight * moved)
        else:
            influences[:, 3] = np.nan
            few.insert(0, f"by day {t:g} there are not both events and others to compare")
        error = _clustered_error(influences, units, "probability")
    else:
        few.insert(0, f"nobody was followed to day {t:g}")
    z = report.quantile(confidence)
    low, high = _logit_limits(estimate, error, confidence)
    with np.errstate(divide="ignore", invalid="ignore"):
        low[:2], high[:2] = estimate[:2] * np.exp([[-z], [z]] * error[:2] / estimate[:2])
    low[2], high[2] = estimate[2] - z * error[2], estimate[2] + z * error[2]
    return {**result, "estimate": estimate, "conf_low": low, "conf_high": high, "std_error": error}


def _predictions(
    rows: pd.DataFrame,
    covariates: Sequence[str],
    first: IntArray,
    cluster: IntArray,
    at: FloatArray,
    folds: int | None,
    seed: int,
    options: dict[str, Any],
) -> FloatArray:
    """Incidences of the units whose first rows are given, (n, T)."""
    table = rows.iloc[first]
    if folds is None:
        fitted = fit_risk(rows, covariates, **options)
        return fitted.predict(fitted.coded(table), fitted.strata_of(table), at)
    names = np.unique(cluster)
    if not 2 <= folds <= len(names):
        raise EstimationError(f"{folds} folds of {len(names)} patients cannot be; give 2 to {len(names)}.")
    dealt = np.empty(len(names), dtype=np.int64)
    dealt[np.random.default_rng(seed).permutation(len(names))] = np.arange(len(names)) % folds
    fold = dealt[np.searchsorted(names, cluster)]
    result = np.zeros((len(first), len(at)))
    for k in range(folds):
        mine = fold[first] == k
        if mine.any():
            fitted = fit_risk(rows[fold != k], covariates, **options)
            result[mine] = fitted.predict(fitted.coded(table[mine]), fitted.strata_of(table[mine]), at)
    return result


def _uno(rows: Rows, happened: BoolArray) -> FloatArray:
    """1 / G(t-)^2 at the events, zero elsewhere: (n,)."""
    first, last = first_and_last(rows.id, rows.entry, rows.exit)
    if (rows.entry[first] > rows.entry.min(initial=np.inf)).any():
        raise EstimationError(
            'Some units enter late, and weights for losses repair the end of follow-up only; use pairs="harrell", or '
            "those who enter at the start."
        )
    inverse, _ = censoring_weights(
        rows.exit[last], happened[last].astype(np.int64), np.inf, rows.weight[last], rows.stratum[last]
    )
    result = np.zeros(len(happened))
    result[last] = np.where(happened[last], inverse**2, 0.0)
    if (happened & (result == 0)).any():
        raise EstimationError('Some units go on after an event; pairs="uno" is for first events.')
    return result


def _one_of(covariates: Sequence[str], risk: Any) -> None:
    if bool(covariates) == (risk is not None):
        raise EstimationError("Name the covariates of a model to fit, or the risk predicted elsewhere, and not both.")


def _clustered_error(influence: FloatArray, rows: Rows, weight_kind: WeightKind) -> FloatArray:
    """Standard errors from influences (n, m) per unit of weight, added over clusters; none with one cluster."""
    if rows.n_patients <= 1:
        return np.full(influence.shape[1], np.nan)
    cluster = np.unique(rows.cluster, return_inverse=True)[1]
    size = int(cluster.max()) + 1
    if weight_kind == "probability":
        return np.sqrt((sum_by(cluster, influence * rows.weight[:, None], size) ** 2).sum(axis=0))
    copies = np.zeros(size)
    np.maximum.at(copies, cluster, rows.weight)
    if (copies[cluster] != rows.weight).any():
        raise EstimationError(
            "Frequency weights must be the same in all rows of a cluster: a row of weight 3 stands for three "
            'clusters alike. For other weights say weight_kind="probability".'
        )
    return np.sqrt(copies @ sum_by(cluster, influence, size) ** 2)


def _logit_limits(share: FloatArray, std_error: FloatArray, confidence: float) -> tuple[FloatArray, FloatArray]:
    z = report.quantile(confidence)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        inside = (share > 0) & (share < 1)
        middle = np.where(inside, np.log(share / (1.0 - share)), np.nan)
        reach = z * std_error / (share * (1.0 - share))
        return 1.0 / (1.0 + np.exp(reach - middle)), 1.0 / (1.0 + np.exp(-reach - middle))
