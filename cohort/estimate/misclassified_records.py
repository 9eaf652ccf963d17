"""Each record's exposure is told again by its predictive values, and the model is fitted anew, draw after draw.

For models that a table cannot hold (Cox, covariates, clusters): in every draw the accuracies come from their
distributions; patients drawn again, whole, give the recorded shares, and those the true ones (`misclassification`);
then P(exposed | record, outcome) is known in each group and a unit of the rows is exposed or not by chance (Fox, Lash
and Greenland 2005, Int J Epidemiol 34:1370; Fox, MacLehose and Lash 2021). The estimator sees the rows themselves, so
its own error is that of the patients; limits are percentiles over the draws of estimate + error x score (normal or t).

Predictive values by outcome alone put an exposure at random among units with the same outcome: of covariates that go
with it, and of long and short follow-up, nothing is known unless `within` names them. For Cox name a column of thirds
of follow-up: with a quarter of units having the event, a log hazard ratio of 0.88 recorded as 0.62 came out as 0.83
without it and as 0.87 with it (means over 40 simulated cohorts of 1,500 vertebrae).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy import special

from cohort.domain.accuracy import Given
from cohort.domain.clock import BoolArray, FloatArray, IntArray
from cohort.domain.errors import EstimationError
from cohort.estimate import report
from cohort.estimate.bootstrap import KEYS, percentiles
from cohort.estimate.design import causes, codes_of, design, distinct, zero_one
from cohort.estimate.drawn_accuracy import CORRELATION, GROUPS, Pair, refuse_chance
from cohort.estimate.misclassification import impossible_words
from cohort.tables.results import Estimates

FEWEST = 40  # draws, below which the outermost is already beyond a percentile of 2.5


def corrected_estimates(
    estimator: Callable[[pd.DataFrame], Estimates],
    rows: pd.DataFrame,
    *,
    exposure: str,
    event: str,
    sensitivity: Given | tuple[Given, Given],
    specificity: Given | tuple[Given, Given],
    of: int | None = None,
    id: str | None = None,
    cluster: str | None = None,
    within: str | Sequence[str] | None = None,
    draws: int = 200,
    seed: int = 1,
    correlation: float = CORRELATION,
    confidence: float = 0.95,
    progress: Callable[[int, int], None] | None = None,
) -> Estimates:
    """Estimates of any estimator with a 0/1 exposure told without error.

    estimator : called with the rows, their `exposure` told again; `lambda rows: cox(rows, ["cleft"], ...)`.
    rows : one or several per unit; exposure : as recorded, the same in all rows of a unit (missing stays missing).
    event : 0/1, or causes with `of`; a unit has the event if any of its rows has.
    sensitivity, specificity : a number, Beta or Trapezoid; or two, for units with the event and without.
    id : the unit whose exposure was recorded (default each row). cluster : the patient, drawn again whole.
    within : columns fixed in a unit, within whose values predictive values are worked out on their own.
    draws : fits; with an id, the same seed gives the same ones in whatever order the rows stand.

    Returns the frame of the estimator with estimate (median over draws), conf_low and conf_high (accuracy, retelling
    and patients), `accuracy_low` and `accuracy_high` (accuracy and retelling alone), std_error (Rubin: mean of the
    squared errors plus (1 + 1/draws) times the variance between draws), `recorded_estimate`, `recorded_low`,
    `recorded_high`, n_draws (with an estimate), n_impossible (draws that need less than nobody somewhere), note.
    Raises EstimationError for an exposure that changes within a unit, and accuracies no better than chance.

    >>> from cohort.estimate.cox import cox
    >>> days = pd.DataFrame({"exit": range(1, 201), "event": [1, 1, 0, 1] * 50, "cleft": [1, 0, 0, 0, 1] * 40})
    >>> again = corrected_estimates(lambda rows: cox(rows, ["cleft"], exit="exit", event="event"), days,
    ...                             exposure="cleft", event="event", sensitivity=0.7, specificity=1.0, draws=50)
    >>> again.frame[["term", "n_draws", "n_impossible"]].to_numpy().tolist()
    [['cleft', 50, 0]]
    """
    if draws < FEWEST:
        raise EstimationError(f"{draws} draws give no percentiles; draw at least {FEWEST} times.")
    se, sp = Pair.of(sensitivity, "sensitivity"), Pair.of(specificity, "specificity")
    refuse_chance(se.median[0], sp.median[0], "exposure")
    units = _Units.of(rows, exposure, event, of, id, cluster, within)
    whole = estimator(rows)
    keys = [name for name in KEYS if name in whole.frame.columns]
    wanted = pd.MultiIndex.from_frame(whole.frame[keys].astype(object))
    logged = "coef" in whole.frame.columns and not (whole.frame["estimate"] < 0).any()

    rng = np.random.default_rng(seed)
    accuracies = se.draw(rng, draws, correlation), sp.draw(rng, draws, correlation)
    coef, error, df = (np.full((draws, len(wanted)), np.nan) for _ in range(3))
    n_impossible = 0
    for k in range(draws):
        told = units.told_again(np.random.default_rng([seed, k]), accuracies[0][k], accuracies[1][k])
        if told is None:
            n_impossible += 1
        else:
            # Of the type it had, so that groups keep their names.
            found = estimator(rows.assign(**{exposure: pd.Series(told).astype(rows[exposure].dtype).array}))
            coef[k], error[k], df[k] = _aligned(found.frame, keys, wanted, logged)
        if progress is not None:
            progress(k + 1, draws)
    level = np.random.default_rng([seed, draws]).random((draws, 1))
    # A score of t where the estimator's own limits were.
    scores = np.where(np.isnan(df), special.ndtri(level), special.stdtrit(np.where(np.isnan(df), 1.0, df), level))
    columns: dict[str, Any] = {name: whole.frame[name].to_numpy() for name in keys}
    columns |= {
        name: whole.frame[name].to_numpy()
        for name in ("n_patients", "n_units", "n_events")
        if name in whole.frame.columns
    }
    columns |= _pooled(coef, error, scores, confidence, logged)
    columns |= {f"recorded_{name}": whole.frame[of_whole].to_numpy() for name, of_whole in _RECORDED}
    columns["n_impossible"] = n_impossible
    columns["note"] = _notes(whole.frame, columns, n_impossible, draws)
    return report.estimates(
        columns,
        {
            **whole.settings,
            "variance": "accuracy drawn, exposure told again by predictive values, and the estimator's own error",
            "interval": "percentiles of draws",
            "misclassified": exposure,
            "groups": GROUPS["exposure"],
            "sensitivity": se.written,
            "specificity": sp.written,
            "correlation": correlation if se.differential or sp.differential else None,
            "within": within,
            "draws": draws,
            "seed": seed,
            "confidence": confidence,
        },
    )


_RECORDED = (("estimate", "estimate"), ("low", "conf_low"), ("high", "conf_high"))


class _Units:
    """Units with their record, their group (event or not, and what `within` says), their patient, and their rows."""

    def __init__(
        self, row_unit: IntArray, recorded: FloatArray, event: BoolArray, stratum: IntArray, cluster: IntArray
    ) -> None:
        self.row_unit, self.recorded, self.event, self.cluster = row_unit, recorded, event, cluster
        self.group = np.unique(stratum, return_inverse=True)[1] * 2 + event
        self.n_groups = int(self.group.max(initial=-1)) + 1
        self.known = ~np.isnan(recorded)

    @classmethod
    def of(
        cls,
        rows: pd.DataFrame,
        exposure: str,
        event: str,
        of: int | None,
        id_: str | None,
        cluster: str | None,
        within: str | Sequence[str] | None,
    ) -> _Units:
        plan = design(rows, [exposure])
        values = np.full(len(rows), np.nan)
        values[plan.complete] = plan.matrix[:, 0]
        if isinstance(rows[exposure].dtype, pd.CategoricalDtype) or not np.isin(plan.matrix, (0.0, 1.0)).all():
            raise EstimationError(f"'{exposure}' must hold 0 and 1 to be corrected; code it so first.")
        named = codes_of(rows, id_, "the id")
        unit = np.arange(len(rows)) if named is None else np.unique(named, return_inverse=True)[1]
        size = int(unit.max(initial=-1)) + 1
        first = np.full(size, len(rows))
        np.minimum.at(first, unit, np.arange(len(rows)))
        stratum = codes_of(rows, within, "within")
        whose = codes_of(rows, cluster, "the cluster")
        stratum = np.zeros(len(rows), dtype=np.int64) if stratum is None else stratum
        whose = unit if whose is None else np.unique(whose, return_inverse=True)[1]
        compared = ((exposure, np.nan_to_num(values, nan=-1.0)), (str(within), stratum), (str(cluster), whose))
        for name, of_rows in compared:
            changed = distinct(unit[of_rows != of_rows[first][unit]])
            if changed:
                raise EstimationError(
                    f"'{name}' differs between the rows of {changed} units ('{id_}'); an error of the record is one of "
                    "the unit. Give each its own id, or leave the others out."
                )
        happened = zero_one(rows, event, "the event") if of is None else causes(rows, event) == of
        had = np.bincount(unit, happened, minlength=size) > 0
        return cls(unit, values[first], had, stratum[first], whose[first])

    def told_again(self, rng: np.random.Generator, se: FloatArray, sp: FloatArray) -> FloatArray | None:
        """The exposure of each row, drawn; None where the accuracies (2,) and these patients contradict each other."""
        weight = self._patients_again(rng)
        known = self.known
        group, recorded = self.group[known], self.recorded[known] == 1.0

        def shares(of: FloatArray) -> FloatArray:
            total = np.bincount(group, of, minlength=self.n_groups)
            with np.errstate(invalid="ignore"):
                return np.asarray(np.bincount(group[recorded], of[recorded], minlength=self.n_groups) / total)

        again, as_it_is = shares(weight[known]), shares(np.ones(int(known.sum())))
        share = np.where(np.isnan(again), as_it_is, again)  # a group that was not drawn: as it is
        there = ~np.isnan(share)
        # Events are the first of the two groups that may differ in accuracy; group codes are even without the event.
        side = np.where(np.arange(self.n_groups) % 2 == 1, 0, 1)
        se, sp = se[side], sp[side]
        with np.errstate(divide="ignore", invalid="ignore"):
            true = (share - (1.0 - sp)) / (se + sp - 1.0)
        if ((se + sp)[there] <= 1.0).any() or (true[there] < -1e-9).any() or (true[there] > 1.0 + 1e-9).any():
            return None
        true = np.clip(true, 0.0, 1.0)
        if_recorded = _share_of(se * true, (1.0 - sp) * (1.0 - true), 1.0)
        if_not = _share_of((1.0 - se) * true, sp * (1.0 - true), 0.0)
        chance = np.where(self.recorded == 1.0, if_recorded[self.group], if_not[self.group])
        told = (rng.random(len(chance)) < chance).astype(np.float64)
        return np.where(known, told, np.nan)[self.row_unit]

    def _patients_again(self, rng: np.random.Generator) -> FloatArray:
        size = int(self.cluster.max(initial=-1)) + 1
        times = np.bincount(rng.integers(0, max(size, 1), size), minlength=size)
        return times[self.cluster].astype(np.float64)


def _share_of(part: FloatArray, rest: FloatArray, otherwise: float) -> FloatArray:
    """part / (part + rest); `otherwise` where such a record cannot be."""
    total = part + rest
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(total > 0, part / total, otherwise))


def _aligned(
    frame: pd.DataFrame, keys: list[str], wanted: pd.MultiIndex, logged: bool
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Estimates (logs of ratios), the errors behind their limits and degrees of freedom, in the order of the whole."""
    # Draw after draw gives the same rows in the same order, as a rule.
    if list(zip(*(frame[name] for name in keys), strict=True)) == wanted.tolist():
        place = np.arange(len(wanted))
    else:
        place = pd.MultiIndex.from_frame(frame[keys].astype(object)).get_indexer(wanted)
    there = place >= 0
    value = frame["coef" if logged else "estimate"].to_numpy(np.float64)
    spread = frame["corrected_std_error" if "corrected_std_error" in frame else "std_error"].to_numpy(np.float64)
    freedom = frame["df"].to_numpy(np.float64) if "df" in frame else np.full(len(frame), np.nan)
    coef, error, df = (np.full(len(wanted), np.nan) for _ in range(3))
    for into, values in ((coef, value), (error, spread), (df, freedom)):
        into[there] = values[place[there]]
    return coef, error, df


