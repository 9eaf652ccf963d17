"""Few clusters with an event: what is left out, by how much the interval widens, and what is said."""

import numpy as np
import pandas as pd
import pytest

from cohort.domain.errors import EstimationError
from cohort.estimate import cox, fine_gray, ipcw_logistic, logistic, poisson, small_sample

CLUSTERED = {"entry": "entry", "exit": "exit", "event": "event", "id": "unit", "cluster": "patient"}
NUMBERS = ["estimate", "conf_low", "conf_high", "std_error", "p_value"]


def few(rows, n):
    """Only the first n patients with an event keep theirs."""
    keep = rows.loc[rows["event"] == 1, "patient"].unique()[:n]
    event = ((rows["event"] == 1) & rows["patient"].isin(keep)).astype(int)
    return rows.assign(event=event, cause=np.where(rows["event"] > event, 0, rows["cause"]))


def test_where_every_patient_has_an_event_it_is_the_jackknife(vertebra_rows):
    d = vertebra_rows(3, n_patients=14)
    d = d[d["patient"].isin(d.loc[d["event"] == 1, "patient"])]
    ours = cox(d, ["leak", "age"], **CLUSTERED).frame
    left_out = [
        cox(d[d["patient"] != p], ["leak", "age"], **CLUSTERED, small_sample="none").frame["coef"]
        for p in d["patient"].unique()
    ]
    spread = ((np.array(left_out) - ours["coef"].to_numpy()) ** 2).sum(axis=0)
    np.testing.assert_allclose(ours["corrected_std_error"], np.sqrt(spread), rtol=1e-8)
    assert (ours["df"] == d["patient"].nunique() - 1).all()


def test_from_twenty_patients_with_an_event_on_only_the_limits_are_from_t(vertebra_rows):
    d = vertebra_rows(5, n_patients=120)
    for n, corrected in ((19, True), (20, False)):
        rows = few(d, n)
        ours, plain = (cox(rows, ["leak", "age"], **CLUSTERED, small_sample=s) for s in ("auto", "none"))
        assert ("corrected_std_error" in ours.frame) == corrected
        assert (ours.frame["df"] == n - 1).all()
        assert "df" not in plain.frame
        if corrected:
            assert (ours.frame["conf_high"] > plain.frame["conf_high"]).all()
            assert "events in only 19 clusters: jackknife, limits from t" in ours.frame["note"].iloc[0]
            assert "tends to be too small" in plain.frame["note"].iloc[0]
        else:
            same = ["estimate", "coef", "std_error", "statistic"]
            pd.testing.assert_frame_equal(ours.frame[same], plain.frame[same], check_exact=True)
            assert (ours.frame["conf_high"] > plain.frame["conf_high"]).all()


def test_the_settings_say_what_the_variance_is(vertebra_rows):
    d = few(vertebra_rows(5, n_patients=60), 8)
    assert "leaving out one cluster" in cox(d, ["age"], **CLUSTERED).settings["variance"]
    assert "no small-sample factor" in cox(d, ["age"], **CLUSTERED, small_sample="none").settings["variance"]
    options = {"outcome": "event", "covariates": ["age"], "cluster": "patient"}
    assert "less one" in logistic(d, **options).settings["variance"]
    assert "CR2" in logistic(d, **options, small_sample="cr2").settings["variance"]
    assert "HC0" in logistic(d, **options, small_sample="none").settings["variance"]


def test_without_clusters_the_model_based_error_stays(vertebra_rows):
    d = few(vertebra_rows(5), 6)
    ours = cox(d, ["age"], entry="entry", exit="exit", event="event").frame
    assert "df" not in ours
    assert ours["std_error"].iloc[0] == ours["naive_std_error"].iloc[0]


def test_a_correction_of_nothing_is_refused(vertebra_rows):
    d = vertebra_rows(5)
    with pytest.raises(EstimationError, match="corrects a variance over clusters"):
        cox(d, ["age"], **CLUSTERED, robust=False, small_sample="jackknife")
    with pytest.raises(EstimationError, match="must be auto, none or jackknife"):
        cox(d, ["age"], **CLUSTERED, small_sample="cr2")
    with pytest.raises(EstimationError, match="must be auto, none or cr2"):
        logistic(d, outcome="event", covariates=["age"], small_sample="jackknife")


