"""The arithmetic behind verdicts on same-level refracture: the two series, the clefts, the 12, 23 and 19 per cent.

Each check belongs to one statement of the review (`CHECKS`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from cohort.domain.spine import LEVELS
from cohort.domain.study import StudyDefinition
from cohort.literature import tables
from cohort.literature.audit_words import Check, Found, Values, found, numbers_of, rounds_to
from cohort.literature.evidence import REVIEW, Evidence, share_of
from cohort.literature.facts import facts

OSTEOPOROSIS_T_SCORE: Final = -2.5  # WHO Technical Report Series 843, 1994
SEVERAL: Final = 3

LARGE: Final = (REVIEW, "same-level refracture, large series as quoted by the review")
SMALL: Final = (REVIEW, "same-level refracture, small series as quoted by the review")
LARGE_CLEFT: Final = (REVIEW, "cleft among same-level refractures, large series")
SMALL_CLEFT: Final = (REVIEW, "cleft/fluid among same-level refractures, small series")
BY_TREATED: Final = ("hiwatashi2009", "further collapse of treated vertebra (vertebra level)")
BY_ADJACENT: Final = ("hiwatashi2009", "subsequent fracture of adjacent vertebrae (vertebra level)")


def _triple_from(evidence: Evidence) -> str:
    """The reference whose figures are the review's 12, 23 and 19 %, found by their numbers alone."""
    stated = {
        "adjacent": evidence.numbers("S07")[0],
        "remote": evidence.numbers("S08")[0],
        "same": evidence.numbers("S09")[0],
    }
    table = facts()
    table = table[table["study_key"] != REVIEW]
    fits = [
        set(table.loc[(table["relation"] == relation) & ((table["percent"] - value).abs() <= 0.5), "study_key"])
        for relation, value in stated.items()
    ]
    studies = set.intersection(*fits)
    refs = tables.references()
    fitting = refs.loc[refs["study_key"].isin(studies), "ref"].astype(int)
    for ref in fitting:
        evidence.reference(ref)
    return ", ".join(f"[{ref}]" for ref in fitting)


def _wrongly_cited(evidence: Evidence, statement: str) -> Values:
    return {"cited": evidence.statement(statement)["refs_cited"], "matching": _triple_from(evidence)}


def _is_wrong(values: Values) -> bool:
    return values["matching"] != "" and values["matching"] != values["cited"]


def _twelve(evidence: Evidence) -> Found:
    figure = evidence.figure(*BY_ADJACENT)
    headlines = tables.headlines()
    corrected = headlines[(headlines["statement"] == "S07") & (headlines["unit"] == "adjacent vertebra")].iloc[0]
    vertebrae = share_of(corrected["numerator"], corrected["denominator"])
    implied = evidence.recomputed(*BY_ADJACENT)
    patients = evidence.share("hiwatashi2009", "patients with >=1 adjacent fracture")
    (stated,) = set(evidence.numbers("S07"))
    values = {"stated": stated, **numbers_of(vertebrae), **numbers_of(patients, "patients_")}
    values |= {"printed": figure["percent"], "implied": implied["implied_denominator_low"]}
    values |= _wrongly_cited(evidence, "S07")
    only = implied["implied_denominator_low"] == implied["implied_denominator_high"] == vertebrae.n
    mixed = only and rounds_to(vertebrae.percent, stated) and not rounds_to(patients.percent, stated)
    return found(values, units_mixed=mixed, mismatch=_is_wrong(values))


def _twenty_three(evidence: Evidence) -> Found:
    share = evidence.share("hiwatashi2009", "patients with remote fracture")
    (stated,) = set(evidence.numbers("S08"))
    values = {"stated": stated, **numbers_of(share), **_wrongly_cited(evidence, "S08")}
    return found(values, reproduced=rounds_to(share.percent, stated), mismatch=_is_wrong(values))


