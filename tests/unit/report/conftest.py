"""Plausible results of a study, and nasty ones, made without running any stage."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest

from cohort.domain.study import StudyDefinition
from cohort.literature import beside_effects
from cohort.tables.like_for_like import FIGURE_COLUMNS, STEP_COLUMNS, STEPS, LikeForLike
from cohort.tables.results import Estimates, Registry
from cohort.tables.study_results import StudyResults

NOW = datetime(2026, 3, 2, 6, 30, tzinfo=UTC)
LEVELS = [f"T{k}" for k in range(4, 13)] + [f"L{k}" for k in range(1, 6)]
PEAK = dict(zip(LEVELS, [0.5, 0.6, 0.9, 1.2, 1.2, 1.0, 1.2, 2.2, 3.4, 3.6, 2.4, 1.6, 1.2, 0.9], strict=True))
RELATIONS = ("same", "adjacent", "remote")
YEAR = {"same": 0.0163, "adjacent": 0.1172, "remote": 0.0671, "several": 0.0042, "death": 0.0532}


def wilson(events: float, n: float) -> tuple[float, float]:
    z, p = 1.96, events / n
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return max(0.0, middle - half), middle + half


def risk_at(day: float, n: int, year: float) -> tuple[float, int]:
    """Incidence front-loaded in the first months, and the number still at risk."""
    grown = year * (0.55 * (1 - np.exp(-day / 60)) + 0.45 * day / 365) / (0.55 * (1 - np.exp(-365 / 60)) + 0.45)
    return float(grown), int(n * np.exp(-day / 900))


def incidence_frame(n: int, scale: float = 1.0) -> pd.DataFrame:
    rows = []
    for curve, outcomes in (
        ("per_relation", RELATIONS),
        ("composite", (*RELATIONS, "several", "any", "death")),
    ):
        for outcome in outcomes:
            for day in (90, 365, 730):
                year = sum(YEAR[x] for x in (*RELATIONS, "several")) * 0.93 if outcome == "any" else YEAR[outcome]
                year *= 0.93 if curve == "composite" and outcome in RELATIONS else 1.0
                value, at_risk = risk_at(day, n, year * scale)
                events = round(value * n * 0.92)
                low, high = wilson(events, n)
                rows.append((outcome, curve, day, n, events, at_risk, value, (high - low) / 3.92, low, high))
    return pd.DataFrame(
        rows,
        columns=[
            "outcome",
            "curve",
            "time",
            "n_patients",
            "n_events",
            "n_risk",
            "estimate",
            "std_error",
            "conf_low",
            "conf_high",
        ],
    )


def curve_frame(n: int, scale: float = 1.0) -> pd.DataFrame:
    rows = []
    for curve, outcomes in (("per_relation", RELATIONS), ("composite", (*RELATIONS, "several", "any", "death"))):
        for outcome in outcomes:
            year = sum(YEAR[x] for x in (*RELATIONS, "several")) * 0.93 if outcome == "any" else YEAR[outcome]
            total = round(risk_at(730, n, year * scale)[0] * n * 0.92)
            for day in range(1, 761, 5):
                value, at_risk = risk_at(day, n, year * scale)
                events = value * n * 0.92
                low, high = wilson(events, n)
                rows.append((outcome, curve, day, at_risk, value, low, high, total))
    return pd.DataFrame(
        rows, columns=["outcome", "curve", "time", "n_risk", "estimate", "conf_low", "conf_high", "n_events_total"]
    )


def rate_frame(n: int, scale: float = 1.0) -> pd.DataFrame:
    rows = []
    share = {level: PEAK[level] / sum(PEAK.values()) for level in LEVELS}
    for role, base, years in (("treated", 11.0, 2.4 * n), ("adjacent", 41.0, 3.1 * n), ("remote", 6.4, 19.0 * n)):
        events_all, years_all = 0, 0.0
        for level in LEVELS:
            here = years * (share[level] if role != "remote" else 1 / len(LEVELS))
            events = round(base * scale * (PEAK[level] / 1.9) ** 0.6 * here / 1000)
            low, high = events * 0.72, events * 1.36 + 1.9
            rows.append(
                (
                    "vertebra",
                    level,
                    role,
                    "",
                    events,
                    here,
                    events / here * 1000,
                    low / here * 1000,
                    high / here * 1000,
                    "main",
                )
            )
            events_all, years_all = events_all + events, years_all + here
        low, high = events_all * 0.88, events_all * 1.13 + 0.5
        one = years_all / 1000
        rows.append(("vertebra", "", role, "", events_all, years_all, events_all / one, low / one, high / one, "main"))
        rows.append(
            (
                "vertebra",
                "",
                role,
                "",
                round(events_all * 0.97),
                years_all * 0.94,
                events_all * 0.97 / one / 0.94,
                low / one,
                high / one,
                "without_healed",
            )
        )
        if role == "remote":
            rows.append(
                (
                    "vertebra",
                    "",
                    role,
                    "",
                    round(events_all * 0.5),
                    years_all * 0.35,
                    events_all * 0.5 / one / 0.35,
                    low / one,
                    high / one * 1.4,
                    "within_three",
                )
            )
    for outcome in (*RELATIONS, "any"):
        events = round(n * scale * sum(YEAR[x] for x in RELATIONS if outcome in (x, "any")) * 1.7)
        years = n * 2.1
        rows.append(
            (
                "patient",
                "",
                "",
                outcome,
                events,
                years,
                events / years * 100,
                events * 0.86 / years * 100,
                (events * 1.15 + 1) / years * 100,
                "main",
            )
        )
    frame = pd.DataFrame(
        rows,
        columns=[
            "unit",
            "level",
            "role",
            "outcome",
            "n_events",
            "person_years",
            "estimate",
            "conf_low",
            "conf_high",
            "variant",
        ],
    )
    measure = np.where(frame["unit"] == "vertebra", "per 1,000 vertebra-years", "per 100 patient-years")
    return frame.assign(n_patients=n, std_error=frame["estimate"] * 0.1, measure=measure)


EXPOSURES = (
    ("cleft", "Intravertebral cleft before treatment", 2.4),
    ("leak", "Cement leak into the disc", 1.7),
    ("height_restoration", "Anterior height restored, per 10 percentage points", 1.12),
    ("t_score", "T-score, per SD higher", 0.78),
    ("corticosteroids", "Chronic corticosteroids", 1.6),
    ("anti_osteoporotic", "Anti-osteoporotic drug, current", 0.62),
)


def model_frame(n: int, odds: bool = False) -> pd.DataFrame:
    rows = []
    for outcome, events in (("same", 31), ("adjacent", 236), ("remote", 141)):
        for place, (exposure, label, ratio) in enumerate(EXPOSURES):
            for model in ("crude", "adjusted"):
                value = ratio ** (1.0 if model == "adjusted" else 1.15) * (1 + 0.03 * place)
                error = (
                    1.9 / np.sqrt(events)
                    if exposure not in ("height_restoration", "t_score")
                    else 0.8 / np.sqrt(events)
                )
                binary = exposure not in ("height_restoration", "t_score")
                note = (
                    "events in 18 patients only: the interval is too narrow to rely on"
                    if outcome == "same" and place == 2
                    else ""
                )
                rows.append(
                    {
                        "outcome": outcome,
                        "exposure": exposure,
                        "term": exposure,
                        "label": label,
                        "model": model,
                        "adjusted_for": "t_score, corticosteroids, age" if model == "adjusted" else "",
                        "n_patients": n - 160,
                        "n_units": n + 420,
                        "n_events": events,
                        "n_exposed_events": round(events * 0.31) if binary else np.nan,
                        "estimate": value,
                        "conf_low": value * np.exp(-1.96 * error),
                        "conf_high": value * np.exp(1.96 * error),
                        "coef": np.log(value),
                        "std_error": error,
                        "naive_std_error": error * 0.93,
                        "p_value": 0.0004 if error < 0.1 else 0.031,
                        "note": note,
                    }
                )
    frame = pd.DataFrame(rows)
    return frame.assign(n_known=n - 300, n_lost=300) if odds else frame


def table_one_frame(n: int) -> pd.DataFrame:
    rows = []

    def numeric(variable: str, label: str, unit: str, mean: float, sd: float, total: int, missing: int) -> None:
        rows.append(
            (
                variable,
                label,
                "",
                unit,
                "numeric",
                total - missing,
                total,
                mean,
                sd,
                mean + 0.1,
                mean - 0.67 * sd,
                mean + 0.67 * sd,
                missing,
                np.nan,
            )
        )

    def category(variable: str, label: str, unit: str, parts: dict[str, int], missing: int, unclear: float) -> None:
        known = sum(parts.values())
        for name, count in parts.items():
            rows.append((variable, label, name, unit, "category", count, known, *[np.nan] * 5, missing, unclear))

    numeric("age", "Age at the first augmentation, years", "patient", 76.4, 8.9, n, 4)
    numeric("t_score", "Lowest T-score, SD", "patient", -3.1, 0.8, n, round(n * 0.18))
    numeric("n_levels", "Vertebrae treated in the first procedure", "patient", 1.4, 0.7, n, 0)
    category(
        "sex", "Sex", "patient", {"female": round(n * 0.78), "male": n - round(n * 0.78) - 3, "other": 3}, 0, np.nan
    )
    category(
        "corticosteroids",
        "Chronic corticosteroids",
        "patient",
        {"yes": round(n * 0.09), "no": round(n * 0.84)},
        round(n * 0.07),
        np.nan,
    )
    category(
        "technique",
        "Technique",
        "treated vertebra",
        {"vertebroplasty": round(n * 0.8), "kyphoplasty": round(n * 0.63), "other": 12},
        9,
        np.nan,
    )
    category(
        "cleft_before",
        "Intravertebral cleft before treatment",
        "treated vertebra",
        {"yes": round(n * 0.21), "no": round(n * 1.05)},
        round(n * 0.12),
        round(n * 0.05),
    )
    numeric("volume_ml", "Cement, ml", "treated vertebra", 4.6, 1.5, round(n * 1.43), 60)
    return pd.DataFrame(
        rows,
        columns=[
            "variable",
            "label",
            "category",
            "unit",
            "kind",
            "n",
            "denominator",
            "mean",
            "sd",
            "median",
            "q1",
            "q3",
            "n_missing",
            "n_not_assessable",
        ],
    )


def sensitivity_frame(n: int, scale: float = 1.0) -> pd.DataFrame:
    variants = (
        ("main", "main", "Main analysis", 1.0, 1.0),
        ("without_implied", "implied", "Without implied fractures", 0.86, 0.93),
        ("staged_0", "staged", "Staged window 0 days", 2.9, 1.31),
        ("staged_30", "staged", "Staged window 30 days", 0.8, 0.95),
        ("staged_60", "staged", "Staged window 60 days", 0.7, 0.88),
        ("without_unproven", "onset", "Without sightings whose onset is unproven", 0.62, 0.74),
        ("unjudged", "tier", "Same level: no judging from imaging", 1.5, 1.0),
        ("radiographic", "tier", "Same level: radiographic", 2.2, 1.0),
        ("retreated", "tier", "Same level: treated again", 0.55, 1.0),
        ("with_incomplete", "incomplete", "With patients who have a rejected row", 1.02, 1.01),
        ("dates_earliest", "dates", "Dates known to the month or year: earliest day", 1.0, 1.01),
        ("dates_latest", "dates", "Dates known to the month or year: latest day", 0.97, 0.99),
    )
    rows = []
    for variant, group, label, same, other in variants:
        for outcome in (*RELATIONS, "any"):
            if variant == "retreated" and outcome != "same":
                continue
            value = (
                (sum(YEAR[x] for x in RELATIONS) if outcome == "any" else YEAR[outcome])
                * scale
                * (same if outcome == "same" else other)
            )
            events = round(value * n * 0.92)
            rows.append((variant, label, group, variant == "main", outcome, 365, n, events, value, *wilson(events, n)))
    return pd.DataFrame(
        rows,
        columns=[
            "variant",
            "label",
            "group",
            "is_main",
            "outcome",
            "time",
            "n_patients",
            "n_events",
            "estimate",
            "conf_low",
            "conf_high",
        ],
    )


def literature_frame() -> pd.DataFrame:
    rows = [
        (
            "klazen2010",
            "Klazen CAH et al. Percutaneous vertebroplasty is not a risk factor. AJNR 2010",
            2010,
            "new VCF incidence, PVP arm",
            "any",
            347,
            15,
            91,
            "partly",
        ),
        (
            "klazen2010",
            "Klazen CAH et al. Percutaneous vertebroplasty is not a risk factor. AJNR 2010",
            2010,
            "further height loss of treated vertebra, PVP arm",
            "same",
            347,
            11,
            91,
            "no",
        ),
        (
            "zhang",
            "Zhang ZJ, Wang YW. Comparison of augmented vertebral refracture after PVP and PKP",
            np.nan,
            "same-level refracture within 1 year, PVP",
            "same",
            365,
            29,
            536,
            "partly",
        ),
        (
            "zhang",
            "Zhang ZJ, Wang YW. Comparison of augmented vertebral refracture after PVP and PKP",
            np.nan,
            "same-level refracture within 1 year, PKP",
            "same",
            365,
            34,
            273,
            "partly",
        ),
        (
            "chen2011",
            "Chen LH et al. Refracture of augmented vertebrae",
            2011,
            "symptomatic, re-treated at the same level",
            "same",
            np.nan,
            10,
            1800,
            "partly",
        ),
        (
            "bmc2020",
            "The effect of bone cement distribution on the outcome of percutaneous vertebroplasty. BMC 2020",
            2020,
            "adjacent vertebral fracture",
            "adjacent",
            466,
            14,
            137,
            "yes",
        ),
        (
            "lin2004",
            "Lin EP et al. Vertebroplasty: cement leakage into the disc. AJNR 2004",
            2004,
            "adjacent fracture",
            "adjacent",
            365,
            8,
            38,
            "partly",
        ),
        (
            "remote",
            "Author X. Remote fractures",
            2015,
            "non-adjacent fracture within 1 year",
            "remote",
            365,
            21,
            310,
            "yes",
        ),
    ]
    frame = pd.DataFrame(
        rows,
        columns=[
            "study_key",
            "citation",
            "year",
            "quantity",
            "event_level",
            "window_days",
            "numerator",
            "denominator",
            "comparable",
        ],
    )
    frame["unit"], frame["confidence"] = "patient", "read in abstract"
    frame["statement"], frame["version"] = "S19", "as stated"
    frame["percent"] = frame["numerator"] / frame["denominator"] * 100
    intervals = [wilson(a, b) for a, b in zip(frame["numerator"], frame["denominator"], strict=True)]
    frame["wilson_low"], frame["wilson_high"] = [100 * x for x, _ in intervals], [100 * y for _, y in intervals]
    frame["definition_note"], frame["why"] = "", "definition of the event not stated"
    frame["registry_outcome"], frame["registry_measure"] = frame["event_level"], "cumulative incidence"
    own = {"same": 1.63, "adjacent": 11.72, "remote": 6.71, "any": 18.7}
    frame["registry_estimate"] = frame["event_level"].map(own)
    frame["registry_low"], frame["registry_high"] = frame["registry_estimate"] * 0.85, frame["registry_estimate"] * 1.17
    return frame


ALIKE = (
    ("zhang", "Zhang ZJ, Wang YW. Refracture after PVP and PKP", "same-level refracture within 1 year, PVP", "same",
     "radiographic", "technique=vertebroplasty", 365.0, 29.0, 536.0),
    ("zhang", "Zhang ZJ, Wang YW. Refracture after PVP and PKP", "same-level refracture within 1 year, PKP", "same",
     "radiographic", "technique=kyphoplasty", 365.0, 34.0, 273.0),
    ("lin2008", "Lin WC et al. Refractures of cemented vertebrae. Clin Neurol 2008", "refracture of cemented vertebra",
     "same", "radiographic", "", 819.0, 62.0, 98.0),
    ("li2021", "Li Q et al. Blocky and spongy cement. 2021", "adjacent vertebral fracture", "adjacent", "unstated", "",
     534.0, 42.0, 329.0),
    ("remote", "Author X. Remote fractures", "non-adjacent fracture within 1 year", "remote", "clinical", "", 365.0,
     21.0, 310.0),
    ("cia2021", "Risk factors for new fractures after vertebroplasty. 2021", "new vertebral fracture after PVP", "any",
     "unstated", "", 447.0, 362.0, 2202.0),
)  # fmt: skip
OWN = {"same": 0.0163, "adjacent": 0.1172, "remote": 0.0671, "any": 0.187}


def alike_of(n: int, scale: float = 1.0) -> LikeForLike:
    """The registry counted as each of six figures was counted; of `n` patients, 40 % in the second arm."""
    rows, steps = [], []
    for key, citation, quantity, relation, tier, arm, window, events, size in ALIKE:
        everybody = round(n * 0.9)
        mine = round(everybody * {"technique=vertebroplasty": 0.6, "technique=kyphoplasty": 0.4}.get(arm, 1.0))
        own, own_all = round(OWN[relation] * scale * mine), round(OWN[relation] * scale * everybody)
        low, high = wilson(own, mine) if own else (0.0, 0.02)
        published_low, published_high = wilson(events, size)
        share, published = own / mine if mine else np.nan, events / size
        ratio = share / published if own else np.nan
        said = {"study_key": key, "quantity": quantity, "source": "abstract", "confidence": "read in abstract"}
        rows.append(
            {
                **said, "citation": citation, "year": np.nan if key == "zhang" else 2021.0, "population": "",
                "event": "fracture", "relation": relation, "tier": tier, "unit": "patient",
                "counting": "first_event_per_unit", "denominator_rule": "unstated", "basis": "crude", "counts": "",
                "arm": arm, "window_kind": "fixed" if window == 365 else "mean", "window_days": window,
                "numerator": events, "denominator": size, "percent": 100 * published, "published": published,
                "published_low": published_low, "published_high": published_high, "measure": "share of the patients",
                "registry_window_days": window, "counted_as": f"{relation}, {tier}, {window:.0f}", "n_events": own,
                "n": mine, "n_patients": mine, "n_events_all": own_all, "n_all": everybody, "estimate": share,
                "conf_low": low, "conf_high": high, "std_error": 0.01, "ratio": ratio, "ratio_low": ratio * 0.6,
                "ratio_high": ratio * 1.6, "differs": "Films by plan also show more. The definition is not stated.",
                "note": "", "placed": "yes",
            }
        )  # fmt: skip
        start = OWN[relation] * scale
        path = [start, start * 1.4, start * 1.4, start * 1.6, share * 0.9, share, published]
        for place, (step, before, after) in enumerate(zip(STEPS, path[:-1], path[1:], strict=True), 1):
            log_ratio = np.log(after / before) if own and start else np.nan
            steps.append(
                {
                    **said, "relation": relation, "place": place, "step": step, "from_estimate": before,
                    "to_estimate": after, "log_ratio": log_ratio, "percent": 100 * np.expm1(log_ratio),
                    "n_events_main": own_all, "n_events": np.nan if step == "remains" else own, "n": mine,
                    "sentence": "What changes.", "note": "",
                }
            )  # fmt: skip
    frame = pd.DataFrame(rows, columns=list(FIGURE_COLUMNS))
    return LikeForLike(Estimates(frame), pd.DataFrame(steps, columns=list(STEP_COLUMNS)))


def settings_of(study: StudyDefinition) -> pd.DataFrame:
    rows = [
        {
            "section": section,
            "setting": name,
            "value": str(value),
            "default": str(value),
            "description": info.description or "",
        }
        for section in ("population", "relation", "judgement", "at_risk", "exposures", "models", "disclosure", "output")
        for name, info in type(getattr(study, section)).model_fields.items()
        for value in [getattr(getattr(study, section), name)]
    ]
    frame = pd.DataFrame(rows)
    frame.loc[frame["setting"] == "staged_days", "default"] = "30"
    return frame


def make_results(n: int = 1944, scale: float = 1.0, registry_name: str = "Spine registry of the North") -> StudyResults:
    study = StudyDefinition().with_("output", registry=registry_name)
    accounting = pd.DataFrame(
        [
            ("patients", n + 60, n + 56, 4),
            ("augmentations", round(n * 1.5), round(n * 1.5) - 31, 31),
            ("fractures", 912, 880, 32),
            ("imaging", 6120, 6103, 17),
            ("assessments", 9001, 8990, 11),
            ("medications", 1300, 1295, 5),
            ("imaging_studies", 0, 0, 0),
            ("excluded_levels", 0, 0, 0),
        ],
        columns=["table", "rows_read", "rows_accepted", "rows_rejected"],
    )
    problems = pd.DataFrame(
        [
            (
                "level_unknown",
                "reject",
                "augmentations",
                "level",
                14,
                "The level 'L7' is not a vertebra of this patient's spine; give n_lumbar = 6 if there is a sixth.",
            ),
            (
                "level_unknown",
                "reject",
                "augmentations",
                "level",
                3,
                "The level 'T14' is not a vertebra of this patient's spine; give n_lumbar = 6 if there is a sixth.",
            ),
            ("no_patient", "reject", "fractures", "patient_id", 9, "The patient id 'P-00817' has no row in patients."),
            ("duplicate", "reject", "augmentations", "", 11, "An exact copy of an earlier row; the first is kept."),
            (
                "t_score_range",
                "blank",
                "patients",
                "t_score",
                6,
                "A T-score above +6 or below -8 cannot be; the value is left empty.",
            ),
            (
                "after_follow_up",
                "warn",
                "fractures",
                "date",
                21,
                "The event lies after follow_up_end and is not counted.",
            ),
        ],
        columns=["check", "outcome", "table", "column", "n_rows", "sentence"],
    )
    missing = pd.DataFrame(
        [
            ("patients", "t_score", n + 56, round(n * 0.18), np.nan),
            ("patients", "corticosteroids", n + 56, round(n * 0.07), 0),
            ("augmentations", "cleft_before", 2885, 340, 142),
            ("augmentations", "leak", 2885, 210, np.nan),
            ("fractures", "last_clear_date", 880, 402, np.nan),
        ],
        columns=["table", "column", "n_rows", "n_missing", "n_not_assessable"],
    )
    flow = pd.DataFrame(
        [
            (1, "Patients accepted", n + 56, round(n * 1.5) + 70, 880, 0, ""),
            (
                2,
                "All augmentation and fracture rows usable",
                n + 23,
                round(n * 1.5) + 31,
                861,
                33,
                "an augmentation or fracture row was rejected",
            ),
            (
                3,
                "Follow-up known",
                n + 23,
                round(n * 1.5) + 31,
                861,
                0,
                "no augmentation of C1-L6, or no date to start from",
            ),
            (4, "Time at risk", n + 11, round(n * 1.5) + 9, 855, 12, "observation ended on or before it began"),
            (
                5,
                "Main population",
                n + 9,
                round(n * 1.5) + 3,
                852,
                2,
                "the first procedure treated a tumour (a stratum of its own)",
            ),
            (
                6,
                "Known first treatment (incidence curves, hazards)",
                n,
                round(n * 1.5) - 9,
                840,
                9,
                "a vertebra treated before the registry, without a date",
            ),
        ],
        columns=["step", "label", "n_patients", "n_vertebrae", "n_sightings", "excluded_patients", "reason"],
    )
    sightings = pd.DataFrame(
        [
            ("counted", "same", round(52 * scale), round(50 * scale)),
            ("counted", "adjacent", round(301 * scale), round(262 * scale)),
            ("counted", "remote", round(188 * scale), round(160 * scale)),
            ("before_treatment", "before_treatment", 120, 101),
            ("repeat", "same", 31, 30),
            ("repeat", "adjacent", 44, 40),
            ("repeat", "remote", 2, 2),
            ("settling", "same", 17, 17),
            ("staged", "adjacent", 38, 38),
            ("after_exit", "adjacent", 9, 9),
            ("after_exit", "remote", 12, 12),
        ],
        columns=["reason", "relation", "n_sightings", "n_patients"],
    )
    incidence = incidence_frame(n, scale)
    year = incidence[incidence["time"] == 365]
    head = [
        ("patients", "patients treated", n, np.nan, np.nan, np.nan, n, "patients", np.nan),
        (
            "vertebrae",
            "vertebrae treated",
            round(n * 1.43),
            np.nan,
            np.nan,
            np.nan,
            round(n * 1.43),
            "vertebrae",
            np.nan,
        ),
    ]
    for key, curve, outcome, label in (
        ("same", "per_relation", "same", "same-level refracture"),
        ("adjacent", "per_relation", "adjacent", "adjacent-level refracture"),
        ("remote", "per_relation", "remote", "remote refracture"),
        ("deaths", "composite", "death", "death before any refracture"),
    ):
        r = year[(year["curve"] == curve) & (year["outcome"] == outcome)].iloc[0]
        head.append(
            (key, label, r["estimate"], r["conf_low"], r["conf_high"], r["n_events"], r["n_patients"], "per cent", 365)
        )
    headline = pd.DataFrame(
        head, columns=["key", "label", "estimate", "conf_low", "conf_high", "n_events", "n", "unit", "window_days"]
    )
    at_risk = pd.DataFrame(
        [
            (curve, day, max(0, int(n * np.exp(-day / (900 if curve != "composite" else 780)))))
            for curve in (*RELATIONS, "composite")
            for day in (0, 91, 183, 274, 365, 457, 548, 639, 730)
        ],
        columns=["curve", "time", "n_risk"],
    )
    proportion_rows = [
        (o, t, round(n * 0.8 * YEAR[o] * scale * t / 365), round(n * 0.8)) for o in RELATIONS for t in (90, 365)
    ]
    proportions = pd.DataFrame(
        [(*r, r[2] / r[3], *wilson(r[2], r[3])) for r in proportion_rows],
        columns=["outcome", "time", "n_events", "n_patients", "estimate", "conf_low", "conf_high"],
    )
    total = round(52 * scale)
    mechanisms = pd.DataFrame(
        [
            (m, m.replace("_", " "), round(total * s), round(total * s), total)
            for m, s in (
                ("endplate_unfilled", 0.31),
                ("underfilled_with_disc_leak", 0.12),
                ("fracture_missed", 0.04),
                ("cleft_unfilled", 0.27),
                ("cleft_developed", 0.15),
                ("not_recorded", 0.23),
                ("unexplained", 0.14),
            )
        ],
        columns=["mechanism", "label", "n_events", "n_patients", "n_total"],
    )
    judged = pd.DataFrame(
        [
            ("progression", "loss_15_pain_worse", 22, 21),
            ("unjudged", "", 26, 24),
            ("settling", "loss_10_pain_not_worse", 17, 0),
            ("occult", "edema_pain_worse", 3, 3),
            ("asymptomatic_collapse", "loss_15_pain_not_worse", 9, 0),
        ],
        columns=["kind_judged", "judged_cell", "n_sightings", "n_counted"],
    )
    onset = pd.DataFrame(
        [
            ("same", "same", 30),
            ("adjacent", "adjacent", 120),
            ("adjacent", "remote", 14),
            ("remote", "remote", 90),
            ("adjacent", "before_treatment", 3),
        ],
        columns=["relation", "relation_earliest", "n"],
    )
    registry = Registry.of({}, study)
    registry = replace(
        registry,
        rejected=pd.DataFrame(
            [
                ("augmentations", "augmentations.csv", 12, "level", "L7", "The level 'L7' is not a vertebra."),
                ("augmentations", "augmentations.csv", 80, "level", "T14", "The level 'T14' is not a vertebra."),
                ("fractures", "fractures.csv", 5, "patient_id", "P-00817", "No row in patients."),
            ],
            columns=["table", "source", "row", "column", "value", "reason"],
        ),
        warnings=pd.DataFrame(
            [
                (
                    "patients",
                    "patients.csv",
                    9,
                    "t_score",
                    "-12",
                    "t_score_range",
                    "blank",
                    "A T-score above +6 or below -8 cannot be.",
                )
            ],
            columns=["table", "source", "row", "column", "value", "check", "outcome", "sentence"],
        ),
        accounting=accounting,
        inputs=pd.DataFrame(
            [
                ("patients", "patients.csv", "", 120345, "a3" * 32, "utf-8", ",", n + 60),
                ("augmentations", "augmentations.xlsx", "augm", 220345, "b7" * 32, "", "", round(n * 1.5)),
            ],
            columns=["table", "source", "sheet", "bytes", "sha256", "encoding", "delimiter", "rows"],
        ),
    )
    cox, logistic = Estimates(model_frame(n)), Estimates(model_frame(n, odds=True), {"seed": 7})
    return StudyResults(
        registry=registry,
        period=(pd.Timestamp("2015-01-12"), pd.Timestamp("2024-12-31")),
        headline=headline,
        accounting=accounting,
        problems=problems,
        missingness=missing,
        flow_patients=flow,
        flow_sightings=sightings,
        table_one=table_one_frame(n),
        incidence=Estimates(incidence, {"method": "Aalen-Johansen", "confidence": 0.95}),
        curves=Estimates(curve_frame(n, scale)),
        at_risk=at_risk,
        proportions=Estimates(proportions),
        rates=Estimates(rate_frame(n, scale)),
        cox=cox,
        logistic=logistic,
        beside_effects=beside_effects(cox, logistic, study),
        mechanisms=mechanisms,
        judged=judged,
        sensitivity=Estimates(sensitivity_frame(n, scale)),
        literature=literature_frame(),
        like_for_like=alike_of(n, scale),
        settings=settings_of(study),
        onset=onset,
        notes=[
            "61 of 541 counted refractures are implied by a later augmentation that nobody listed.",
            "3 of 52 counted same-level refractures could not be judged.",
        ],
    )


def without_events() -> StudyResults:
    """A registry in which nothing ever broke."""
    r = make_results()
    zero = {"n_events": 0, "estimate": 0.0, "conf_low": 0.0, "conf_high": 0.0019}

    def emptied(estimates: Estimates, **more: float) -> Estimates:
        return Estimates(
            estimates.frame.assign(**{k: v for k, v in {**zero, **more}.items() if k in estimates.frame or k in more})
        )

    headline = r.headline.copy()
    outcome = headline["unit"] == "per cent"
    headline.loc[outcome, ["estimate", "conf_low", "n_events"]] = 0.0
    headline.loc[outcome, "conf_high"] = np.nan
    models = r.cox.frame.assign(
        n_events=0,
        n_exposed_events=0.0,
        estimate=np.nan,
        conf_low=np.nan,
        conf_high=np.nan,
        p_value=np.nan,
        note="no event",
    )
    return replace(
        r,
        headline=headline,
        incidence=emptied(r.incidence),
        curves=emptied(r.curves, n_events_total=0),
        proportions=emptied(r.proportions),
        rates=emptied(r.rates),
        cox=Estimates(models),
        logistic=Estimates(models.assign(n_known=0, n_lost=0)),
        mechanisms=r.mechanisms.assign(n_events=0, n_patients=0, n_total=0),
        judged=r.judged.iloc[:0],
        sensitivity=emptied(r.sensitivity),
        flow_sightings=r.flow_sightings[r.flow_sightings["reason"] != "counted"],
        onset=r.onset.iloc[:0],
        like_for_like=alike_of(1944, 0.0),
    )


def one_patient() -> StudyResults:
    """A registry of a single patient, who broke one adjacent vertebra; most intervals do not exist."""
    r = make_results(n=60)
    incidence = r.incidence.frame.assign(
        n_patients=1, n_events=0, n_risk=1, estimate=0.0, std_error=np.nan, conf_low=np.nan, conf_high=np.nan
    )
    incidence.loc[incidence["outcome"].isin(["adjacent", "any"]), ["n_events", "estimate"]] = 1
    headline = r.headline.assign(n=1, n_events=0.0, conf_low=np.nan, conf_high=np.nan)
    headline.loc[headline["key"].isin(["patients", "vertebrae"]), "estimate"] = 1
    headline.loc[headline["unit"] == "per cent", "estimate"] = 0.0
    headline.loc[headline["key"] == "adjacent", ["estimate", "n_events"]] = 1.0
    rates = r.rates.frame.assign(
        n_events=0, estimate=0.0, person_years=1.2, conf_low=0.0, conf_high=np.inf, n_patients=1
    )
    return replace(
        r,
        headline=headline,
        incidence=Estimates(incidence),
        curves=Estimates(r.curves.frame.assign(n_risk=1, n_events_total=1)),
        at_risk=r.at_risk.assign(n_risk=1),
        rates=Estimates(rates),
        cox=Estimates(r.cox.frame.iloc[:0]),
        logistic=Estimates(r.logistic.frame.iloc[:0]),
        mechanisms=r.mechanisms.iloc[:0],
        judged=r.judged.iloc[:0],
        onset=r.onset.iloc[:0],
        sensitivity=Estimates(r.sensitivity.frame.iloc[:0]),
        literature=r.literature.iloc[:0],
        like_for_like=alike_of(1, 0.0),
        flow_patients=r.flow_patients.iloc[:1].assign(n_patients=1, n_vertebrae=1, n_sightings=1),
        notes=[],
    )


def hostile() -> StudyResults:
    """Data that try to break the page: markup, formulas, long labels, other scripts, infinite and missing intervals."""
    r = make_results(n=420, registry_name="<script>alert(1)</script> & Sons $x_1$ Registr\u00e9 \u810a\u690e")
    cox = r.cox.frame.copy()
    cox.loc[0, ["estimate", "conf_low", "conf_high"]] = [np.inf, 0.0, np.inf]
    cox.loc[1, ["estimate", "conf_low", "conf_high"]] = [34.0, 2.1, np.inf]
    cox.loc[2, ["conf_low", "conf_high"]] = np.nan
    cox.loc[cox["exposure"] == "leak", "label"] = (
        "Leak <b>into</b> the disc $\\alpha$ " + "as described by the operator on the day " * 4
    )
    cox.loc[cox["exposure"] == "corticosteroids", "n_events"] = 3
    table = r.table_one.copy()
    table.loc[table["category"] == "other", "category"] = '=HYPERLINK("http://evil","x")'
    table.loc[table["variable"] == "technique", "label"] = "Technique <img src=x onerror=alert(1)>"
    return replace(
        r,
        cox=Estimates(cox),
        table_one=table,
        notes=["<b>2 of 40</b> refractures & more"],
        period=(pd.NaT, pd.NaT),
        literature=r.literature.assign(
            quantity="a very long quantity " * 9, citation="\u810a\u690e <i>A</i> et al. " * 3
        ),
        like_for_like=replace(
            r.like_for_like,
            figures=Estimates(
                r.like_for_like.figures.frame.assign(
                    citation="\u810a\u690e <i>A</i> et al. " * 3, differs="<script>alert(1)</script> differs " * 9
                )
            ),
        ),
    )


@pytest.fixture
def now() -> datetime:
    return NOW


@pytest.fixture(scope="session")
def plausible() -> StudyResults:
    return make_results()


@pytest.fixture(scope="session")
def small() -> StudyResults:
    """A registry so small that most counts are hidden."""
    return make_results(n=150)


@pytest.fixture(scope="session", params=["plausible", "small", "without_events", "one_patient", "hostile"])
def any_results(request: pytest.FixtureRequest) -> StudyResults:
    makers = {
        "plausible": make_results,
        "small": lambda: make_results(n=150),
        "without_events": without_events,
        "one_patient": one_patient,
        "hostile": hostile,
    }
    return makers[request.param]()


@pytest.fixture(scope="session")
def hostile_results() -> StudyResults:
    return hostile()
