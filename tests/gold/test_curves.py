"""Kaplan-Meier and Aalen-Johansen against R's survfit; the algorithm is the same, so 1e-9 is expected."""

import numpy as np
import pytest

from cohort.estimate import aalen_johansen, kaplan_meier
from cohort.estimate.curves import quantile_time

SAME_ALGORITHM = 1e-9
COLUMNS = {"estimate": "surv", "std_error": "se", "conf_low": "lower", "conf_high": "upper"}
STATES = {"estimate": "pstate", "std_error": "se", "conf_low": "lower", "conf_high": "upper"}


@pytest.mark.parametrize(
    ("key", "options"),
    [
        ("lung_km", {}),
        ("lung_km_log", {"conf_type": "log"}),
        ("lung_km_plain", {"conf_type": "plain"}),
        ("lung_km_sex", {"by": "sex"}),
        ("lung_km_w", {"weight": "w"}),
        ("lung_km_fw", {"weight": "fw", "weight_kind": "frequency"}),
    ],
)
def test_kaplan_meier_is_that_of_survfit(key, options, reference, data, agree):
    gold = reference[key]
    at = list(dict.fromkeys(gold["time"]))
    ours = kaplan_meier(data("lung"), exit="time", event="event", at=at, **options).frame
    for mine, theirs in COLUMNS.items():
        agree(ours[mine], gold[theirs], SAME_ALGORITHM, f"{key} {theirs}")


def test_numbers_at_risk_are_those_of_survfit(reference, data):
    gold = reference["lung_km"]
    ours = kaplan_meier(data("lung"), exit="time", event="event", at=gold["time"]).frame
    assert ours["n_risk"].tolist() == gold["nrisk"]


def test_the_median_and_its_limits_are_those_of_survfit(reference, data):
    gold = reference["lung_km_median"]
    median = quantile_time(kaplan_meier(data("lung"), exit="time", event="event"), 0.5).frame.iloc[0]
    assert (median["estimate"], median["conf_low"], median["conf_high"]) == (
        gold["quantile"],
        gold["lower"],
        gold["upper"],
    )


@pytest.mark.parametrize(
    ("key", "source", "options"),
    [
        ("pbc_cif", "pbc", {}),
        ("pbc_cif_log", "pbc", {"conf_type": "log"}),
        ("pbc_cif_plain", "pbc", {"conf_type": "plain"}),
        ("mel_cif", "melanoma", {}),
    ],
)
def test_competing_risks_are_those_of_survfit(key, source, options, reference, data, agree):
    gold = reference[key]
    ours = aalen_johansen(data(source), exit="time", cause="status", at=gold["time"], **options).frame
    for mine, theirs in STATES.items():
        agree(ours[mine], gold[theirs], SAME_ALGORITHM, f"{key} {theirs}")


@pytest.mark.parametrize("source", ["pbc", "melanoma"])
def test_cmprsk_gives_the_same_incidence(source, reference, data, agree):
    gold = reference["pbc_cuminc" if source == "pbc" else "mel_cuminc"]
    at = reference["pbc_cif" if source == "pbc" else "mel_cif"]["time"]
    ours = aalen_johansen(data(source), exit="time", cause="status", at=at).frame
    for cause in (1, 2):
        agree(ours.loc[ours["outcome"] == str(cause), "estimate"], gold["est"][cause - 1], SAME_ALGORITHM)


CLUSTERED = [
    ("plain", {}),
    ("entry", {"entry": "entry", "id": "unit"}),
    ("entry_cluster", {"entry": "entry", "id": "unit", "cluster": "patient"}),
    ("entry_cluster_log", {"entry": "entry", "id": "unit", "cluster": "patient", "conf_type": "log"}),
    ("entry_weight", {"entry": "entry", "id": "unit", "weight": "w"}),
    ("entry_cluster_weight", {"entry": "entry", "id": "unit", "cluster": "patient", "weight": "w"}),
]


@pytest.mark.parametrize(("key", "options"), CLUSTERED)
def test_vertebrae_of_one_patient_and_late_entry_are_handled_as_survfit_does(key, options, outputs, data, agree):
    gold = outputs("aalen_johansen")[key]
    ours = aalen_johansen(data("clustered"), exit="exit", cause="cause", at=gold["time"], **options).frame
    for mine, theirs in STATES.items():
        agree(ours[mine], gold[theirs], SAME_ALGORITHM, f"{key} {theirs}")


def test_each_group_has_the_curve_it_would_have_alone(outputs, data, agree):
    gold = outputs("aalen_johansen")["by_site"]
    at = gold["A"]["time"]
    ours = aalen_johansen(
        data("clustered"), exit="exit", cause="cause", entry="entry", id="unit", cluster="patient", by="site", at=at
    ).frame
    for site, theirs in gold.items():
        mine = ours[ours["stratum"] == site]
        # R carries a curve past the last day of follow-up of its group; we give no estimate there.
        kept = mine["estimate"].notna().to_numpy()
        assert kept[: 3 * 4].all()
        for name, their_name in STATES.items():
            agree(mine[name][kept], np.array(theirs[their_name], float).ravel()[kept], SAME_ALGORITHM, site)


def test_survfit_too_says_that_a_split_changes_nothing(outputs, agree):
    gold = outputs("aalen_johansen")
    for name in ("pstate", "se"):
        agree(gold["entry_cluster_split"][name], gold["entry_cluster"][name], 1e-12)


@pytest.mark.parametrize(
    ("key", "options"),
    [
        ("km_entry", {"entry": "entry"}),
        ("km_entry_cluster", {"entry": "entry", "cluster": "patient"}),
        ("km_cluster_weight", {"cluster": "patient", "weight": "w"}),
    ],
)
def test_kaplan_meier_with_late_entry_and_clusters(key, options, outputs, data, agree):
    gold = outputs("aalen_johansen")[key]
    rows = data("clustered").assign(event=lambda d: (d["cause"] == 1).astype(int))
    ours = kaplan_meier(rows, exit="exit", event="event", at=gold["time"], **options).frame
    for mine, theirs in COLUMNS.items():
        agree(ours[mine], gold[theirs], SAME_ALGORITHM, f"{key} {theirs}")