def _nineteen(evidence: Evidence) -> Found:
    vertebrae = evidence.share(*BY_TREATED)
    patients = evidence.share("hiwatashi2009", "patients with further collapse of treated vertebra")
    (stated,) = set(evidence.numbers("S09"))
    low, high = evidence.numbers("S17")
    values = {"stated": stated, **numbers_of(vertebrae), **numbers_of(patients, "patients_"), "low": low, "high": high}
    values |= _wrongly_cited(evidence, "S09")
    mixed = rounds_to(vertebrae.percent, stated) and not rounds_to(patients.percent, stated)
    return found(values, units_mixed=mixed, mismatch=_is_wrong(values), inconsistent=stated > high)


def _twelve_months(evidence: Evidence) -> Found:
    here, there = (_months(evidence.statement(one)["window"]) for one in ("S10", "S19"))
    same = evidence.cited("S10") == evidence.cited("S19")
    values = {"here": here, "there": there, **_wrongly_cited(evidence, "S10")}
    return found(values, inconsistent=same and here != there, mismatch=_is_wrong(values))


def _months(text: str) -> float:
    number, unit = re.match(r"([\d.]+) (month|year)", text).groups()  # type: ignore[union-attr]
    return float(number) * (12 if unit == "year" else 1)


def _rare(evidence: Evidence) -> Values:
    low, high = evidence.numbers("S17")
    return {
        "low": low,
        "high": high,
        **numbers_of(evidence.share(*SMALL), "small_"),
        **numbers_of(evidence.share(*LARGE), "large_"),
    }


def _progression(evidence: Evidence) -> Found:
    values = _rare(evidence)
    return found(values, inconsistent=not values["low"] <= values["small_percent"] <= values["high"])


def _very_rare(evidence: Evidence) -> Found:
    values = _rare(evidence) | numbers_of(evidence.share(*BY_TREATED), "collapse_")
    values["top"] = evidence.numbers("S18")[-1]
    produced = tables.definitions()["percent"].dropna()
    values |= {"least": float(produced.min()), "most": float(produced.max())}
    values |= {name: evidence.statement(one)["refs_cited"] for name, one in (("cited", "S18"), ("cited_before", "S17"))}
    beyond = min(values["small_percent"], values["collapse_percent"]) > values["top"]
    return found(values, inconsistent=bool(beyond))


def _large_series(evidence: Evidence) -> Found:
    share = evidence.share(*LARGE)
    (stated,) = set(evidence.numbers("S19"))
    values = {"stated": stated, **numbers_of(share), **_attribution(evidence)}
    return found(values, reproduced=rounds_to(share.percent, stated, 2), mismatch=values["here"] != values["there"])


def _attribution(evidence: Evidence) -> Values:
    """The large series stands under two reference numbers."""
    return {"here": evidence.statement("S19")["refs_cited"], "there": evidence.statement("S28")["refs_cited"]}


def _nine_of_ten(evidence: Evidence) -> Found:
    share = evidence.share(*LARGE_CLEFT)
    (stated,) = set(evidence.numbers("S28"))
    series = evidence.share(*LARGE)
    values = {"stated": stated, **numbers_of(share), **_attribution(evidence), "series": series.n}
    words = [evidence.statement(one)["statement_paraphrase"] for one in ("S19", "S28")]
    mixed = "patients" in words[0] and "cases" in words[1] and all(f"{series.n:,.0f}" in text for text in words)
    return found(
        values,
        reproduced=rounds_to(share.percent, stated),
        units_mixed=mixed,
        mismatch=values["here"] != values["there"],
    )


def _clefts(evidence: Evidence) -> Found:
    large, small = evidence.share(*LARGE_CLEFT), evidence.share(*SMALL_CLEFT)
    both = share_of(large.events + small.events, large.n + small.n)
    before = [
        evidence.share("sun2011cleft", "patients with cleft among PVP").percent,
        evidence.share("mckiernan2003", "patients with >=1 clefted VCF").percent,
        evidence.share("lincc2007", "vacuum cleft / fluid in TL-junction VCF").percent,
    ]
    low, high = evidence.numbers("S29")
    cases = all(evidence.figure(*one)["denominator_rule"] == "cases" for one in (LARGE_CLEFT, SMALL_CLEFT))
    values = {
        **numbers_of(large, "large_"),
        **numbers_of(small, "small_"),
        **numbers_of(both, "both_"),
        "n_series": 2.0,
    }
    values |= {"n_series": float(len((large, small))), "before_low": min(before), "before_high": max(before)}
    reproduced = rounds_to(large.percent, low) and rounds_to(small.percent, high)
    return found(values, reproduced=reproduced, units_mixed=cases, inconsistent=values["n_series"] < SEVERAL)


