"""Every value of reference.json beside ours: which data, which call here, which call in R, how close it must be.

The tests read this table (`test_reference.py`) and `docs/validate.py` prints it: one list, so that no method is held
against R in one place and shown in another.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cohort import estimate
from cohort.estimate.cox import fit_cox
from cohort.estimate.curves import quantile_time
from cohort.estimate.design import rows_of
from cohort.tables.results import Estimates

HERE = Path(__file__).parent
Numbers = Any
Both = Mapping[str, tuple[Numbers, Numbers]]  # quantity: ours, theirs

SAME_ALGORITHM = 1e-9
CONVENTION = 0.05  # another convention for ties and variance (docs/differences.md): near, and not meant to be equal
R_STOPS_EARLY = 1e-6  # coxph and glm stop at a relative change of the likelihood of 1e-9 and 1e-8


@dataclass(frozen=True)
class Comparison:
    """One key of reference.json. close : how near every quantity must come, relative; `looser` by quantity, and why."""

    key: str
    data: str
    method: str
    r_call: str
    compare: Callable[[pd.DataFrame, dict[str, Any]], Both]
    close: float = SAME_ALGORITHM
    looser: Mapping[str, tuple[float, str]] = field(default_factory=dict)

    def both(self) -> Both:
        """Ours and theirs by quantity, as flat arrays."""
        pairs = self.compare(data(self.data), reference()[self.key])
        return {
            name: (np.asarray(ours, dtype=float).ravel(), np.asarray(_values(theirs), dtype=float).ravel())
            for name, (ours, theirs) in pairs.items()
        }

    def tolerance(self, quantity: str) -> float:
        """How near a quantity must come."""
        return self.looser.get(quantity, (self.close, ""))[0]


def difference(ours: Numbers, theirs: Numbers) -> float:
    """Largest difference relative to theirs (absolute where theirs is zero); infinite where only one is missing."""
    if len(ours) != len(theirs) or (np.isnan(ours) != np.isnan(theirs)).any():
        return float("inf")
    known = ~np.isnan(theirs)
    scale = np.where(theirs[known] == 0, 1.0, np.abs(theirs[known]))
    return float((np.abs(ours[known] - theirs[known]) / scale).max(initial=0.0))


@cache
def reference() -> dict[str, Any]:
    """The values of R."""
    return dict(json.loads((HERE / "reference.json").read_text(encoding="utf-8")))


@cache
def data(name: str) -> pd.DataFrame:
    """A data set; none when the key holds its own inputs."""
    return pd.read_csv(HERE / "data" / f"{name}.csv") if name else pd.DataFrame()


def _values(theirs: Numbers) -> Numbers:
    if isinstance(theirs, dict):
        return list(theirs.values())
    return [np.nan if value is None else value for value in theirs] if isinstance(theirs, list) else theirs


# Curves -------------------------------------------------------------------------------------------------------------


def _survival(**options: Any) -> Callable[[pd.DataFrame, dict[str, Any]], Both]:
    def compare(rows: pd.DataFrame, gold: dict[str, Any]) -> Both:
        at = list(dict.fromkeys(gold["time"]))
        km = estimate.kaplan_meier(rows, exit="time", event="event", at=at, **options).frame
        na_options = {k: v for k, v in options.items() if k != "conf_type"}
        na = estimate.nelson_aalen(rows, exit="time", event="event", at=at, **na_options).frame
        return {
            "survival": (km["estimate"], gold["surv"]),
            "standard error": (km["std_error"], gold["se"]),
            "limits": ([*km["conf_low"], *km["conf_high"]], [*gold["lower"], *gold["upper"]]),
            "number at risk": (_numbers_at_risk(km, rows, options), gold["nrisk"]),
            "cumulative hazard": (na["estimate"], gold["cumhaz"]),
            "its standard error": (na["std_error"], gold["se_cumhaz"]),
        }

    return compare


def _numbers_at_risk(km: pd.DataFrame, rows: pd.DataFrame, options: Mapping[str, Any]) -> Numbers:
    if options.get("weight") == "w":  # R adds up weights; with sampling weights we count those who are there
        return [rows.loc[rows["time"] >= day, "w"].sum() for day in km["time"]]
    return km["n_risk"]


def _median(rows: pd.DataFrame, gold: dict[str, Any]) -> Both:
    median = quantile_time(estimate.kaplan_meier(rows, exit="time", event="event"), 0.5).frame.iloc[0]
    return {
        "median": (median["estimate"], gold["quantile"]),
        "limits": (median[["conf_low", "conf_high"]], [gold["lower"], gold["upper"]]),
    }


def _tied_hazard(rows: pd.DataFrame, gold: dict[str, Any]) -> Both:
    found = estimate.nelson_aalen(rows, exit="time", event="event", at=gold["time"], ties="efron").frame
    return {
        "cumulative hazard": (found["estimate"], gold["cumhaz"]),
        "its standard error": (found["std_error"], gold["se_cumhaz"]),
    }


def _restricted_mean(rows: pd.DataFrame, gold: dict[str, Any]) -> Both:
    found = estimate.time_lost(rows, exit="time", cause="event", horizon=365, by="sex").frame
    free = found[found["outcome"] == "event_free"]
    return {"restricted mean": (free["estimate"], gold["rmean"]), "standard error": (free["std_error"], gold["se"])}


def _incidence(**options: Any) -> Callable[[pd.DataFrame, dict[str, Any]], Both]:
    def compare(rows: pd.DataFrame, gold: dict[str, Any]) -> Both:
        found = estimate.aalen_johansen(rows, exit="time", cause="status", at=gold["time"], **options).frame
        limits = pd.concat([found["conf_low"], found["conf_high"]])
        return {
            "state probabilities": (found["estimate"], np.ravel(gold["pstate"])),
            "standard errors": (found["std_error"], np.ravel(gold["se"])),
            "limits": (limits, np.ravel(_missing(gold["lower"]) + _missing(gold["upper"]))),
        }

    return compare


def _missing(rows: list[list[float | None]]) -> list[list[float]]:
    return [[np.nan if value is None else value for value in row] for row in rows]


def _cuminc(at: str) -> Callable[[pd.DataFrame, dict[str, Any]], Both]:
    def compare(rows: pd.DataFrame, gold: dict[str, Any]) -> Both:
        found = estimate.aalen_johansen(rows, exit="time", cause="status", at=reference()[at]["time"]).frame
        return {
            f"incidence of cause {cause}": (
                found.loc[found["outcome"] == str(cause), "estimate"],
                gold["est"][cause - 1],
            )
            for cause in (1, 2)
        }

    return compare


def _gray(by: str, strata: str | None = None) -> Callable[[pd.DataFrame, dict[str, Any]], Both]:
    def compare(rows: pd.DataFrame, gold: dict[str, Any]) -> Both:
        found = estimate.gray_test(rows, exit="time", cause="status", by=by, strata=strata).frame
        found = found[found["statistic"].notna()]
        return {"statistics": (found["statistic"], gold["stat"]), "p": (found["p_value"], gold["pv"])}

    return compare


def _log_rank(**options: Any) -> Callable[[pd.DataFrame, dict[str, Any]], Both]:
    def compare(rows: pd.DataFrame, gold: dict[str, Any]) -> Both:
        found = estimate.logrank(rows, exit="time", event="event", **options).frame
        pairs: dict[str, tuple[Numbers, Numbers]] = {"chi-squared": (found["statistic"].iloc[-1], gold["chisq"])}
        if "obs" in gold:
            pairs["observed"] = (found["observed"].iloc[:-1], gold["obs"])
            pairs["expected"] = (found["expected"].iloc[:-1], gold["exp"])
        return pairs

    return compare


# Hazards ------------------------------------------------------------------------------------------------------------

LUNG = ["age", "sex", "ph_ecog"]
HEART = ["age", "year", "surgery", "transplant"]
BLADDER = ["rx", "size", "number"]
VETERAN = ["trt", "karno", "age", "diagtime", "prior"]
MELANOMA = ["ulcer", "sexm", "age", "logthick"]
PBC = ["age", "sexf", "lbili"]
START_STOP = {"entry": "start", "exit": "stop", "event": "event"}
COXPH_STOPS = dict.fromkeys(
    ("coefficients", "standard errors", "naive standard errors"), (R_STOPS_EARLY, "coxph stops early")
)
LAPLACE = {
    "coefficients": (5e-4, "glmer stops before the maximum"),
    "standard errors": (0.015, "glmer stops before the maximum, and differentiates there"),
    "standard deviation": (5e-4, "glmer stops before the maximum"),
}
ESTIMATED_G = {"standard errors": (0.15, "crr's variance knows that the weights were estimated")}
TINY = {
    "coefficients": (5e-6, "coxph stops early; one coefficient is 0.003, and differs by 2e-8 of its standard error")
}


def _model(found: Any, gold: dict[str, Any]) -> dict[str, tuple[Numbers, Numbers]]:
    frame = found.frame
    return {
        "coefficients": (frame["coef"], gold["coef"]),
        "standard errors": (frame["std_error"], gold["se"]),
        "naive standard errors": (frame["naive_std_error"], gold["se_naive"]),
        "log-likelihood": (found.settings["loglik"], gold["loglik"]),
        "score statistic": (found.settings["score_statistic"], gold["score"]),
        "events": (frame["n_events"].iloc[0], gold["nevent"]),
    }


def _cox(covariates: list[str], exit: str = "time", event: str = "event", **options: Any) -> Any:
    def compare(rows: pd.DataFrame, gold: dict[str, Any]) -> Both:
        found = estimate.cox(rows, covariates, exit=exit, event=event, **options)
        pairs = _model(found, gold)
        if "concordance" in gold:
            how = {k: v for k, v in options.items() if k != "robust"}
            index = estimate.concordance(rows, covariates, exit=exit, event=event, **how).frame.iloc[0]
            pairs["concordance"] = (index["estimate"], gold["concordance"])
            pairs["its standard error"] = (index["std_error"], gold["conc_se"])
        return pairs

    return compare


def _weighted(rows: pd.DataFrame, gold: dict[str, Any]) -> Both:
    rows = rows.assign(iptw=gold["w"])
    found = estimate.cox(rows, ["sex"], exit="time", event="event", weight="iptw")
    return _model(found, gold["cox"])


def _ph(covariates: list[str], exit: str = "time", event: str = "event", **options: Any) -> Any:
    def compare(rows: pd.DataFrame, gold: dict[str, Any]) -> Both:
        found = estimate.ph_test(rows, covariates, exit=exit, event=event, **options).frame
        return {"chi-squared": (found["statistic"], gold["chisq"]), "p": (found["p_value"], gold["p"])}

    return compare


def _survival_at(rows: pd.DataFrame, gold: dict[str, Any]) -> Both:
    base = rows_of(rows, exit_="time", entry=None, weight=None, id_=None, cluster=None)
    fit = fit_cox(rows[LUNG].to_numpy(float), rows["event"].to_numpy() == 1, base)
    time, _, hazard, error = fit.cumulative_hazard(np.array([60.0, 1.0, 1.0]))
    at = np.searchsorted(time, gold["time"], side="right") - 1
    return {
        "survival": (np.exp(-hazard[at]), gold["surv"]),
        "standard error": (np.exp(-hazard[at]) * error[at], gold["se"]),
        "cumulative hazard": (hazard[at], gold["cumhaz"]),
    }


def _fine_gray(covariates: list[str], of: int, ties: str, *, naive: bool = False) -> Any:
    def compare(rows: pd.DataFrame, gold: dict[str, Any]) -> Both:
        found = estimate.fine_gray(rows, covariates, exit="time", cause="status", of=of, ties=ties)
        pairs = _model(found, gold)
        if naive:  # its robust error takes every row that finegray made for a patient of its own: ours has no such rows
            del pairs["standard errors"]
        return pairs

    return compare


def _crr(covariates: list[str], of: int) -> Any:
    def compare(rows: pd.DataFrame, gold: dict[str, Any]) -> Both:
        found = estimate.fine_gray(rows, covariates, exit="time", cause="status", of=of, ties="breslow").frame
        return {"coefficients": (found["coef"], gold["coef"]), "standard errors": (found["std_error"], gold["se"])}

    return compare


def _crr_risk(rows: pd.DataFrame, gold: dict[str, Any]) -> Both:
    found = estimate.absolute_risk(
        rows, PBC, profiles={"age": [50], "sexf": [1], "lbili": [1]}, at=gold["time"], exit="time", cause="status",
        of=2, method="fine_gray", ties="breslow",
    ).frame  # fmt: skip
    return {"incidence of a profile": (found["estimate"], gold["cif"])}


def _each_patient(rows: pd.DataFrame, gold: dict[str, Any]) -> Both:
    found = estimate.absolute_risk(
        rows, LUNG, profiles=rows[LUNG].reset_index(drop=True), at=[100, 200, 365, 500], exit="time", cause="event"
    ).frame
    return {"survival of each patient": (1.0 - found["estimate"], np.ravel(gold["mat"]))}


def _uno(rows: pd.DataFrame, gold: dict[str, Any]) -> Both:
    found = estimate.concordance(rows, LUNG, exit="time", event="event", pairs="uno").frame.iloc[0]
    return {"concordance": (found["estimate"], gold["c"]), "its standard error": (found["std_error"], gold["se"])}


def _accuracy(rows: pd.DataFrame, gold: dict[str, Any]) -> Both:
    found = estimate.prediction_accuracy(rows, LUNG, at=gold["time"], exit="time", cause="event").frame
    of = {name: found.loc[found["measure"] == name, "estimate"] for name in ("brier", "brier_null", "auc")}
    return {
        "Brier": (of["brier"], gold["cox"]),
        "Brier without covariates": (of["brier_null"], gold["null"]),
        "AUC": (of["auc"], gold["auc"]),
    }


def _transformed(rows: pd.DataFrame, gold: dict[str, Any]) -> Both:
    found = estimate.time_transform(
        rows, ["trt", "karno"], transform={"karno": lambda x, t: x * np.log(t + 20)}, exit="time", event="status"
    )
    return _model(found, gold)


def _recurrent(**options: Any) -> Any:
    def compare(rows: pd.DataFrame, gold: dict[str, Any]) -> Both:
        entry = {"entry": "start"} if "start" in rows else {}
        found = estimate.recurrent(rows, BLADDER, exit="stop", event="event", id="id", **entry, **options)
        return _model(found, gold)

    return compare


# Risks and rates ----------------------------------------------------------------------------------------------------


def _logistic(rows: pd.DataFrame, gold: dict[str, Any]) -> Both:
    clustered = estimate.logistic(rows, outcome="resp", covariates=["age", "smoke"], cluster="id")
    plain = estimate.logistic(rows, outcome="resp", covariates=["age", "smoke"], robust=True).frame
    error = clustered.frame["std_error"]
    groups = rows["id"].nunique()
    return {
        "coefficients": (clustered.frame["coef"], gold["coef"]),
        "naive standard errors": (clustered.frame["naive_std_error"], gold["se"]),
        "clustered, HC0": (error, gold["cl_HC0"]),
        "clustered, G/(G-1)": (error * np.sqrt(groups / (groups - 1)), gold["cl_HC0adj"]),
        "robust, HC0": (plain["std_error"], gold["hc0"]),
        "log-likelihood": (clustered.settings["loglik"], gold["loglik"]),
    }


def _proportions(_: pd.DataFrame, gold: list[dict[str, Any]]) -> Both:
    exact = [estimate.proportion(row["x"], row["n"], method="exact").frame.iloc[0] for row in gold]
    wilson = [estimate.proportion(row["x"], row["n"], method="wilson").frame.iloc[0] for row in gold]
    return {
        "Clopper-Pearson": ([(r["conf_low"], r["conf_high"]) for r in exact], [row["cp"] for row in gold]),
        "Wilson": ([(r["conf_low"], r["conf_high"]) for r in wilson], [row["wilson"] for row in gold]),
    }


def _rates(_: pd.DataFrame, gold: list[dict[str, Any]]) -> Both:
    found = [estimate.rate(row["x"], row["t"], time_unit="years").frame.iloc[0] for row in gold]
    return {"exact limits": ([(r["conf_low"], r["conf_high"]) for r in found], [row["ci"] for row in gold])}


def _survreg(covariates: list[str], **columns: str) -> Any:
    def compare(rows: pd.DataFrame, gold: dict[str, Any]) -> Both:
        found = estimate.weibull(rows, covariates, **columns)
        frame = found.frame[found.frame["measure"].isin(["time", "time_ratio", "scale"])]
        times, scale = frame[frame["measure"] != "scale"], frame[frame["measure"] == "scale"].iloc[0]
        return {
            "coefficients": (times["coef"], gold["coef"]),
            "scale": (scale["estimate"], gold["scale"]),
            "standard errors": ([*times["naive_std_error"], scale["naive_std_error"]], gold["se"]),
            "log-likelihood": (found.settings["loglik"][1], gold["loglik"]),
        }

    return compare


def _intervals(rows: pd.DataFrame, gold: dict[str, Any]) -> Both:
    found = estimate.turnbull(rows, lower="L", upper="R", at=gold["time"], bootstrap=0).frame
    return {"survival": (found["estimate"], gold["surv"])}


SPARSE = ["exposed", "age", "male"]


def _firth(covariates: list[str], profiled: str) -> Any:
    def compare(rows: pd.DataFrame, gold: dict[str, Any]) -> Both:
        found = estimate.firth_logistic(rows, outcome="event", covariates=covariates)
        frame = found.frame
        own = frame[frame["term"] == profiled].iloc[0]
        return {
            "coefficients": (frame["coef"], gold["coef"]),
            "standard errors": (frame["std_error"], gold["se"]),
            "profile limits": (np.log([own["conf_low"], own["conf_high"]]), gold["ci"]),
            "penalized log-likelihood": (found.settings["loglik"], gold["ploglik"]),
        }

    return compare


def _firth_cox(rows: pd.DataFrame, gold: dict[str, Any]) -> Both:
    found = estimate.firth_cox(rows, SPARSE, exit="time", event="event", ties="breslow")
    frame = found.frame
    return {
        "coefficients": (frame["coef"], gold["coef"]),
        "standard errors": (frame["std_error"], gold["se"]),
        "profile limits": (np.log([frame["conf_low"].iloc[0], frame["conf_high"].iloc[0]]), gold["ci"]),
    }


def _fisher(_: pd.DataFrame, gold: dict[str, Any]) -> Both:
    table = pd.DataFrame({"cleft": [1, 1, 0, 0], "event": [1, 0, 1, 0], "n": [9, 591, 1, 1199]})
    found = estimate.exact_odds_ratio(table, outcome="event", exposure="cleft", weight="n").frame.iloc[0]
    return {
        "conditional odds ratio": (found["estimate"], gold["or"]),
        "limits": ([found["conf_low"], found["conf_high"]], gold["ci"]),
        "p": (found["p_value"], gold["p"]),
    }


def _gee(structure: str) -> Any:
    def compare(rows: pd.DataFrame, gold: dict[str, Any]) -> Both:
        order = {"order": "visit"} if structure == "ar1" else {}
        rows = rows.assign(visit=rows.groupby("id").cumcount())
        found = estimate.gee_logistic(
            rows, outcome="resp", covariates=["age", "smoke"], cluster="id", structure=structure, **order
        )
        pairs = {
            "coefficients": (found.frame["coef"], gold["coef"]),
            "standard errors": (found.frame["std_error"], gold["se"]),
        }
        if structure != "independence":
            pairs["alpha"] = (found.settings["alpha"], gold["alpha"])
        return pairs

    return compare


def _mixed(points: int, **columns: Any) -> Any:
    def compare(rows: pd.DataFrame, gold: dict[str, Any]) -> Both:
        if "period" in rows:
            rows = rows.assign(period=pd.Categorical(rows["period"]))
        found = estimate.mixed_logistic(rows, points=points, **columns)
        return {
            "coefficients": (found.frame["coef"], gold["coef"]),
            "standard errors": (found.frame["std_error"], gold["se"]),
            "standard deviation": (found.settings["sd"], gold["sd"]),
        }

    return compare


def _pooled(**options: Any) -> Any:
    def compare(rows: pd.DataFrame, gold: dict[str, Any]) -> Both:
        frame = estimate.meta_proportions(rows, events="xi", n="ni", prediction="as_test", **options).frame
        pooled, predicted = (frame[frame["row"] == what].iloc[0] for what in ("pooled", "prediction"))
        pairs = {
            "mean": (pooled["coef"], gold["b"]),
            "its standard error": (pooled["std_error"], gold["se"]),
            "tau2": (pooled["tau2"], gold["tau2"]),
        }
        if "pred" in gold:
            pairs["proportion and limits"] = (
                pooled[["estimate", "conf_low", "conf_high"]],
                [gold["pred"], *gold["ci"]],
            )
        if "pi" in gold:
            pairs["prediction interval"] = (predicted[["conf_low", "conf_high"]], gold["pi"])
        return pairs

    return compare


def _pool(rows: pd.DataFrame, gold: dict[str, Any]) -> Both:
    fits = []
    for _, one in rows.groupby(".imp"):
        x = np.column_stack([np.ones(len(one)), one["age"], one["bmi"]])
        inverse = np.linalg.inv(x.T @ x)
        coef = inverse @ x.T @ one["chl"].to_numpy(float)
        rest = one["chl"].to_numpy(float) - x @ coef
        error = np.sqrt(np.diag(inverse) * (rest @ rest) / (len(one) - 3))
        frame = pd.DataFrame(
            {"term": gold["term"], "measure": "difference", "estimate": coef, "coef": coef, "std_error": error}
        )
        fits.append(Estimates(frame, {}))
    found = estimate.pool(fits, df=22).frame
    return {
        "estimates": (found["estimate"], gold["est"]),
        "standard errors": (found["std_error"], gold["se"]),
        "degrees of freedom": (found["df"], gold["df"]),
        "p": (found["p_value"], gold["p"]),
    }


# The table ----------------------------------------------------------------------------------------------------------


def _listed() -> list[Comparison]:
    found = [
        Comparison("lung_km", "lung", "kaplan_meier, nelson_aalen", 'survfit(Surv(time, event) ~ 1, conf.type = "log-log")', _survival()),
        Comparison("lung_km_log", "lung", 'kaplan_meier(conf_type="log")', 'survfit(..., conf.type = "log")', _survival(conf_type="log")),
        Comparison("lung_km_plain", "lung", 'kaplan_meier(conf_type="plain")', 'survfit(..., conf.type = "plain")', _survival(conf_type="plain")),
        Comparison("lung_km_sex", "lung", 'kaplan_meier(by="sex")', "survfit(Surv(time, event) ~ sex)", _survival(by="sex")),
        Comparison("lung_km_w", "lung", 'kaplan_meier(weight="w")', "survfit(..., weights = w, robust = TRUE)", _survival(weight="w")),
        Comparison("lung_km_fw", "lung", 'kaplan_meier(weight="fw", weight_kind="frequency")', "survfit on rows repeated fw times", _survival(weight="fw", weight_kind="frequency")),
        Comparison("lung_km_median", "lung", "quantile_time(kaplan_meier)", "quantile(survfit(...), 0.5)", _median),
        Comparison("lung_fh2", "lung", 'nelson_aalen(ties="efron")', "survfit(..., ctype = 2)", _tied_hazard),
        Comparison("lung_rmst365", "lung", 'time_lost(horizon=365, by="sex")', "summary(survfit(Surv(time, event) ~ sex), rmean = 365)", _restricted_mean),
        Comparison("pbc_cif", "pbc", "aalen_johansen", 'survfit(Surv(time, st) ~ 1, conf.type = "log-log")', _incidence()),
        Comparison("pbc_cif_log", "pbc", 'aalen_johansen(conf_type="log")', 'survfit(..., conf.type = "log")', _incidence(conf_type="log")),
        Comparison("pbc_cif_plain", "pbc", 'aalen_johansen(conf_type="plain")', 'survfit(..., conf.type = "plain")', _incidence(conf_type="plain")),
        Comparison("mel_cif", "melanoma", "aalen_johansen", 'survfit(Surv(time, st) ~ 1, conf.type = "log-log")', _incidence()),
        Comparison("pbc_cuminc", "pbc", "aalen_johansen", "cmprsk::timepoints(cuminc(time, status))", _cuminc("pbc_cif")),
        Comparison("mel_cuminc", "melanoma", "aalen_johansen", "cmprsk::timepoints(cuminc(time, status))", _cuminc("mel_cif")),
        Comparison("pbc_gray", "pbc", 'gray_test(by="sexf")', "cmprsk::cuminc(time, status, sexf)$Tests", _gray("sexf")),
        Comparison("mel_gray_ulcer", "melanoma", 'gray_test(by="ulcer")', "cmprsk::cuminc(time, status, ulcer)$Tests", _gray("ulcer")),
        Comparison("mel_gray_invasion", "melanoma", 'gray_test(by="invasion")', "cmprsk::cuminc(time, status, invasion)$Tests", _gray("invasion")),
        Comparison("mel_gray_strat", "melanoma", 'gray_test(by="ulcer", strata="sexm")', "cmprsk::cuminc(time, status, ulcer, strata = sexm)$Tests", _gray("ulcer", "sexm")),
        Comparison("lung_logrank_rho0", "lung", 'logrank(by="sex")', "survdiff(Surv(time, event) ~ sex)", _log_rank(by="sex")),
        Comparison("lung_logrank_rho1", "lung", 'logrank(by="sex", rho=1)', "survdiff(..., rho = 1)", _log_rank(by="sex", rho=1)),
        Comparison("lung_logrank_k", "lung", 'logrank(by="ph_ecog")', "survdiff(Surv(time, event) ~ ph_ecog)", _log_rank(by="ph_ecog")),
        Comparison("lung_logrank_strat", "lung", 'logrank(by="sex", strata="ph_ecog")', "survdiff(... ~ sex + strata(ph_ecog))", _log_rank(by="sex", strata="ph_ecog")),
        Comparison("vet_cox", "veteran", "cox", "coxph(Surv(time, status) ~ trt + karno + age + diagtime + prior)", _cox(VETERAN, event="status"), looser=COXPH_STOPS),
        Comparison("vet_zph", "veteran", "ph_test", "cox.zph(fit)", _ph(VETERAN, event="status"), R_STOPS_EARLY),
        Comparison("mel_csc", "melanoma", "cox(of=1)", "coxph(Surv(time, status == 1) ~ ...)", _cox(MELANOMA, event="status", of=1), looser=COXPH_STOPS),
        Comparison("rats_cl", "rats", 'cox(cluster="litter")', "coxph(Surv(time, status) ~ rx + sexm + cluster(litter))", _cox(["rx", "sexm"], event="status", cluster="litter"), looser=COXPH_STOPS),
        Comparison("iptw", "lung", 'cox(weight="iptw")', "coxph(Surv(time, event) ~ sex, weights = iptw, robust = TRUE)", _weighted, looser=COXPH_STOPS),
        Comparison("lung_coxpredS", "lung", "absolute_risk, each patient", "1 - riskRegression::predictRisk(coxph)", _each_patient, R_STOPS_EARLY),
        Comparison("lung_unoC", "lung", 'concordance(pairs="uno")', 'concordance(fit, timewt = "n/G2")', _uno, 1e-5),
        Comparison("lung_brier", "lung", "prediction_accuracy", 'riskRegression::Score(cens.model = "km")', _accuracy, 1e-5),
        Comparison("vet_tt", "veteran", "time_transform", "coxph(... + tt(karno), tt = x * log(t + 20))", _transformed, looser=COXPH_STOPS),
        Comparison("vet_weib", "veteran", "weibull", "survreg(Surv(time, status) ~ trt + karno + age)", _survreg(["trt", "karno", "age"], exit="time", event="status"), R_STOPS_EARLY),
        Comparison("ic_weib", "lung_ic", 'weibull(lower="L", upper="R")', 'survreg(Surv(L, R, type = "interval2") ~ age + sex)', _survreg(["age", "sex"], lower="L", upper="R"), R_STOPS_EARLY),
        Comparison("ic_turnbull", "lung_ic", "turnbull", 'survfit(Surv(L, R, type = "interval2") ~ 1)', _intervals, 1e-4),
        Comparison("bl_wlw", "bladder", 'cox(strata="enum", cluster="id")', "coxph(Surv(stop, event) ~ ... + strata(enum), cluster = id)", _cox(BLADDER, exit="stop", strata="enum", cluster="id"), looser=COXPH_STOPS),
        Comparison("pbc_crr", "pbc", 'fine_gray(of=2, ties="breslow")', "cmprsk::crr(failcode = 2)", _crr(PBC, 2), CONVENTION),
        Comparison("pbc_crr_pred", "pbc", 'absolute_risk(method="fine_gray")', "predict(crr)", _crr_risk, CONVENTION),
        Comparison("mel_crr1", "melanoma", 'fine_gray(of=1, ties="breslow")', "cmprsk::crr(failcode = 1)", _crr(MELANOMA, 1), CONVENTION),
        Comparison("mel_crr2", "melanoma", 'fine_gray(of=2, ties="breslow")', "cmprsk::crr(failcode = 2)", _crr(MELANOMA, 2), CONVENTION, ESTIMATED_G),
        Comparison("lung_cox_pred", "lung", "absolute risk of a profile", "survfit(coxph(...), newdata)", _survival_at, R_STOPS_EARLY),
        Comparison("bl_ag", "bladder2", 'recurrent(clock="andersen_gill")', "coxph(Surv(start, stop, event) ~ ..., cluster = id)", _recurrent(clock="andersen_gill"), looser=COXPH_STOPS),
        Comparison("bl_pwp", "bladder2", 'recurrent(clock="pwp_total")', "coxph(... + strata(enum), cluster = id)", _recurrent(clock="pwp_total"), looser=COXPH_STOPS),
        Comparison("ohio_glm", "ohio", "logistic", "glm(resp ~ age + smoke, binomial); vcovCL", _logistic, R_STOPS_EARLY,
                   {"naive standard errors": (2e-6, "vcov(glm) uses the weights of the step before the last")}),
        Comparison("firth_9of10", "sparse9of10", "firth_logistic", 'glm(method = "brglmFit", type = "AS_mean"); optim', _firth(SPARSE, "exposed"), R_STOPS_EARLY, {"profile limits": (1e-4, "R's profile stops early (docs/differences.md)")}),
        Comparison("firth_endo", "endometrial", "firth_logistic", 'glm(method = "brglmFit", type = "AS_mean"); optim', _firth(["NV", "PI", "EH"], "NV"), R_STOPS_EARLY, {"profile limits": (1e-4, "R's profile stops early (docs/differences.md)")}),
        Comparison("firthcox_9of10", "sparse9of10", 'firth_cox(ties="breslow")', "optim of the penalized partial likelihood", _firth_cox, R_STOPS_EARLY),
        Comparison("fisher", "", "exact_odds_ratio", "fisher.test(matrix(c(9, 1, 591, 1199), 2))", _fisher, R_STOPS_EARLY, {"limits": (5e-3, "uniroot in fisher.test stops early"), "conditional odds ratio": (1e-4, "uniroot in fisher.test stops early")}),
        *(
            Comparison(f"ohio_gee_{how}", "ohio", f'gee_logistic(structure="{how}")', f'geeglm(corstr = "{how}")', _gee(how), 1e-4)
            for how in ("independence", "exchangeable", "ar1")
        ),
        *(
            Comparison(f"cbpp_glmer_agq{q}", "cbpp", f"mixed_logistic(points={q})", f"glmer(nAGQ = {q})", _mixed(q, events="incidence", n="size", covariates=["period"], cluster="herd"), 1e-4, LAPLACE if q == 1 else {})
            for q in (1, 9, 25)
        ),
        *(
            Comparison(f"ohio_glmer_agq{q}", "ohio", f"mixed_logistic(points={q})", f"glmer(nAGQ = {q})", _mixed(q, outcome="resp", covariates=["age", "smoke"], cluster="id"), 1e-3)
            for q in (1, 9, 25)
        ),
        Comparison("pritz_glmm", "pritz", "meta_proportions", 'rma.glmm(measure = "PLO")', _pooled(), 1e-4),
        Comparison("pritz_glmer7", "pritz", "meta_proportions", "glmer(nAGQ = 7)", _pooled(), 1e-4),
        Comparison("pritz_ft", "pritz", 'meta_proportions(method="freeman_tukey")', 'rma(escalc(measure = "PFT"), method = "REML")', _pooled(method="freeman_tukey"), R_STOPS_EARLY),
        Comparison("pritz_ft_dl", "pritz", 'meta_proportions(method="freeman_tukey", tau2="dl")', 'rma(method = "DL")', _pooled(method="freeman_tukey", tau2="dl"), R_STOPS_EARLY),
        Comparison("mi_pool", "nhanes_imp", "pool", "summary(pool(with(mice(nhanes, m = 20), lm(chl ~ age + bmi))))", _pool, R_STOPS_EARLY),
        Comparison("exact_binom", "", 'proportion(method="exact" | "wilson")', "binom.test; prop.test(correct = FALSE)", _proportions),
        Comparison("exact_pois", "", "rate", "poisson.test", _rates),
    ]  # fmt: skip
    for ties in ("efron", "breslow"):
        said = f'ties = "{ties}"'
        cox = [
            ("", "age + sex + ph_ecog", LUNG, {}),
            ("cl_", "age + sex + ph_ecog + cluster(inst)", LUNG, {"cluster": "inst"}),
            ("rob_", "age + sex + ph_ecog, robust = TRUE", LUNG, {"robust": True}),
            ("w_", "age + sex + ph_ecog, weights = w, robust = TRUE", LUNG, {"weight": "w"}),
            ("fw_", "age + sex + ph_ecog, rows repeated fw times", LUNG, {"weight": "fw", "weight_kind": "frequency"}),
            ("strata_", "age + sex + strata(ph_ecog)", LUNG[:2], {"strata": "ph_ecog"}),
            ("strata_cl_", "age + sex + strata(ph_ecog) + cluster(inst)", LUNG[:2], {"strata": "ph_ecog", "cluster": "inst"}),
        ]  # fmt: skip
        for name, right, terms, options in cox:
            ours = ", ".join(f'{k}="{v}"' if isinstance(v, str) else f"{k}={v}" for k, v in options.items())
            found.append(
                Comparison(
                    f"lung_cox_{name}{ties}", "lung", f'cox({ours}{", " if ours else ""}ties="{ties}")',
                    f"coxph(Surv(time, event) ~ {right}, {said})", _cox(terms, ties=ties, **options), looser=COXPH_STOPS,
                )
            )  # fmt: skip
        found += [
            Comparison(
                f"lung_zph_{ties}_{how}", "lung", f'ph_test(transform="{how}", ties="{ties}")',
                f'cox.zph(fit, transform = "{how}")', _ph(LUNG, ties=ties, transform=how), R_STOPS_EARLY,
            )
            for how in ("km", "rank", "identity", "log")
        ]  # fmt: skip
        found += [
            Comparison(f"heart_cox_{ties}", "heart", f'cox(entry="start", ties="{ties}")', f"coxph(Surv(start, stop, event) ~ ..., {said})", _cox(HEART, **START_STOP, ties=ties), looser=COXPH_STOPS),
            Comparison(f"heart_cox_cl_{ties}", "heart", f'cox(entry="start", cluster="id", ties="{ties}")', f"coxph(..., cluster = id, {said})", _cox(HEART, **START_STOP, ties=ties, cluster="id"), looser=COXPH_STOPS),
            Comparison(f"heart_zph_{ties}", "heart", f'ph_test(entry="start", ties="{ties}")', "cox.zph(fit)", _ph(HEART, **START_STOP, ties=ties), R_STOPS_EARLY),
            Comparison(f"pbc_fg_{ties}", "pbc", f'fine_gray(of=2, ties="{ties}")', f"coxph(..., finegray(...), weights = fgwt, cluster = .id, {said})", _fine_gray(PBC, 2, ties), R_STOPS_EARLY, TINY),
            Comparison(f"pbc_fg_naive_{ties}", "pbc", f'fine_gray(of=2, ties="{ties}"), naive errors', f"coxph(..., finegray(...), weights = fgwt, {said})", _fine_gray(PBC, 2, ties, naive=True), R_STOPS_EARLY, TINY),
            Comparison(f"mel_fg_{ties}", "melanoma", f'fine_gray(ties="{ties}")', f"coxph(..., finegray(...), weights = fgwt, cluster = .id, {said})", _fine_gray(MELANOMA, 1, ties), R_STOPS_EARLY),
        ]  # fmt: skip
    return found


COMPARISONS = _listed()

# What no method here answers yet, and the issue of the field it belongs to; each leaves this list when it is answered.
PENDING: dict[str, str] = {
    "rats_frail": "shared frailty",
    "ratsf_frail": "shared frailty",
    "lung_rp3": "Royston-Parmar models",
    "lung_rp1": "Royston-Parmar models",
}
