"""Kaplan-Meier and Aalen-Johansen against R's survfit; the algorithm is the same, so 1e-9 is expected.

R's limits are normal also where patients bring several vertebrae: `small_sample="none"`.
"""

import numpy as np
import pytest

from cohort.estimate import aalen_johansen, kaplan_meier

SAME_ALGORITHM = 1e-9
COLUMNS = {"estimate": "surv", "std_error": "se", "conf_low": "lower", "conf_high": "upper"}
STATES = {"estimate": "pstate", "std_error": "se", "conf_low": "lower", "conf_high": "upper"}


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
    ours = aalen_johansen(
        data("clustered"), exit="exit", cause="cause", at=gold["time"], small_sample="none", **options
    ).frame
    for mine, theirs in STATES.items():
        agree(ours[mine], gold[theirs], SAME_ALGORITHM, f"{key} {theirs}")


def test_each_group_has_the_curve_it_would_have_alone(outputs, data, agree):
    gold = outputs("aalen_johansen")["by_site"]
    at = gold["A"]["time"]
    ours = aalen_johansen(
        data("clustered"), exit="exit", cause="cause", entry="entry", id="unit", cluster="patient", by="site", at=at,
        small_sample="none",
    ).frame  # fmt: skip
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
    ours = kaplan_meier(rows, exit="exit", event="event", at=gold["time"], small_sample="none", **options).frame
    for mine, theirs in COLUMNS.items():
        agree(ours[mine], gold[theirs], SAME_ALGORITHM, f"{key} {theirs}")