def test_order_and_splits_of_rows_change_nothing(vertebra_rows):
    d = few(vertebra_rows(7, n_patients=60), 8)
    one = cox(d, ["leak", "age"], **CLUSTERED).frame
    over = (d["entry"] < 9) & (d["exit"] > 9)
    split = pd.concat([d.assign(entry=np.where(over, 9.0, d["entry"])), d[over].assign(exit=9.0, event=0)])
    for other in (d.sample(frac=1, random_state=1), split):
        two = cox(other, ["leak", "age"], **CLUSTERED).frame
        np.testing.assert_allclose(two[NUMBERS], one[NUMBERS], rtol=1e-8)


def test_a_row_of_frequency_three_is_three_clusters(vertebra_rows):
    rows = few(vertebra_rows(9, n_patients=40), 5).assign(w=lambda d: 1 + d["patient"] % 3)
    copies = [rows[rows["w"] > c].assign(patient=lambda d, c=c: d["patient"] + 1000 * c) for c in range(3)]
    repeated = pd.concat(copies).drop(columns="unit")
    options = {"entry": "entry", "exit": "exit", "event": "event", "cluster": "patient"}
    weighted = cox(rows, ["leak", "age"], weight="w", weight_kind="frequency", **options).frame
    spelled = cox(repeated, ["leak", "age"], **options).frame
    np.testing.assert_allclose(weighted[[*NUMBERS, "df"]], spelled[[*NUMBERS, "df"]], rtol=1e-8)
    assert weighted["note"].tolist() == spelled["note"].tolist()


def test_strata_without_an_event_change_nothing(vertebra_rows):
    d = few(vertebra_rows(7, n_patients=60), 8).assign(site="a")
    empty = vertebra_rows(8).assign(
        event=0, site="b", unit=lambda d: d["unit"] + 1000, patient=lambda d: d["patient"] + 99
    )
    one = cox(d, ["leak", "age"], strata="site", **CLUSTERED).frame
    two = cox(pd.concat([d, empty]), ["leak", "age"], strata="site", **CLUSTERED).frame
    np.testing.assert_allclose(two[NUMBERS], one[NUMBERS], rtol=1e-8)


def test_without_competing_events_fine_and_gray_leave_out_as_cox_does(vertebra_rows):
    d = few(vertebra_rows(7, n_patients=60, causes=1), 8).query("entry == 0")
    d = d.assign(cause=d["event"])
    one = cox(d, ["leak", "age"], **CLUSTERED).frame
    two = fine_gray(d, ["leak", "age"], entry="entry", exit="exit", cause="cause", id="unit", cluster="patient").frame
    np.testing.assert_allclose(two[NUMBERS], one[NUMBERS], rtol=1e-8)


def test_no_event_says_so_whatever_the_correction(vertebra_rows):
    d = vertebra_rows(1).assign(event=0, cause=0)
    for result in (
        cox(d, ["leak"], **CLUSTERED, small_sample="jackknife"),
        fine_gray(d, ["leak"], exit="exit", cause="cause", cluster="patient"),
        logistic(d, outcome="event", covariates=["leak"], cluster="patient", small_sample="cr2"),
        poisson(d, events="event", person_time="exit", covariates=["leak"], cluster="patient"),
    ):
        assert result.frame["estimate"].isna().all()
        assert result.frame["note"].str.startswith("no event").all()


@pytest.mark.parametrize("n_events", [1, 3])
def test_events_of_one_patient_have_no_error_between_patients(vertebra_rows, n_events):
    d = vertebra_rows(1, n_patients=30).assign(event=0, cause=0)
    d.loc[d["patient"] == d["patient"].value_counts().index[0], ["event", "cause", "entry"]] = [1, 1, 0.0]
    d.loc[d[d["event"] == 1].index[n_events:], ["event", "cause"]] = 0
    d = d.assign(entry=0.0)
    for result in (
        cox(d, ["age"], **CLUSTERED),
        fine_gray(d, ["age"], exit="exit", cause="cause", cluster="patient"),
        logistic(d, outcome="event", covariates=["age"], cluster="patient"),
        poisson(d, events="event", person_time="exit", covariates=["age"], cluster="patient"),
    ):
        row = result.frame.iloc[-1]
        assert row[["std_error", "conf_low", "conf_high", "p_value"]].isna().all()
        assert "events in only 1 cluster: no standard error between clusters" in row["note"]
        assert f"only {n_events} event" in row["note"]


