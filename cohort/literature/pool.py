"""Published figures are pooled only with figures of the same thing: one definition, one unit, each patient once.

With same-level refracture the tier of the definition makes the figure (0.6 to 63 per cent), and a share of vertebrae is
no share of patients; so tiers and units are never mixed unless that is asked for, and then the result says so. A study
gives one row: the whole cohort rather than its subgroups, arms that do not overlap added together. Whatever is left out
is listed with the reason. `poolable` shows both; `pool` and `pool_effects` work on what it takes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from cohort.domain.errors import EstimationError
from cohort.estimate.meta import meta_effects, meta_proportions
from cohort.estimate.meta_influence import ENOUGH, egger_test, funnel, leave_one_out
from cohort.estimate.meta_recipe import ProportionModel
from cohort.estimate.meta_tau import MetaTest, Tau2Method
from cohort.estimate.shrinkage import ErrorOf, shrink
from cohort.literature.arithmetic import Z_95
from cohort.literature.poolable import on_drug, poolable, poolable_effects, restrictions
from cohort.tables.results import Estimates


@dataclass(frozen=True)
class PooledFacts:
    """Published figures pooled: what they say together, what rests on which study, and what was left out.

    estimates : rows "study", "pooled" and "prediction" (`meta_proportions` or `meta_effects`; fractions or ratios).
    beside : proportions by the other model (double arcsines beside the likelihood), or None.
    studies : one row per study pooled, with its definition; left_out : the figures that were not, each with `why`.
    without_each : pooled again without each study; by_tier : one pooled value per tier, where tiers were mixed.
    funnel, egger : for ten studies or more. Each of these is None where there is nothing to show.
    notes : sentences on what was put together; read them before the number. method : the model of shares, None for
        ratios.
    """

    estimates: Estimates
    beside: Estimates | None
    studies: pd.DataFrame
    left_out: pd.DataFrame
    without_each: Estimates | None
    by_tier: Estimates | None
    funnel: Estimates | None
    egger: Estimates | None
    notes: tuple[str, ...]
    method: ProportionModel | None = None
    registry_within: bool = False

    @property
    def pooled(self) -> pd.Series:
        """The pooled row: estimate, conf_low, conf_high, tau2, i2 and their limits, n_studies, n_events, n_patients."""
        return self.estimates.frame.query("row == 'pooled'").iloc[0]

    @property
    def prediction(self) -> pd.Series:
        """The prediction row: where the figure of another place is expected; missing limits with two studies or one."""
        return self.estimates.frame.query("row == 'prediction'").iloc[0]


def pool(
    relation: str,
    unit: str = "patient",
    tier: str | None = None,
    *,
    across_tiers: bool = False,
    across_units: bool = False,
    method: ProportionModel = "glmm",
    window: tuple[float, float] | None = None,
) -> PooledFacts:
    """Pool the published shares of a relation, by random effects.

    relation, unit, tier, window : as in `poolable`; a tier may be left out where all studies have one. across_tiers,
        across_units : pool different definitions or units all the same (`unit` is then ignored). method : "glmm"
        (logistic, random intercept), "freeman_tukey" or "logit" (by inverse variance).

    Crude shares over unlike follow-up are pooled as they stand: the notes say from which to which. For a regression on
    what the studies differ in, give `studies` to `cohort.estimate.meta_regression`.

    Raises EstimationError when nothing is left to pool, and when tiers would be mixed without being told to.

    >>> found = pool("adjacent", tier="unstated")
    >>> found.pooled[["n_studies", "n_events", "n_patients"]].astype(int).tolist()
    [8, 674, 5935]
    >>> found.pooled[["estimate", "conf_low", "conf_high"]].astype(float).round(3).tolist()
    [0.137, 0.1, 0.186]
    """
    table = poolable(relation, None if across_units else unit, tier, window)
    asked = f"{relation}-level" if relation == "same" else relation
    studies = _studies(table[table["taken"]])
    if studies.empty:
        reasons = table["why"].value_counts()
        said = "; ".join(f"{n} {why}" for why, n in reasons.head(4).items())
        raise EstimationError(
            f"No published share of {asked} refracture fits (unit {unit}, tier {tier or 'any'}): of {len(table)} "
            f"figures {said}{' and others' if len(reasons) > 4 else ''}. `poolable` lists them all."
        )
    if tier is None and not across_tiers and _mixed(studies["tier"]):
        raise EstimationError(
            f"The studies of {asked} refracture define it in unlike ways ({_counts(studies['tier'])}). Give one as "
            "`tier`, or across_tiers=True to pool figures that are different by definition."
        )
    return _proportions(studies, table[~table["taken"]].reset_index(drop=True), method, relation)


def pool_effects(
    exposure: str,
    outcome: str = "",
    *,
    unit: str = "patient",
    measure: str | None = None,
    adjustment: str | None = None,
    across_measures: bool = False,
    across_adjustments: bool = False,
    with_meta_analyses: bool = False,
    method: Tau2Method = "reml",
    test: MetaTest = "hksj",
) -> PooledFacts:
    """Pool published ratios by restricted likelihood, with Hartung-Knapp limits and a prediction interval.

    exposure, outcome : regular expressions, without regard to case, sought in the words of effects.csv. The notes list
        the words that were taken as one thing: whether they are, and whether all ratios point the same way, is for the
        reader to judge. measure : OR, HR or RR. adjustment : adjusted, crude, randomised or unclear. Both may be left
        out where all studies agree. across_measures, across_adjustments, with_meta_analyses : pool them all the same.

    The standard error is the printed interval's width on the log scale over 2 x 1.96; a ratio without an interval, or
    that does not lie in the middle of its own, is left out.

    Raises EstimationError when nothing is left, when a study has several ratios that fit, and for unlike ones unless
    told to pool them.

    >>> found = pool_effects("^HU|Hounsfield", "VCF|fracture")
    >>> found.studies["study"].tolist(), round(float(found.pooled["estimate"]), 3)
    (['jilin2022hu', 'avf674_2024'], 0.973)
    """
    table = poolable_effects(
        exposure, outcome, unit=unit, measure=measure, adjustment=adjustment, with_meta_analyses=with_meta_analyses
    )
    taken = table[table["taken"]].reset_index(drop=True)
    if taken.empty:
        reasons = "; ".join(f"{n} {why}" for why, n in table["why"].value_counts().items())
        raise EstimationError(
            f"No published ratio of '{exposure}' for '{outcome}' can be pooled: {reasons or 'none has these words'}."
        )
    for name, allowed, say in (
        ("measure", across_measures, "across_measures=True"),
        ("adjustment", across_adjustments, "across_adjustments=True"),
    ):
        if not allowed and _mixed(taken[name]):
            raise EstimationError(
                f"The ratios are not of one {name} ({_counts(taken[name])}). Give one as `{name}`, or {say}."
            )
    several = taken["study_key"].value_counts()
    if (several > 1).any():
        rows = taken[taken["study_key"] == several.index[0]]
        raise EstimationError(
            f"{several.index[0]} has {len(rows)} ratios that fit "
            f"({'; '.join(rows['exposure'] + ' / ' + rows['outcome'])}): the same patients cannot "
            "count twice. Say exposure or outcome more closely."
        )
    logs = {name: np.log(taken[name].to_numpy(dtype=np.float64)) for name in ("estimate", "ci_low", "ci_high")}
    studies = taken.drop(columns=["taken", "why"]).rename(columns={"study_key": "study"})
    studies = studies.assign(
        log_ratio=logs["estimate"], std_error=(logs["ci_high"] - logs["ci_low"]) / (2.0 * Z_95)
    ).reset_index(drop=True)
    columns: dict[str, Any] = {
        "estimate": "log_ratio", "std_error": "std_error", "measure": "log_ratio", "method": method, "study": "study",
    }  # fmt: skip
    found = meta_effects(studies, test=test, **columns)
    many = len(studies) >= ENOUGH
    return PooledFacts(
        estimates=found,
        beside=None,
        studies=studies,
        left_out=table[~table["taken"]].reset_index(drop=True),
        without_each=leave_one_out(studies, test=test, **columns) if len(studies) > 1 else None,
        by_tier=None,
        funnel=funnel(studies, **columns) if many else None,
        egger=egger_test(studies, **columns) if many else None,
        notes=tuple(_notes_on_effects(studies) + _said(found)),
    )


def with_registry(
    pooled: PooledFacts, n_events: int, n: int, *, window_days: float = np.nan, name: str = "registry"
) -> PooledFacts:
    """The same studies with the registry's own share as one more: `n_events` of `n`, counted as the studies count.

    window_days : until when the registry counted, to be told beside the follow-up of the others.

    Raises EstimationError for ratios, where the registry is among the studies already, and where the studies are of
    several tiers or units, of which the registry has one.

    >>> both = with_registry(pool("adjacent", tier="clinical"), 30, 310, window_days=365)
    >>> both.studies["study"].tolist(), both.pooled[["n_events", "n_patients"]].astype(int).tolist()
    (['multifidus2022', 'registry'], [53, 501])
    """
    if pooled.method is None:
        raise EstimationError("A registry's events are added to shares; these are ratios. Pool it with `meta_effects`.")
    if pooled.registry_within or name in set(pooled.studies["study"]):
        raise EstimationError(f"'{name}' is already among the studies.")
    for column in ("tier", "unit"):
        if _mixed(pooled.studies[column]):
            raise EstimationError(
                f"The studies have several {column}s ({_counts(pooled.studies[column])}); the registry has one."
            )
    first = pooled.studies.iloc[0]
    own = {
        "study": name, "citation": "the registry", "relation": first["relation"], "tier": first["tier"],
        "unit": first["unit"], "window_kind": "none" if np.isnan(window_days) else "fixed", "window_days": window_days,
        "arm": "", "counts": "", "derived": "", "figures": 1, "n_events": float(n_events), "n": float(n),
        "source": "the registry", "confidence": "own data",
    }  # fmt: skip
    studies = pd.concat([pooled.studies, pd.DataFrame([own])], ignore_index=True)
    found = _proportions(studies, pooled.left_out, pooled.method, str(first["relation"]), named=name)
    return replace(found, registry_within=True)


def toward_literature(
    estimate: float, std_error: float, pooled: PooledFacts, *, error_of: ErrorOf = "estimate", outcome: str = ""
) -> Estimates:
    """The registry's own estimate drawn towards the published studies, with the prior that draws it.

    estimate, std_error, error_of : as in `cohort.estimate.shrink`, which says what the three rows "prior", "registry"
        and "shrunken" hold, and why the prior is narrower than the prediction interval of `pooled`. pooled : of `pool`
        or `pool_effects`, without the registry; its notes go with the settings.

    Raises EstimationError where the registry is among the studies already, and for fewer than two studies.

    >>> found = toward_literature(0.20, 0.03, pool("adjacent", tier="unstated")).frame
    >>> found[["row", "estimate", "conf_low", "conf_high"]].round(3).to_numpy().tolist()
    [['prior', 0.137, 0.054, 0.306], ['registry', 0.2, 0.148, 0.265], ['shrunken', 0.192, 0.144, 0.251]]
    """
    if pooled.registry_within:
        raise EstimationError("The registry is among these studies: it would be drawn towards itself. Pool without it.")
    by_logit = pooled.estimates.settings.get("scale") != "freeman_tukey"
    source = pooled.estimates if by_logit or pooled.beside is None else pooled.beside
    drawn = shrink(estimate, std_error, source, error_of=error_of, outcome=outcome)
    return Estimates(drawn.frame, {**drawn.settings, "notes": pooled.notes})


def _studies(taken: pd.DataFrame) -> pd.DataFrame:
    """One row per study, the counts of its arms added together."""
    if taken.empty:
        return taken
    first = taken.groupby("study_key", sort=False)
    rows = first[["citation", "year", "relation", "tier", "unit", "window_kind", "window_days", "counts"]].first()
    rows["arm"] = first["arm"].agg(" + ".join)
    rows["derived"] = first["derived"].max()
    rows["figures"] = first.size()
    rows["n_events"], rows["n"] = first["numerator"].sum(), first["denominator"].sum()
    rows[["source", "confidence"]] = first[["source", "confidence"]].first()
    return rows.reset_index(names="study")


def _proportions(
    studies: pd.DataFrame, left_out: pd.DataFrame, method: ProportionModel, relation: str, named: str = ""
) -> PooledFacts:
    columns: dict[str, Any] = {"events": "n_events", "n": "n", "study": "study", "outcome": relation}
    other: ProportionModel = "freeman_tukey" if method != "freeman_tukey" else "glmm"
    found = meta_proportions(studies, method=method, **columns)
    many, tiers = len(studies) >= ENOUGH, _mixed(studies["tier"])
    funnel_columns = {name: value for name, value in columns.items() if name != "study"}
    notes = [f"'{named}' is one of the studies."] if named else []
    return PooledFacts(
        estimates=found,
        beside=meta_proportions(studies, method=other, **columns),
        studies=studies,
        left_out=left_out,
        without_each=leave_one_out(studies, method=method, **columns) if len(studies) > 1 else None,
        by_tier=meta_proportions(studies, method=method, by="tier", **columns) if tiers else None,
        funnel=funnel(studies, **columns) if many else None,
        egger=egger_test(studies, **funnel_columns) if many else None,
        notes=tuple(notes + _notes_on(studies) + _said(found)),
        method=method,
    )


def _notes_on(studies: pd.DataFrame) -> list[str]:
    """What was put together, in sentences."""
    said = []
    if _mixed(studies["tier"]):
        said.append(
            f"Pooled across definitions ({_counts(studies['tier'])}): what it takes to be an event differs, and the "
            "pooled value is of no definition; read `by_tier`."
        )
    if _mixed(studies["unit"]):
        said.append(f"Pooled across units ({_counts(studies['unit'])}): a share of vertebrae is no share of patients.")
    windows = studies.loc[studies["window_kind"].ne(""), ["window_kind", "window_days"]]
    if windows.drop_duplicates().shape[0] > 1:
        days = windows["window_days"].dropna()
        span = f", {days.min():g} to {days.max():g} days where given" if len(days) else ""
        said.append(f"Follow-up differs ({_counts(windows['window_kind'])}{span}): longer ones see more events.")
    elif len(windows) and windows["window_kind"].iloc[0] == "none":
        said.append("No study gives a window: over which time the share holds is unknown.")
    untreated = studies.loc[studies["counts"] == "untreated", "study"]
    if 0 < len(untreated) < len(studies):
        said.append(f"Fractures of treated vertebrae are not counted in {', '.join(untreated)}.")
    drugged = studies.loc[[_all_on_drugs(arm) for arm in studies["arm"]], "study"]
    if len(drugged):
        said.append(f"Every patient had a drug under study in {', '.join(drugged)}.")
    known = ("technique", "n_levels", "cohort", "drug")
    parts = [{key: value for key, value in restrictions(arm).items() if key not in known} for arm in studies["arm"]]
    only = [
        f"{study} ({', '.join(f'{key} {value}' for key, value in part.items()).replace('_', ' ')})"
        for study, part, figures in zip(studies["study"], parts, studies["figures"], strict=True)
        if part and figures == 1
    ]
    if only:
        said.append(f"Restricted to part of those treated: {', '.join(only)}.")
    summed = studies.loc[studies["figures"] > 1, "study"]
    if len(summed):
        said.append(f"Arms without a common patient were added together in {', '.join(summed)}.")
    derived = studies.loc[studies["derived"] != "", "study"]
    if len(derived):
        said.append(f"A number was worked out from a printed per cent in {', '.join(derived)}.")
    said.append(f"How surely the figures were read: {_counts(studies['confidence'])}.")
    return said


def _all_on_drugs(arms: str) -> bool:
    return all(on_drug(restrictions(arm)) for arm in arms.split(" + "))


def _notes_on_effects(studies: pd.DataFrame) -> list[str]:
    said = []
    for name in ("exposure", "outcome"):
        words = list(dict.fromkeys(studies[name]))
        if len(words) > 1:
            said.append(f"Taken as one {name}: {'; '.join(words)}.")
    if _mixed(studies["measure"]):
        said.append(f"Pooled across measures ({_counts(studies['measure'])}): where events are common these differ.")
    if _mixed(studies["adjustment"]):
        said.append(f"Pooled across adjustments ({_counts(studies['adjustment'])}): they answer different questions.")
    if studies["meta_analysis"].any():
        names = ", ".join(studies.loc[studies["meta_analysis"], "study"])
        said.append(f"Meta-analyses are among the studies ({names}): patients may count twice.")
    return said


def _said(found: Estimates) -> list[str]:
    """The estimator's own notes on the pooled row, as sentences."""
    note = str(found.frame.query("row == 'pooled'")["note"].iloc[0])
    return [f"{part[0].upper()}{part[1:]}." for part in note.split("; ") if part]


def _mixed(values: pd.Series) -> bool:
    return len(set(values)) > 1


def _counts(values: pd.Series) -> str:
    return ", ".join(f"{name} {n}" for name, n in values.value_counts(sort=False).items())
