"""The models behind an incidence at given covariates: a Cox model for each cause, or Fine and Gray's for one.

All causes are fitted to the same rows, those with every covariate of every cause, so that the patients whose influence
is added up are the same throughout. Covariates are fixed: an incidence asks for their values on every day to come.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from cohort.domain.clock import FloatArray, IntArray
from cohort.domain.errors import EstimationError
from cohort.estimate.baseline_influence import CauseModel, Product, incidences_of_rows, linear_predictor, merged_times
from cohort.estimate.cox import fit_cox, select
from cohort.estimate.curves import EVENT_FREE
from cohort.estimate.design import Design, Rows, causes, column, design, first_and_last, numbers, rows_of
from cohort.estimate.finegray import LingeringSets, lingering_sets
from cohort.estimate.kernel import Ties, WeightKind
from cohort.estimate.risk_sets import RiskSets

Method = Literal["cause_specific", "fine_gray"]


@dataclass(frozen=True)
class RiskModel:
    """What predicts incidences: one Cox model per cause, or Fine and Gray's of one.

    rows, cause, x : the rows of the fit (one per unit with Fine-Gray), how they ended (n,), covariates (n, p).
    strata, of_strata : their columns, and the code of each combination of their values.
    causes : those modelled; fits : their models, None without an event. states : of `Incidences` that are asked for,
    with their names (outcomes) and the causes they count (0 all).
    """

    rows: Rows
    cause: IntArray
    x: FloatArray
    plan: Design
    strata: tuple[str, ...]
    of_strata: dict[tuple[Any, ...], int]
    causes: tuple[int, ...]
    fits: tuple[CauseModel | None, ...]
    names: tuple[str, ...]
    states: tuple[int, ...]
    counted: tuple[int, ...]
    outcomes: tuple[str, ...]
    product: Product
    weight_kind: WeightKind
    settings: dict[str, Any]

    @property
    def counts(self) -> FloatArray:
        """(n,) how many each row stands for in counts."""
        return self.rows.weight if self.weight_kind == "frequency" else np.ones(len(self.rows.exit))

    @property
    def limited(self) -> bool:
        """Whether every hazard ratio is finite."""
        return all(model is None or model.limited for model in self.fits)

    def coded(self, table: pd.DataFrame) -> FloatArray:
        """Covariates of other rows as rows of the design matrix, (m, p); categories must be among those fitted."""
        plan = self.plan
        result = np.zeros((len(table), len(plan.terms)))
        for name in dict.fromkeys(plan.variables):
            mine = [j for j, variable in enumerate(plan.variables) if variable == name]
            if name not in plan.reference:
                result[:, mine[0]] = numbers(table, name, "a covariate of the profiles")
                continue
            given = column(table, name, "a covariate of the profiles").astype(str).to_numpy()
            known = dict.fromkeys([plan.reference[name], *(plan.terms[j].removeprefix(f"{name}=") for j in mine)])
            unknown = [value for value in dict.fromkeys(given) if value not in known]
            if unknown:
                raise EstimationError(
                    f"A profile has {name} '{unknown[0]}', which no complete row has; there are {', '.join(known)}."
                )
            for j in mine:
                result[:, j] = given == plan.terms[j].removeprefix(f"{name}=")
        return result

    def strata_of(self, table: pd.DataFrame) -> IntArray:
        """The codes of the strata of other rows, (m,)."""
        if not self.strata:
            return np.zeros(len(table), dtype=np.int64)
        given = [column(table, name, "a stratum of the profiles").tolist() for name in self.strata]
        found = [self.of_strata.get(values, -1) for values in zip(*given, strict=True)]
        if -1 in found:
            raise EstimationError(
                f"Profile {found.index(-1) + 1} is of a stratum ({', '.join(self.strata)}) that no row has."
            )
        return np.array(found, dtype=np.int64)

    def predict(self, x: FloatArray, stratum: IntArray, at: FloatArray) -> FloatArray:
        """Incidence of the first state asked for at covariates x (m, p), by day: (m, T). Exponential product."""
        relative = np.zeros((len(x), len(self.fits)))
        jumps = [np.zeros(0)] * len(self.fits)
        for j, model in enumerate(self.fits):
            if model is None:
                continue
            fit = model.fit
            own = ((x[:, model.columns] - fit.centre) / fit.scale)[:, fit.kept]
            with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
                jumps[j] = fit.likelihood.baseline_increments(fit.maximum.coef)[0]
                relative[:, j] = np.exp(linear_predictor(own, fit.maximum.coef))
        result = np.zeros((len(x), len(at)))
        for code in np.unique(stratum):
            time, inside, place = merged_times(self.fits, int(code))
            by_cause = np.zeros((len(time), len(self.fits)))
            for j, mine in enumerate(inside):
                by_cause[place[j], j] = jumps[j][mine]
            steps = np.searchsorted(time, at, side="right")
            here = stratum == code
            result[here] = incidences_of_rows(by_cause, relative[here], steps, self.states[0])
        return result

    def notes_of(self, k: int) -> list[str]:
        """What must be said of the model of cause k."""
        model, name = self.fits[k], self.names[self.causes[k] - 1]
        if model is None:
            return [f"no event of cause {name}"]
        fit, said = model.fit, []
        if fit.maximum.unlimited.any():
            terms = [self.plan.terms[j] for j in model.columns[fit.kept & ~fit.limited]]
            said.append(
                f"no finite hazard ratio of {', '.join(terms)} for cause {name}: no limits; leave it out of the model"
            )
        elif not model.limited:
            said.append(f"the model of cause {name} rests on too little for limits")
        elif not fit.maximum.converged:
            said.append(f"the model of cause {name} did not converge")
        if not fit.kept.all():
            terms = [self.plan.terms[j] for j in model.columns[~fit.kept]]
            said.append(
                f"{', '.join(terms)} left out of the model of cause {name}, which has nothing to compare: estimates "
                "only at the values there are"
            )
        return said


def fit_risk(
    rows: pd.DataFrame,
    covariates: Sequence[str],
    *,
    exit: str,
    cause: str,
    of: int | None,
    entry: str | None,
    weight: str | None,
    strata: str | Sequence[str] | None,
    id: str | None,
    cluster: str | None,
    ties: Ties,
    method: Method,
    product: Product = "exponential",
    covariates_of: Mapping[int, Sequence[str]] | None = None,
    causes_named: Sequence[str] | None = None,
    weight_kind: WeightKind = "probability",
) -> RiskModel:
    """The models that predict incidences; arguments as in `absolute_risk`."""
    _check(method, product, ties, of, strata)
    base = rows_of(
        rows, exit_=exit, entry=entry, weight=weight, id_=id, cluster=cluster, strata=strata, weight_kind=weight_kind
    )
    what = causes(rows, cause)
    names = _names(rows[cause], what, causes_named)
    for number in [*([] if of is None else [of]), *(covariates_of or {})]:
        if not 1 <= number <= len(names):
            raise EstimationError(f"There is no cause {number}: column '{cause}' holds the causes 1 to {len(names)}.")
    modelled = [of] if method == "fine_gray" and of is not None else list(range(1, len(names) + 1))
    of_cause = {number: list((covariates_of or {}).get(number, covariates)) for number in modelled}
    of_strata = () if strata is None else (strata,) if isinstance(strata, str) else tuple(strata)
    listed = list(dict.fromkeys(name for own in of_cause.values() for name in own))
    _refuse_changes(rows, [*listed, *of_strata], base)
    plan = design(rows, listed)
    sets = None
    if method == "fine_gray":
        units, ended, x, sets = _lingering(base, what, plan, modelled[0])
    else:
        used = plan.complete & (base.weight > 0)
        units, ended, x = select(base, used), what[used], plan.matrix[used[plan.complete]]
    fits: list[CauseModel | None] = []
    for number in modelled:
        columns = [j for name in of_cause[number] for j, variable in enumerate(plan.variables) if variable == name]
        happened = ended == number
        if not happened.any():  # its hazard is zero whatever the covariates
            fits.append(None)
            continue
        own = x[:, columns]
        fit = fit_cox(own, happened, units, ties=ties, weight_kind=weight_kind, sets=sets)
        fits.append(CauseModel.of(fit, np.array(columns, dtype=np.int64), own))
    counted = (of,) if of is not None else (0, *modelled)
    settings = {
        "method": "Cox model of each cause" if method == "cause_specific" else "Fine-Gray, weights taken as known",
        "product": product,
        "ties": ties,
        "of": of,
        "covariates": of_cause,
        "strata": strata,
        "weights": weight_kind if weight is not None else "none",
        "n_clusters": units.n_patients,
        **plan.settings,
    }
    return RiskModel(
        rows=units,
        cause=ended,
        x=x,
        plan=plan,
        strata=of_strata,
        of_strata=_strata_known(rows, base, of_strata),
        causes=tuple(modelled),
        fits=tuple(fits),
        names=tuple(names),
        states=(1,) if method == "fine_gray" else counted,
        counted=counted,
        outcomes=tuple((EVENT_FREE, *names)[number] for number in counted),
        product=product,
        weight_kind=weight_kind,
        settings=settings,
    )


def units_of(rows: Rows, first: IntArray, last: IntArray) -> Rows:
    """One row per unit, from the entry of its first row to the exit of its last."""
    return Rows(
        rows.entry[first],
        rows.exit[last],
        rows.weight[first],
        rows.id[first],
        rows.cluster[first],
        rows.stratum[first],
        True,
    )


def _check(method: str, product: str, ties: str, of: int | None, strata: str | Sequence[str] | None) -> None:
    for name, value, known in (
        ("method", method, ("cause_specific", "fine_gray")),
        ("product", product, ("exponential", "limit")),
        ("ties", ties, ("efron", "breslow")),
    ):
        if value not in known:
            raise EstimationError(f"{name} must be {' or '.join(known)}, and is {value!r}.")
    if method == "fine_gray":
        if of is None:
            raise EstimationError(
                "A Fine-Gray model is one of a single cause, and incidences of several such models may add to more "
                'than one: name the cause with `of`, or use method="cause_specific".'
            )
        if strata:
            raise EstimationError(
                'Fine-Gray incidences with strata are not available; use method="cause_specific", or one model per '
                "stratum."
            )
        if product == "limit":
            raise EstimationError('A Fine-Gray incidence is 1 - exp(-L); product="limit" is for cause-specific models.')


def _strata_known(rows: pd.DataFrame, base: Rows, names: Sequence[str]) -> dict[tuple[Any, ...], int]:
    if not names:
        return {}
    first = np.unique(base.stratum, return_index=True)[1]
    values = [rows[name].iloc[first].tolist() for name in names]
    return {key: int(base.stratum[k]) for key, k in zip(zip(*values, strict=True), first, strict=True)}


def _names(series: pd.Series, what: IntArray, causes_named: Sequence[str] | None) -> list[str]:
    largest = int(what.max(initial=1))
    if causes_named is None and isinstance(series.dtype, pd.CategoricalDtype):
        return [str(name) for name in series.cat.categories[1:]]
    names = [str(number) for number in range(1, largest + 1)] if causes_named is None else list(causes_named)
    if largest > len(names):
        raise EstimationError(f"The causes run to {largest}, and only {len(names)} are named.")
    return names


def _refuse_changes(rows: pd.DataFrame, names: Sequence[str], base: Rows) -> None:
    first, _ = first_and_last(base.id, base.entry, base.exit)
    if len(first) == len(rows):
        return
    for name in names:
        codes = pd.factorize(column(rows, name, "a covariate"))[0]
        changed = len(np.unique(base.id[codes != codes[first][base.id]]))
        if changed:
            raise EstimationError(
                f"'{name}' changes during the follow-up of {changed} units. The incidence of a profile needs each "
                "covariate on every day to come, and what changes with time has no value after death: use its value "
                "at entry, or start the clock on the day it changes."
            )


def _lingering(
    base: Rows, what: IntArray, plan: Design, of: int
) -> tuple[Rows, IntArray, FloatArray, LingeringSets | None]:
    """One row per unit, its end and covariates, and risk sets in which who died of another cause lingers."""
    first, last = first_and_last(base.id, base.entry, base.exit)
    length = np.bincount(base.id, np.where(np.isfinite(base.entry), base.exit - base.entry, 0.0))
    whole = np.where(np.isfinite(base.entry[first]), base.exit[last] - base.entry[first], 0.0)
    if len(first) < len(base.exit) and not np.isclose(length, whole).all():
        raise EstimationError("Some ids leave and return; Fine and Gray's model needs each followed without a gap.")
    used = base.weight[first] > 0
    first, last = first[used], last[used]
    units = units_of(base, first, last)
    ended, kept = what[last], plan.complete[first]
    followed, x = select(units, kept), plan.matrix[(np.cumsum(plan.complete) - 1)[first[kept]]]
    happened = ended[kept] == of
    if not happened.any():
        return followed, ended[kept], x, None
    # The curves of being lost and of entering use everyone; the risk sets, those with all covariates.
    everyone = lingering_sets(units.entry, units.exit, ended, of, units.weight)
    plain = RiskSets.of(followed.exit, happened, followed.entry)
    sets = LingeringSets(
        plain.time,
        plain.stratum,
        plain.first,
        plain.end,
        plain.late,
        plain.stratum_end,
        everyone.share[np.searchsorted(everyone.time, plain.time)],
        everyone.per_share[kept],
    )
    return followed, ended[kept], x, sets