def test_one_patient_says_so(vertebra_rows):
    d = vertebra_rows(1).assign(patient=1)
    for result in (
        cox(d, ["age"], **CLUSTERED),
        logistic(d, outcome="event", covariates=["age"], cluster="patient"),
        poisson(d, events="event", person_time="exit", covariates=["age"], cluster="patient"),
    ):
        assert np.isnan(result.frame["std_error"].iloc[-1])
        assert "one cluster: no robust standard error" in result.frame["note"].iloc[-1]


def test_a_single_row_is_no_crash():
    one = pd.DataFrame({"exit": [5.0], "event": [1], "cause": [1], "age": [70.0], "patient": [1]})
    assert "the same for everyone" in cox(one, ["age"], exit="exit", event="event", cluster="patient").frame["note"][0]
    result = fine_gray(one, ["age"], exit="exit", cause="cause", cluster="patient").frame
    assert result["conf_high"].isna().all()


def test_an_exposed_event_without_which_there_is_none_is_left_out_by_one_step():
    """Of six events one is exposed: without that patient the hazard ratio is 0, and its logarithm has no limit."""
    d = pd.DataFrame({"exit": range(1, 41), "event": [1] * 6 + [0] * 34, "leak": [0, 0, 1, 0, 0, 0] + [0, 1] * 17})
    d["patient"] = d.index
    result = cox(d, ["leak"], exit="exit", event="event", cluster="patient").frame.iloc[0]
    assert np.isfinite(result[["std_error", "conf_low", "conf_high"]].astype(float)).all()
    assert "without 1 of them an estimate has no limit" in result["note"]
    plain = cox(d, ["leak"], exit="exit", event="event", cluster="patient", small_sample="none").frame.iloc[0]
    assert result["corrected_std_error"] > plain["std_error"]


def test_a_term_without_limit_keeps_its_words_and_the_others_their_jackknife(vertebra_rows):
    d = few(vertebra_rows(1, n_patients=60).assign(event=lambda d: d["event"] * (1 - d["leak"])), 8)
    result = cox(d, ["leak", "age"], **CLUSTERED).frame.set_index("term")
    assert result["estimate"]["leak"] == 0
    assert np.isnan(result["conf_high"]["leak"])
    assert result["note"]["leak"].startswith("no event among the exposed")
    rest = cox(d[d["leak"] == 0], ["age"], **CLUSTERED).frame.iloc[0]
    assert result["coef"]["age"] == pytest.approx(rest["coef"], abs=1e-6)
    # The unexposed alone say how age acts; those without an event enter by an influence that sees them all.
    assert result["corrected_std_error"]["age"] == pytest.approx(rest["corrected_std_error"], rel=1e-4)


def test_a_coefficient_that_rests_on_one_patient_says_so():
    """At both events of patient 1 a cleft is at risk beside him; at nobody else's event is there one."""
    d = pd.DataFrame(
        {
            "exit": [1, 2, 1.5, 5, 6, 7, 8, 9, 9, 9],
            "event": [1, 1, 0, 1, 1, 1, 0, 0, 0, 0],
            "cleft": [0, 1, 1, 0, 0, 0, 0, 0, 0, 0],
            "age": [70, 70, 81, 74, 69, 77, 80, 71, 75, 66],
            "patient": [1, 1, 2, 3, 4, 5, 6, 7, 8, 9],
        }
    )
    result = cox(d, ["cleft", "age"], exit="exit", event="event", cluster="patient").frame.set_index("term")
    assert np.isfinite(result["estimate"]["cleft"])
    assert np.isnan(result["std_error"]["cleft"])
    assert "rests on one cluster" in result["note"]["cleft"]
    assert np.isfinite(result["std_error"]["age"])
    assert "rests on one cluster" not in result["note"]["age"]