def _pooled(
    coef: FloatArray, error: FloatArray, scores: FloatArray, confidence: float, logged: bool
) -> dict[str, FloatArray]:
    """Median, percentiles and Rubin's error over draws; each (draws, rows)."""
    report.quantile(confidence)
    tail, size = (1.0 - confidence) / 2.0, coef.shape[1]
    result = {name: np.full(size, np.nan) for name in ("coef", "low", "high", "accuracy_low", "accuracy_high", "se")}
    n_draws = np.zeros(size, dtype=np.int64)
    for j in range(size):
        # An infinite estimate has no error of its own, and stays where it is.
        both = np.where(np.isfinite(error[:, j]), coef[:, j] + error[:, j] * scores[:, j], coef[:, j])
        known = ~np.isnan(coef[:, j]) & (np.isfinite(error[:, j]) | np.isinf(coef[:, j]))
        n_draws[j] = int(known.sum())
        if n_draws[j] < FEWEST:
            continue
        levels = np.array([tail, 0.5, 1.0 - tail])
        result["accuracy_low"][j], result["coef"][j], result["accuracy_high"][j] = percentiles(coef[known, j], levels)
        result["low"][j], _, result["high"][j] = percentiles(both[known], levels)
        finite = known & np.isfinite(coef[:, j])
        if finite.sum() > 1:
            between = coef[finite, j].var(ddof=1)
            result["se"][j] = np.sqrt((error[finite, j] ** 2).mean() + (1.0 + 1.0 / finite.sum()) * between)

    def read(values: FloatArray) -> FloatArray:
        with np.errstate(over="ignore"):
            return np.exp(values) if logged else values

    columns = {"estimate": read(result["coef"]), "conf_low": read(result["low"]), "conf_high": read(result["high"])}
    columns |= {"coef": result["coef"]} if logged else {}
    return columns | {
        "std_error": result["se"],
        "accuracy_low": read(result["accuracy_low"]),
        "accuracy_high": read(result["accuracy_high"]),
        "n_draws": n_draws,
    }


def _notes(whole: pd.DataFrame, columns: dict[str, Any], n_impossible: int, draws: int) -> list[str]:
    written = whole["note"].fillna("").tolist() if "note" in whole else [""] * len(whole)
    notes = []
    for j, own in enumerate(written):
        said = [own, impossible_words(n_impossible, draws)]
        missing = draws - n_impossible - int(columns["n_draws"][j])
        if missing:
            said.append(f"no estimate in {missing} of {draws} draws, left out")
        if np.isnan(columns["estimate"][j]) and n_impossible < draws:
            said.append(f"fewer than {FEWEST} draws with an estimate: none to give")
        if np.isinf(columns["conf_high"][j]):
            said.append("in so many draws all events were exposed that there is no upper limit")
        notes.append("; ".join(filter(None, said)))
    return notes
