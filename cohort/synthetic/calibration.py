"""The published figures and effects that the default parameters rest on, by the keys of `cohort.literature`."""

from __future__ import annotations

from typing import Any

# quantity of the simulation, band at one year (fractions), published rows: (study_key, quantity, figure)
_INCIDENCE: tuple[tuple[str, tuple[float, float], tuple[tuple[str, str, str], ...]], ...] = (
    ("incidence/same/365", (0.01, 0.02), (
        ("jacobson2017", "same-level refracture, large series as quoted by the review", "10/1800 = 0.56 %"),
        ("takahashi_rev", "pooled incidence of revision surgery after augmentation", "4 % (2-6)"),
        ("zhangzj_pvp_pkp", "same-level refracture within 1 year, PVP", "29/536 = 5.41 % on films: an upper bound"),
    )),
    ("incidence/adjacent/365", (0.10, 0.13), (
        ("alali", "adjacent refracture within 1 year", "12 % of 357"),
        ("multifidus2022", "symptomatic adjacent OVCF within one year", "23/191 = 12.04 %"),
        ("bb2025", "adjacent vertebral refracture after PKP", "424/3942 = 10.76 %"),
        ("swissspine2013", "adjacent vertebral fracture after monosegmental BKP", "37/375 = 9.87 % at 110 days"),
    )),
    ("incidence/remote/365", (0.05, 0.08), (
        ("alali", "any refracture within 1 year", "18 % of 357, less 12 % adjacent"),
        ("komemushi2006", "new fractures located non-adjacent", "18/59 = 30.51 % of new fractures"),
    )),
    ("incidence/any/365", (0.15, 0.20), (
        ("alali", "any refracture within 1 year", "18 % of 357"),
        ("klazen2010_vertos2", "new VCF incidence, PVP arm", "15/91 = 16.48 % at 347 days"),
        ("cia2021_2202", "new vertebral fracture after PVP", "362/2202 = 16.44 %"),
        ("liu_ds2021", "refracture after PVP (level not specified)", "58/385 = 15.06 %"),
        ("rwth2025meta", "pooled refracture rate after surgical management of OVF", "18 % (15-21)"),
    )),
    ("incidence/death/365", (0.08, 0.12), (
        ("aregger2024", "mortality over 10 years", "66.4 %: 10.9 % a year at a constant hazard"),
        ("kimjh2015", "mortality during follow-up", "81/182 = 44.51 % in 7.9 years"),
        ("ong2018", "mortality after VCF diagnosis, 10 years", "85.1 %"),
    )),
)  # fmt: skip

# parameter, published rows: (study_key, exposure or quantity, figure)
_EFFECTS: tuple[tuple[str, tuple[tuple[str, str, str], ...]], ...] = (
    ("role_adjacent", (("dir2024", "1 segment from augmented vertebra", "HR 3.99"),)),
    ("cleft_unfilled, cleft_filled", (("ma2021meta", "preoperative intravertebral cleft", "OR 2.97 (1.93-4.57)"),)),
    ("disc_leak_on_neighbour", (
        ("nomo529_2023", "intervertebral (disc) cement leakage", "OR 2.501 (1.029-6.082)"),
        ("komemushi2006", "cement leakage into disc", "OR 4.633"),
        ("josr2022meta", "bone cement leakage", "OR 2.05 (1.40-3.00)"),
    )),
    ("height_restoration_per_10", (("hbyx2024meta", "high recovery rate of vertebral height", "OR 1.28 (1.10-1.49)"),)),
    ("t_score_per_sd_lower", (("josr2022meta", "BMD (T-score)", "difference -0.38 SD (-0.49 to -0.26)"),)),
    ("corticosteroids", (
        ("koh2020gc", "glucocorticoid intermediate use (45<DDD<=90)", "HR 1.94"),
        ("liu_ds2021", "steroid use", "OR 2.976 (1.584-5.592)"),
    )),
    ("anti_osteoporotic", (
        ("jin2019meta", "alendronate", "RR 0.54 (0.43-0.68)"),
        ("jin2019meta", "denosumab", "RR 0.41 (0.29-0.57)"),
        ("liu_ds2021", "anti-osteoporosis therapy", "OR 0.406 (0.207-0.795)"),
    )),
    ("female", (("josr2022meta", "female sex", "OR 1.34 (1.09-1.64)"),)),
    ("age_per_10_years", (("hbyx2024meta", "advanced age", "OR 1.13 (1.08-1.17)"),)),
    ("per_prior_fracture", (("klazen2010_vertos2", "baseline number of VCFs (per fracture)", "OR 1.43 (1.05-1.95)"),)),
    ("early, early_days", (
        ("dir2024", "share of new fractures within first year", "56.6 %"),
        ("multifidus2022", "mean time to adjacent fracture (12 weeks, SD 12, range 1-42)", "84 days"),
        ("china_claims2020", "cumulative re-surgery (PVP/PKP) rate", "2.58 % at 90 days, 5.42 % at 1 year"),
    )),
    ("disc_leak", (
        ("ivcleak2021", "intradiscal (type D) leakage, IVC", "16.5 %"),
        ("ivcleak2021", "intradiscal (type D) leakage, no IVC", "6.5 %"),
    )),
    ("cleft_odds", (("sun2011cleft", "patients with cleft among PVP", "49/156 = 31.41 %"),)),
)  # fmt: skip


def calibration(values: dict[str, float]) -> list[dict[str, Any]]:
    """What the simulation was tuned to, what it reached, and the published rows behind it.

    values : marginal values by key, as in `marginal.json`.
    """
    records: list[dict[str, Any]] = [
        {"estimand": key, "band": list(band), "reached": values[key], "published": _rows(rows)}
        for key, band, rows in _INCIDENCE
    ]
    return records + [{"parameter": name, "published": _rows(rows)} for name, rows in _EFFECTS]


def bands() -> dict[str, tuple[float, float]]:
    """The band that each one-year incidence must lie in.

    >>> bands()["incidence/same/365"]
    (0.01, 0.02)
    """
    return {key: band for key, band, _ in _INCIDENCE}


def _rows(rows: tuple[tuple[str, str, str], ...]) -> list[dict[str, str]]:
    return [{"study_key": study, "quantity": quantity, "figure": figure} for study, quantity, figure in rows]
