"""The arithmetic behind verdicts on what is not a same-level refracture: later fractures, settling, leaks, time.

Each check belongs to one statement of the review (`CHECKS`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

import numpy as np
import pandas as pd

from cohort.literature import tables
from cohort.literature.audit_words import Check, Found, Values, found, numbers_of
from cohort.literature.evidence import Evidence, Row
from cohort.literature.facts import facts

DAYS_PER_STEP: Final = 30
DOUBLED: Final = 2.0
# Who is counted does not turn on an exposure, a drug or a fracture.
_WHOLE: Final = ("technique", "n_levels", "cohort", "region", "sex", "age")


def _later_fractures(evidence: Evidence) -> Found:
    low, high = evidence.numbers("S02")
    crude = evidence.share("josr2022meta", "re-fracture after PVP/PKP (crude pooled)")
    pooled = evidence.figure("rwth2025meta", "pooled refracture rate after surgical management of OVF")
    shares = _whole_groups(facts())
    values = {"low": low, "high": high, **numbers_of(crude, "crude_"), "pooled": pooled["percent"]}
    values |= {"pooled_low": pooled["ci_low"], "pooled_high": pooled["ci_high"]}
    values |= {"n_shares": float(len(shares)), "n_inside": float(shares.between(low, high).sum())}
    return found(values, inconsistent=crude.percent < low and pooled["percent"] < low)


def _whole_groups(table: pd.DataFrame) -> pd.Series:
    """Published shares of augmented patients with a fracture of any level; groups made by an exposure are left out."""
    whole = table["arm"].map(lambda arm: all(part.partition("=")[0] in _WHOLE for part in arm.split("; ") if part))
    kept = (table["relation"] == "any") & (table["unit"] == "patient") & (table["kind"] == "proportion")
    return table.loc[kept & whole & (table["event"] == "fracture"), "percent"].dropna()


def _risk_over_time(evidence: Evidence) -> Found:
    first_year = evidence.figure("dir2024", "share of new fractures within first year")["percent"]
    names = ("(PVP/PKP) rate at 30 days", "rate at 90 days", "rate at 183 days", "rate at 1 year", "rate at 2 years")
    rows = [evidence.figure("china_claims2020", f"cumulative re-surgery {name}") for name in names]
    days = np.array([0.0, *(row["window_days"] for row in rows)])
    free = np.array([1.0, *(1 - row["percent"] / 100 for row in rows)])
    per_step = -100 * np.diff(np.log(free)) / np.diff(days) * DAYS_PER_STEP
    values = {"first_year": first_year, "step": float(DAYS_PER_STEP), "early": per_step[0], "late": per_step[-1]}
    return found(values, inconsistent=bool((np.diff(per_step) < 0).all()))


def _cement_volume(evidence: Evidence) -> Found:
    hazard = evidence.effect("staples2015", "total cement volume (per mL)", "new or progressed fracture in VP arm")
    odds = evidence.effect("hbyx2024meta", "excessive cement volume", "adjacent fracture after PVA")
    return found({**_effect(hazard, "hazard"), **_effect(odds, "odds")})


def _disc_leak(evidence: Evidence) -> Found:
    disc = evidence.effect("komemushi2006", "cement leakage into disc", "new vertebral fracture")
    other = evidence.effect("nomo529_2023", "intervertebral (disc) cement leakage", "new VCF within 2 years")
    leak = evidence.effect("staples2015", "cement leakage", "new or progressed fracture in VP arm")
    return found({"first_estimate": disc["estimate"], **_effect(other, "second"), **_effect(leak, "leak")})


def _effect(row: Row, prefix: str) -> Values:
    return {f"{prefix}_estimate": row["estimate"], f"{prefix}_low": row["ci_low"], f"{prefix}_high": row["ci_high"]}


def _settling(evidence: Evidence) -> Values:
    """The three ways in which the review gives settling: a loss in up to so many patients, so many, and a range."""
    loss_low, loss_high = evidence.numbers("S11")
    low, high = evidence.numbers("S34")
    (first,) = re.findall(r"up to (\d+)", evidence.statement("S11")["percent_stated"])
    return {
        "loss_low": loss_low,
        "loss_high": loss_high,
        "first": float(first),
        "second": evidence.numbers("S22")[0],
        "third_low": low,
        "third_high": high,
        "refs_first": evidence.statement("S11")["refs_cited"],
        "refs_second": evidence.statement("S22")["refs_cited"],
        "refs_third": evidence.statement("S34")["refs_cited"],
    }


def _settling_first(evidence: Evidence) -> Found:
    values = _settling(evidence)
    same_window = evidence.statement("S11")["window"] == evidence.statement("S22")["window"]
    return found(values, inconsistent=same_window and values["first"] != values["second"])


def _settling_second(evidence: Evidence) -> Found:
    return _settling_first(evidence)


def _settling_third(evidence: Evidence) -> Found:
    values = _settling(evidence)
    # The same two numbers are a loss of height in one place and, with the unit left open, a settling in the other.
    same_numbers = (values["loss_low"], values["loss_high"]) == (values["third_low"], values["third_high"])
    unclear = evidence.statement("S34")["unit_of_analysis"].startswith("unclear")
    return found(values, units_mixed=same_numbers and unclear, inconsistent=values["first"] != values["second"])


def _time_to_symptoms(evidence: Evidence) -> Found:
    low, high = evidence.numbers("S12")
    figure = evidence.figure("gaughen2002repeat", "time to recurrent pain, range 8-167 days")
    first, last = (float(day) for day in re.findall(r"\d+", figure["quantity"]))
    own = tables.cases()["worse_by_day"]
    values = {"low": low, "high": high, "first": first, "last": last, "own_first": own.min(), "own_last": own.max()}
    values |= {"n_own": float(len(own))}
    return found(values, inconsistent=first < low and last > high)


def _leaks(evidence: Evidence) -> Found:
    lateral = evidence.figure("schmidt2005", "leak detection rate, lateral X-ray vs CT")
    both = evidence.figure("schmidt2005", "leak detection rate, lateral + AP vs CT")
    disc = evidence.share("martin2012", "end-plate (disc) leak on CT")
    (stated,) = set(evidence.numbers("S14"))
    patients, vertebrae = (float(n) for n in re.findall(r"\d+", lateral["population"]))
    values = {"stated": stated, "patients": patients, "vertebrae": vertebrae, **numbers_of(disc)}
    values |= {"lateral": lateral["percent"], "both": both["percent"]}
    return found(values, mismatch=stated not in (lateral["percent"], both["percent"]))


def _first_month(evidence: Evidence) -> Found:
    figure = evidence.figure("bmc2016_adjcollapse", "adjacent collapse within first month")
    share = evidence.share("bmc2016_adjcollapse", "adjacent collapse within first month")
    own = tables.cases()["adjacent_event"] == "yes"
    values = {**numbers_of(share), "days": figure["window_days"], "own": float(own.sum()), "n_own": float(len(own))}
    return found(values, reproduced=share.events > 0 and figure["window_days"] <= evidence.numbers("S15")[0])


def _further_fractures(evidence: Evidence) -> Found:
    before, here = evidence.statement("S02"), evidence.statement("S16")
    (high,) = re.findall(r"<=(\d+)", here["percent_stated"])
    values = {"high": float(high), "cited": here["refs_cited"], "cited_before": before["refs_cited"]}
    values["n"] = evidence.reference(12)["n_patients"]
    same = values["high"] == evidence.numbers("S02")[1]
    return found(values, inconsistent=same and here["refs_cited"] != before["refs_cited"])


def _after_vertebroplasty(evidence: Evidence) -> Found:
    return found({"n": evidence.reference(18)["n_patients"]})


def _hemivertebral(evidence: Evidence) -> Found:
    row = evidence.effect("knavel2009", "hemivertebral filling vs bilateral", "incident fracture")
    values = _effect(row, "hazard") | {"middle": float(np.sqrt(row["ci_low"] * row["ci_high"]))}
    # "Does not affect" would need an interval that leaves out a hazard twice as high.
    return found(values, inconsistent=row["ci_high"] > DOUBLED)


def _more_on_ct(evidence: Evidence) -> Found:
    ct = evidence.figure("yeom2003", "leaks found on CT vs radiographs")["numerator"]
    film = evidence.figure("yeom2003", "leaks found on radiographs")["numerator"]
    report = evidence.share("martin2012", "leak recorded in procedural dictation among CT leaks")
    values = {"ct": ct, "film": film, "factor": ct / film, **numbers_of(report)}
    return found(values, reproduced=ct > film and report.events < report.n)


def _reference_list(evidence: Evidence) -> Found:
    evidence.read_review()
    refs = tables.references()
    values: Values = {}
    for status in ("verified", "probable"):
        wrong = refs.loc[refs["error_status"] == status, "ref"].astype(int)
        values |= {f"n_{status}": float(len(wrong)), f"refs_{status}": ", ".join(f"[{ref}]" for ref in wrong)}
        for ref in wrong:
            evidence.reference(ref)
    return found(values, mismatch=values["n_verified"] > 0)


CHECKS: Final[Mapping[str, Check]] = {
    "S02": _later_fractures,
    "S03": _risk_over_time,
    "S04": _cement_volume,
    "S05": _disc_leak,
    "S11": _settling_first,
    "S22": _settling_second,
    "S34": _settling_third,
    "S12": _time_to_symptoms,
    "S14": _leaks,
    "S15": _first_month,
    "S16": _further_fractures,
    "S23": _after_vertebroplasty,
    "S24": _hemivertebral,
    "S26": _more_on_ct,
    "S42": _reference_list,
}