def test_an_interval_without_upper_limit_says_so():
    """Two patients leave one degree of freedom: 12.7 standard errors each way."""
    d = pd.DataFrame({"exit": range(1, 31), "event": [1, 1] + [0] * 28, "patient": range(30)})
    d["dose"] = [29, 31] + [30, 31] * 14
    d["dose"] = d["dose"] / 1000
    result = cox(d, ["dose"], exit="exit", event="event", cluster="patient").frame.iloc[0]
    assert result["df"] == 1
    assert np.isinf(result["conf_high"])
    assert "the interval has no upper limit" in result["note"]


def linear(group):
    """One row each: y regressed on a group, variance 1, as a model with identity link would be."""
    x = np.column_stack([np.ones(len(group)), group])
    y = np.random.default_rng(1).normal(size=len(group))
    inverse = np.linalg.inv(x.T @ x)
    return x, y, y - x @ (inverse @ x.T @ y), inverse


def test_two_groups_have_welchs_variance_and_the_degrees_of_freedom_of_bell_and_mccaffrey():
    """df = (a + b)^2 (a - 1) (b - 1) / (a^2 (a - 1) + b^2 (b - 1)) for groups of a and b (Imbens and Kolesar 2016)."""
    a, b = 4, 9
    group = np.repeat([1.0, 0.0], [a, b])
    x, y, residual, inverse = linear(group)
    ones = np.ones(a + b)
    influence, df = small_sample.cr2(x, ones, ones, residual, np.arange(a + b), inverse, np.eye(2))
    welch = y[group == 1].var(ddof=1) / a + y[group == 0].var(ddof=1) / b
    assert (influence[:, 1] ** 2).sum() == pytest.approx(welch, rel=1e-12)
    assert df[1] == pytest.approx((a + b) ** 2 * (a - 1) * (b - 1) / (a**2 * (a - 1) + b**2 * (b - 1)), rel=1e-12)


def test_clusters_with_many_rows_are_corrected_among_the_covariates_alike(monkeypatch):
    """With one variance for all rows both roots are the same."""
    group = np.repeat([1.0, 0.0], [20, 22])
    x, _, residual, inverse = linear(group)
    ones, cluster = np.ones(42), np.arange(42) // 6
    rows = small_sample.cr2(x, ones, ones, residual, cluster, inverse, np.eye(2))
    monkeypatch.setattr(small_sample, "LARGE", 1)
    covariates = small_sample.cr2(x, ones, ones, residual, cluster, inverse, np.eye(2))
    for one, other in zip(rows, covariates, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-12)


def test_a_covariate_that_does_not_vary_and_one_that_separates_keep_their_rows_under_cr2(vertebra_rows):
    d = few(vertebra_rows(1, n_patients=60).assign(event=lambda d: d["event"] * (1 - d["leak"]), same=1), 8)
    result = logistic(d, outcome="event", covariates=["leak", "same", "age"], cluster="patient").frame.set_index("term")
    assert result["estimate"]["leak"] == 0
    assert result.loc[["leak", "same"], ["std_error", "df", "conf_high"]].isna().all(axis=None)
    alone = logistic(d[d["leak"] == 0], outcome="event", covariates=["age"], cluster="patient").frame.set_index("term")
    assert result["coef"]["age"] == pytest.approx(alone["coef"]["age"], abs=1e-5)
    assert result["corrected_std_error"]["age"] == pytest.approx(alone["corrected_std_error"]["age"], rel=1e-3)


def test_odds_at_a_horizon_are_corrected_too(vertebra_rows):
    d = few(vertebra_rows(3, n_patients=60), 8)
    options = {"horizon": 20, "exit": "exit", "cause": "cause", "covariates": ["age"], "cluster": "patient"}
    ours, plain = ipcw_logistic(d, **options).frame, ipcw_logistic(d, **options, small_sample="none").frame
    assert (ours["df"] <= 7).all()
    assert (ours["corrected_std_error"] > plain["std_error"]).all()
    assert (ours["conf_high"] > plain["conf_high"]).all()