def _junction(evidence: Evidence) -> Found:
    share = evidence.share(REVIEW, "thoracolumbar junction among same-level refractures")
    first, last = (LEVELS.index(level) for level in StudyDefinition().exposures.junction)
    own = tables.cases()["index_level"].map(LEVELS.index).between(first, last)
    values = {**numbers_of(share), "own": float(own.sum()), "n_own": float(len(own))}
    return found(values, reproduced=share.events == share.n, inconsistent=own.sum() < len(own) / 2)


def _six_of_104(evidence: Evidence) -> Found:
    values = _rare(evidence)
    other = evidence.figure("komemushi2006", "follow-up completeness (>=4 weeks)")["denominator"]
    count = evidence.figure("gaughen2002repeat", "repeat PVP at a previously treated level (case count)")
    values |= {"elsewhere": other, "abstract": count["numerator"]}
    shared = set(evidence.cited("S31")) & set(evidence.cited("S17"))
    outside = values["small_percent"] > values["high"]
    return found(values, inconsistent=bool(shared) and bool(outside))


def _six_of_six(evidence: Evidence) -> Found:
    share = evidence.share(*SMALL_CLEFT)
    return found(numbers_of(share), reproduced=rounds_to(share.percent, evidence.numbers("S32")[0]))


def _around_one_to_two(evidence: Evidence) -> Found:
    large, small = evidence.share(*LARGE), evidence.share(*SMALL)
    both = share_of(large.events + small.events, large.n + small.n)
    low, high = evidence.numbers("S35")
    other_low, other_high = evidence.numbers("S17")
    values = {"low": low, "high": high, "other_low": other_low, "other_high": other_high, **numbers_of(both)}
    values |= {"large_events": large.events, "large_n": large.n, "small_events": small.events, "small_n": small.n}
    return found(values, inconsistent=both.percent < low and (low, high) != (other_low, other_high))


def _three_of_three(evidence: Evidence) -> Found:
    share = evidence.share(REVIEW, "repeat augmentation with pain relief")
    own = tables.cases()["retreated"].eq("yes").sum()
    values = {**numbers_of(share), "own": float(own), "n_own": float(len(tables.cases()))}
    return found(values, reproduced=share.events == share.n == own)


def _all_the_examples(evidence: Evidence) -> Found:
    evidence.read_review()
    own = tables.cases()
    several = own["previous_fractures"].str.contains("|", regex=False)
    otherwise = {
        "untreated": own["on_osteoporosis_drug"] == "no",
        "single": ~several,
        "above": own["t_score"] > OSTEOPOROSIS_T_SCORE,
        "unknown": own["t_score"].isna(),
    }
    values = {name: float(rows.sum()) for name, rows in otherwise.items()}
    values |= {"n_own": float(len(own)), "cut_off": OSTEOPOROSIS_T_SCORE}
    return found(values, inconsistent=any(values[name] > 0 for name in ("untreated", "single", "above")))


CHECKS: Final[Mapping[str, Check]] = {
    "S07": _twelve,
    "S08": _twenty_three,
    "S09": _nineteen,
    "S10": _twelve_months,
    "S17": _progression,
    "S18": _very_rare,
    "S19": _large_series,
    "S28": _nine_of_ten,
    "S29": _clefts,
    "S30": _junction,
    "S31": _six_of_104,
    "S32": _six_of_six,
    "S35": _around_one_to_two,
    "S36": _three_of_three,
    "S37": _all_the_examples,
}
