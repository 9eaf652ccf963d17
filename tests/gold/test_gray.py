"""Gray's test against cmprsk::cuminc; the sums are the same, so 1e-9 is expected (p-values by survival function)."""

import numpy as np
import pytest

from cohort.estimate.gray import gray_test

SAME_ALGORITHM = 1e-9


@pytest.fixture(scope="module")
def by_name(data):
    clustered = data("clustered").assign(
        days=lambda d: d["exit"] - d["entry"],
        week=lambda d: np.ceil(d["days"] / 28),
        sites=lambda d: d["site"] + " " + d["leak"].astype(str),
    )
    c = clustered["site"] == "C"
    return {
        "pbc": data("pbc").rename(columns={"status": "cause"}),
        "mel": data("melanoma").rename(columns={"status": "cause"}),
        "clustered": clustered,
        "quiet": clustered.assign(cause=clustered["cause"].where(~c, 0)),
        "other": clustered.assign(cause=clustered["cause"].where(~c | (clustered["cause"] != 1), 2)),
    }


@pytest.mark.parametrize(
    ("key", "source", "exit_", "by", "options"),
    [
        ("pbc", "pbc", "time", "sexf", {}),
        ("pbc_edema", "pbc", "time", "edema", {}),
        ("pbc_rho1", "pbc", "time", "sexf", {"rho": 1.0}),
        ("mel_ulcer", "mel", "time", "ulcer", {}),
        ("mel_invasion", "mel", "time", "invasion", {}),
        ("mel_strat", "mel", "time", "ulcer", {"strata": "sexm"}),
        ("days_leak", "clustered", "days", "leak", {}),
        ("days_site", "clustered", "days", "site", {}),
        ("days_site_rho1", "clustered", "days", "site", {"rho": 1.0}),
        ("days_site_rho_half", "clustered", "days", "site", {"rho": 0.5}),
        ("days_site_by_leak", "clustered", "days", "site", {"strata": "leak"}),
        ("days_site_by_leak_rho1", "clustered", "days", "site", {"strata": ["leak"], "rho": 1.0}),
        ("week_leak", "clustered", "week", "leak", {}),
        ("week_site", "clustered", "week", "site", {}),
        ("week_six", "clustered", "week", "sites", {}),
        ("week_six_rho1", "clustered", "week", "sites", {"rho": 1.0}),
        ("week_leak_by_site", "clustered", "week", "leak", {"strata": "site"}),
        ("quiet_site", "quiet", "week", "site", {}),
        ("other_site", "other", "week", "site", {}),
    ],
)
def test_grays_test_is_that_of_cuminc(key, source, exit_, by, options, by_name, outputs, agree):
    gold = outputs("gray")[key]
    ours = gray_test(by_name[source], exit=exit_, cause="cause", by=by, **options).frame
    agree(ours["statistic"], gold["stat"], SAME_ALGORITHM, f"{key} statistic")
    agree(ours["df"], gold["df"], 0, f"{key} df")
    # cuminc takes 1 - pchisq, which keeps no digits of a p-value below 1e-16.
    np.testing.assert_allclose(ours["p_value"], gold["p"], rtol=1e-7, atol=1e-15, err_msg=f"{key} p")
    assert (ours["note"] == "").all()
