"""Risk factors as printed and drawn: the question beside each number, small counts hidden, nothing from nothing."""

import numpy as np
import pandas as pd
import pytest

from cohort.present import theme
from cohort.present.disclosure import Disclosure
from cohort.present.figures import adjustment, factor_risks
from cohort.present.tables import factors, factors_bias, factors_checks, factors_drugs, factors_missing
from cohort.present.tables.model import to_csv

PUBLIC, INTERNAL = Disclosure(5), Disclosure(5, internal=True)
LABELS = {
    "cleft": "Intravertebral cleft before treatment",
    "t_score": "T-score, per SD higher",
    "anti_osteoporotic": "Anti-osteoporotic drug, current",
}
RISKS = {"risk_all_exposed": 0.033, "risk_none_exposed": 0.015, "risk_difference": 0.018}
MEASURES = {"hazard_ratio": 2.25, "subdistribution_hazard_ratio": 2.13, **RISKS, "risk_ratio": 2.16}


def texts(table):
    return [[cell.text for cell in row.cells] for row in table.rows if row.kind != "group"]


def headings(table):
    return [row.cells[0].text for row in table.rows if row.kind == "group"]


def row_of(table, start):
    return next(cells for cells in texts(table) if cells[0].startswith(start))


def limits(frame):
    return frame.assign(conf_low=frame["estimate"] * 0.8, conf_high=frame["estimate"] * 1.3, note="")


def effects_frame(outcomes=("same",), n_events=40, exposed=15):
    """Two exposures, crude and adjusted: one yes/no, one number compared at two values."""
    rows = []
    for outcome in outcomes:
        for exposure in ("cleft", "t_score"):
            for model in ("crude", "adjusted"):
                for measure, value in MEASURES.items():
                    hazard, risk = measure == "hazard_ratio", measure.startswith("risk")
                    rows.append(
                        {
                            "outcome": outcome,
                            "exposure": exposure,
                            "label": LABELS[exposure],
                            "model": model,
                            "adjusted_for": "age" if model == "adjusted" else "",
                            "unit": "vertebra at risk" if hazard else "treated vertebra",
                            "measure": measure,
                            "time": 365.0 if risk else np.nan,
                            "estimate": value * (1.1 if model == "crude" else 1.0),
                            "n_patients": 1253.0,
                            "n_units": 1956.0,
                            "n_events": float(n_events),
                            "n_exposed_events": float(exposed) if hazard and exposure == "cleft" else np.nan,
                            "contrast_from": -3.5 if exposure == "t_score" and risk else np.nan,
                            "contrast_to": -2.5 if exposure == "t_score" and risk else np.nan,
                            "penalized": "no" if hazard else np.nan,
                        }
                    )
    return limits(pd.DataFrame(rows))


def rare_frame(n_events=40, exposed=15, horizon_events=24, horizon_exposed=10):
    both = [
        ("hazard_ratio", model, method, "yes" if method != "Firth" else "no", n_events, exposed, n_events / 4)
        for model in ("crude", "adjusted")
        for method in ("maximum likelihood", "Firth")
    ]
    exact = [
        (measure, "crude", method, "no", events, mine, np.nan)
        for measure, events, mine in (
            ("rate_ratio", n_events, exposed), ("odds_ratio", horizon_events, horizon_exposed),
        )
        for method in ("exact", "mid-P")
    ]  # fmt: skip
    columns = ["measure", "model", "method", "main", "n_events", "n_exposed_events", "events_per_parameter"]
    frame = pd.DataFrame([*both, *exact], columns=columns).assign(
        outcome="same", exposure="cleft", label=LABELS["cleft"], adjusted_for="", time=np.nan, estimate=2.2,
        n_patients=1253.0, n_units=1956.0,
    )  # fmt: skip
    return limits(frame)


def shown(frame=None, rare=None, rule=PUBLIC):
    return factors.with_concealed(
        effects_frame() if frame is None else frame, rare_frame() if rare is None else rare, rule
    )


@pytest.fixture
def sets():
    rows = [("cleft", "t_score", "yes"), ("cleft", "age", "yes"), ("t_score", "age", "yes")]
    frame = pd.DataFrame(rows, columns=["exposure", "covariate", "declared"])
    none = pd.DataFrame([("anti_osteoporotic", "", "no")], columns=frame.columns)
    return pd.concat([frame, none], ignore_index=True).assign(label=lambda f: f["exposure"].map(LABELS))


# ---------------- effects


def test_each_measure_stands_beside_the_question_that_it_answers():
    table = factors.effects(shown(), "same", 365, PUBLIC)
    assert texts(table)[:4] == [
        ["Hazard ratio", "2.48", "2.25", "40 / 1,956", "Causes: among those still at risk"],
        ["Subdistribution hazard ratio", "2.34", "2.13", "40 / 1,956", "Who is seen again, the dead counted in"],
        ["More per 100 within 1 year", "2.0", "1.8", "40 / 1,956", "Decisions: how many more of 100"],
        ["Risk ratio within 1 year", "2.38", "2.16", "40 / 1,956", "The same, as a ratio"],
    ]


def test_the_risks_of_a_number_say_which_two_values_they_compare():
    table = factors.effects(shown(), "same", 365, PUBLIC)
    assert headings(table) == [LABELS["cleft"], "T-score, per SD higher; risks: -2.5 against -3.5"]
    assert set(table.data.loc[table.data["exposure"] == "t_score", "contrast"]) == {"", "-2.5 against -3.5"}
    assert factors.contrast("height_restoration", 0.0, 5.0) == "50 against 0 percentage points"


def test_an_exposure_without_a_declared_set_says_so():
    frame = effects_frame()
    table = factors.effects(shown(frame[frame["model"] == "crude"]), "same", 365, PUBLIC)
    assert {cells[2] for cells in texts(table)} == {"no set"}
    assert texts(table)[0][3] == "40 / 1,956", "the events are those of the crude ratio"


def test_a_measure_that_cannot_be_estimated_says_why():
    frame = effects_frame()
    number = (frame["exposure"] == "t_score") & frame["measure"].isin(["risk_difference", "risk_ratio"])
    frame.loc[number, ["estimate", "conf_low", "conf_high"]] = np.nan
    frame.loc[number, "note"] = "a number without two values to compare; name them under models.contrasts"
    frame = frame[(frame["exposure"] != "t_score") | ~frame["measure"].isin(["risk_all_exposed", "risk_none_exposed"])]
    table = factors.effects(shown(frame), "same", 365, PUBLIC)
    assert row_of(table, "More per 100 within 1 year [1]")[2] == "not estimable"
    assert table.footnotes[0] == "[1] A number without two values to compare."
    assert texts(factors.risks(shown(frame), 365, PUBLIC))[0][0] == LABELS["cleft"]


def test_few_events_hide_the_estimate_on_the_page_and_in_the_csv():
    frame = effects_frame()
    few = (frame["exposure"] == "cleft") & (frame["measure"] == "subdistribution_hazard_ratio")
    frame.loc[few, "n_events"] = 4.0
    table = factors.effects(shown(frame), "same", 365, PUBLIC)
    assert row_of(table, "Subdistribution")[1:4] == ["–", "–", "<5 / 1,956"]
    csv = table.data[(table.data["exposure"] == "cleft") & (table.data["measure"] == "subdistribution_hazard_ratio")]
    assert csv[["estimate", "conf_low", "conf_high"]].isna().all(axis=None)
    assert set(csv["n_events"]) == {"<5"}
    inside = factors.effects(shown(frame, rule=INTERNAL), "same", 365, INTERNAL)
    assert row_of(inside, "Subdistribution")[1:4] == ["2.34", "2.13", "4 / 1,956"]


def test_an_outcome_with_nothing_to_show_has_no_table():
    assert factors.effects(shown(effects_frame(n_events=3)), "same", 365, PUBLIC) is None
    assert factors.effects(shown(effects_frame().assign(estimate=np.nan)), "same", 365, PUBLIC) is None
    assert factors.risks(shown(effects_frame(n_events=3)), 365, PUBLIC) is None
    assert factors.effects(shown(), "remote", 365, PUBLIC) is None


@pytest.mark.parametrize(
    ("over_follow_up", "by_the_horizon", "hidden"),
    [
        (15, 10, False),
        (3, 3, True),  # few of the exposed
        (38, 20, True),  # few of the others: 2 of 40
        (15, 2, True),  # enough over all follow-up, few within the year
        (0, 0, False),  # nobody is nobody's secret
    ],
)
def test_a_risk_that_would_tell_of_few_on_one_side_is_hidden_and_ratios_stay(over_follow_up, by_the_horizon, hidden):
    """A risk of the exposed times those exposed gives their events, and a difference with a ratio gives both risks."""
    found = shown(
        effects_frame(exposed=over_follow_up), rare_frame(exposed=over_follow_up, horizon_exposed=by_the_horizon)
    )
    table, risks = factors.effects(found, "same", 365, PUBLIC), factors.risks(found, 365, PUBLIC)
    cleft = table.data[table.data["exposure"] == "cleft"].set_index(["measure", "model"])["estimate"]
    assert (row_of(table, "More per 100")[2] == "–") is hidden
    assert row_of(table, "Hazard ratio")[2] == "2.25"
    assert row_of(table, "Risk ratio")[2] == "2.16"
    assert cleft["risk_difference"].isna().all() == hidden
    mine = risks.data[risks.data["exposure"] == "cleft"]
    assert mine["estimate"].isna().all() == hidden
    assert any("few of those with the event" in note for note in table.footnotes) is hidden
    drawn = set(factor_risks.drawable(found)["exposure"])
    assert ("cleft" in drawn) is not hidden
    assert ("cleft" in factor_risks.alt(found, 365, PUBLIC)) is not hidden


def test_no_coefficient_or_standard_error_comes_with_the_effects():
    """From them a hidden count of the exposed could be had."""
    frame = effects_frame().assign(coef=0.8, std_error=0.2, naive_std_error=0.2, statistic=3.0, p_value=0.01, df=60.0)
    told = {"coef", "std_error", "naive_std_error", "statistic", "p_value", "df", "n_exposed_events"}
    for table in (factors.effects(shown(frame), "same", 365, PUBLIC), factors.risks(shown(frame), 365, PUBLIC)):
        assert not told & set(table.data)


# ---------------- prediction


def predictive_frame(n_events=58):
    rows = [
        (outcome, analysis, term, label, 1.7, n_events)
        for outcome in ("same", "remote")
        for analysis in ("complete case", "multiple imputation")
        for term, label in (("cleft", LABELS["cleft"]), ("age", "age"))
    ]
    frame = pd.DataFrame(rows, columns=["outcome", "analysis", "term", "label", "estimate", "n_events"])
    return limits(frame).assign(
        n_patients=1038.0, n_units=1540.0, model="predictive, not causal", method="maximum likelihood", fmi=0.2
    )


def test_the_model_of_all_is_titled_and_captioned_as_prediction():
    table = factors.predictive(predictive_frame(), PUBLIC)
    assert table.title == "All findings in one model: predictive, not causal"
    assert "None of them is an effect" in table.caption
    assert texts(table)[:3] == [
        ["Events / units", "58 / 1,540", "58 / 1,540"], [LABELS["cleft"], "1.70", "1.70"],
        ["Age, per 10 years", "1.70", "1.70"],
    ]  # fmt: skip
    assert set(table.data["model"]) == {"predictive, not causal"}
    assert factors.predictive(predictive_frame(n_events=4), PUBLIC) is None


def test_why_nothing_was_imputed_is_said():
    frame = predictive_frame()
    frame = frame[frame["analysis"] == "complete case"]
    nothing = pd.DataFrame(
        [{"outcome": "same", "analysis": "multiple imputation", "term": "", "note": "nothing is imputed for 4 events"}]
    )
    table = factors.predictive(pd.concat([frame, nothing], ignore_index=True), PUBLIC)
    assert texts(table)[0] == ["Events / units [1]", "58 / 1,540", "–"]
    assert table.footnotes[0] == "[1] Nothing is imputed for fewer than 5 events."


# ---------------- checks and few events


def checks_frame(n_events=87.0):
    rows = [
        ("events_per_parameter", "no", f"{n_events:.0f} events for 4 parameters.", n_events / 4, np.nan),
        ("incomplete", "yes", "1138 of 3094 vertebrae lack the exposure or a covariate; compare.", 0.37, np.nan),
        ("proportional_hazards", "no", "No sign that the ratio changes with time.", np.nan, 0.418),
        ("exposure_probability", "yes", "It runs from 0.04 to 0.57; 0.1 % of units lie within 0.05.", 0.001, np.nan),
        ("straight_line", "", "Not tested: 12 events bear no curve.", np.nan, np.nan),
        ("other_risk_model", "yes", "From a logistic model the risk ratio is 1.45 (0.68-3.09), far from 2.16.", 1.45,
         np.nan),
    ]  # fmt: skip
    frame = pd.DataFrame(rows, columns=["check", "concern", "sentence", "estimate", "p_value"])
    return frame.assign(
        outcome="same", exposure="cleft", label=LABELS["cleft"], model="adjusted", adjusted_for="age", conf_low=np.nan,
        conf_high=np.nan, n_patients=1253.0, n_units=1956.0, n_events=n_events,
    )  # fmt: skip


def test_concerns_come_first_and_in_full():
    _, concern, passed = texts(factors_checks.checks(checks_frame(), shown(), PUBLIC))[0]
    assert concern.startswith("1,138 of 3,094 vertebrae lack the exposure")
    assert "far from 2.16" in concern
    assert passed.replace("\u00a0", " ") == (
        "22 events per parameter; ratio constant over time (p = 0.42); not checked: straight line"
    )


def test_a_share_of_few_units_is_a_count_of_them():
    """0.1 % of 1,956 units are two."""
    table = factors_checks.checks(checks_frame(), shown(), PUBLIC)
    assert "a few units lie within 0.05" in texts(table)[0][1]
    mine = table.data[table.data["check"] == "exposure_probability"]
    assert mine["estimate"].isna().all()
    assert not mine["sentence"].str.contains("0.1 %", regex=False).any()
    assert "0.1 % of units" in texts(factors_checks.checks(checks_frame(), shown(), INTERNAL))[0][1]


def test_checks_of_few_events_tell_nothing_of_what_was_found():
    table = factors_checks.checks(checks_frame(n_events=4.0), shown(), PUBLIC)
    _, concern, passed = texts(table)[0]
    assert "2.16" not in concern
    assert "not shown: ratio over time" in passed
    told = table.data[~table.data["check"].isin(["incomplete"])]
    assert told[["estimate", "conf_low", "conf_high", "p_value"]].isna().all(axis=None)
    assert not table.data["sentence"].str.contains("1.45|4 events", regex=True).any()


def test_the_other_model_of_a_hidden_risk_is_hidden_with_it():
    frame = effects_frame()
    frame.loc[frame["measure"] == "risk_ratio", "n_events"] = 4.0
    table = factors_checks.checks(checks_frame(), shown(frame), PUBLIC)
    assert "1.45" not in to_csv(table.data)
    assert "not shown: other model of the risk" in texts(table)[0][2]


def test_likelihood_firth_and_exact_stand_side_by_side_with_events_per_parameter():
    table = factors_checks.few_events(rare_frame(), 365, PUBLIC)
    assert headings(table) == ["Same-level refracture"]
    assert texts(table) == [[LABELS["cleft"], "40 (10)", "2.20", "2.20", "2.20", "2.20", "24 / 1,253"]]
    assert "mid-P" in set(table.data["method"])


def test_firth_is_marked_where_it_is_the_main_one():
    frame = rare_frame()
    likelihood = frame["method"] == "maximum likelihood"
    frame.loc[likelihood, ["estimate", "conf_low", "conf_high"]] = [np.inf, np.nan, np.nan]
    frame.loc[likelihood, "note"] = "separates those with an event from the rest: no finite estimate"
    frame["main"] = np.where(frame["method"] == "Firth", "yes", "no")
    table = factors_checks.few_events(frame, 365, PUBLIC)
    label, _, plain, firth, *_ = texts(table)[0]
    assert label == f"{LABELS['cleft']} * [1]"
    assert (plain, firth) == ("none", "2.20")
    assert any("it is Firth's (*)" in note for note in table.footnotes)


@pytest.mark.parametrize(("exposed", "horizon_exposed"), [(3, 10), (38, 10), (15, 22), (15, 3)])
def test_exact_ratios_that_give_their_table_back_are_hidden(exposed, horizon_exposed):
    """Events, patients and a ratio with exact limits leave one table of four only."""
    table = factors_checks.few_events(rare_frame(exposed=exposed, horizon_exposed=horizon_exposed), 365, PUBLIC)
    assert texts(table)[0][2:6] == ["2.20", "2.20", "–", "–"]
    exact = table.data["method"].isin(["exact", "mid-P"])
    assert table.data.loc[exact, ["estimate", "conf_low", "conf_high"]].isna().all(axis=None)
    assert "n_exposed_events" not in table.data
    assert factors_checks.few_events(rare_frame(n_events=3, horizon_events=2), 365, PUBLIC) is None


# ---------------- missing


def patterns_frame():
    states = [
        ("treated vertebra", "same", "cleft", state, n, people, n / 1000)
        for state, n, people in (("known", 900, 600), ("not assessable", 3, 3), ("missing", 97, 80))
    ]
    states += [
        ("treated vertebra", "same", "age", state, n, n, n / 1000)
        for state, n in (("known", 1000), ("not assessable", 0), ("missing", 0))
    ]
    states += [
        ("patient", outcome, "cleft", state, n, n, n / 600)
        for outcome in ("adjacent", "remote")
        for state, n in (("known", 500), ("not assessable", 40), ("missing", 60))
    ]
    columns = ["unit", "outcome", "term", "state", "n_units", "n_patients", "estimate"]
    patterns = [
        ("treated vertebra", "same", "t_score missing" if k else "all known", np.nan, n, n - 100 + 10 * k, n / 1000)
        for k, n in enumerate(range(400, 0, -40))
    ]
    frame = pd.concat(
        [
            pd.DataFrame(states, columns=columns).assign(measure="state"),
            pd.DataFrame(patterns, columns=columns).assign(measure="pattern"),
        ]
    )
    return frame.reset_index(drop=True)


def test_a_small_state_takes_another_with_it():
    """Known and not assessable and missing make up all: three could be had from the other two."""
    table = factors_missing.missing_states(patterns_frame(), PUBLIC)
    assert headings(table) == ["Treated vertebrae (n = 1,000)", "Patients (n = 600)"]
    assert row_of(table, "Cleft") == ["Cleft", "900", "90.0", "600", "<5", "–", "<5", "≥5", "–", "≥5"]
    assert row_of(table, "Age") == ["Age", "1,000", "100.0", "1,000", "0", "0", "0", "0", "0", "0"]
    hidden = table.data[table.data["n_units"].isin(["<5", "≥5"])]
    assert len(hidden) == 2
    assert hidden["estimate"].isna().all()


def test_states_of_patients_are_told_once():
    table = factors_missing.missing_states(patterns_frame(), PUBLIC)
    assert set(table.data["outcome"]) == {"same", "adjacent"}


def test_eight_patterns_and_the_rest_as_one():
    table = factors_missing.missing_patterns(patterns_frame(), PUBLIC)
    rows = texts(table)
    assert len(rows) == 9
    assert rows[0] == ["All known", "400", "40.0", "300"]
    assert rows[1][0] == "T-score missing"
    assert rows[-1] == ["2 other patterns", "120", "12.0", "–"]


def imputed_frame(n_events=84.0, exposed=40.0):
    rows = [
        (analysis, measure, value, events)
        for analysis, events in (
            ("complete case", n_events), ("multiple imputation", 128.0), ("shift -1", 128.0), ("shift +1", 128.0),
        )
        for measure, value in (("hazard_ratio", 2.2), ("risk_difference", 0.018), ("risk_ratio", 2.1))
        if measure == "hazard_ratio" or not analysis.startswith("shift")
    ]  # fmt: skip
    frame = pd.DataFrame(rows, columns=["analysis", "measure", "estimate", "n_events"])
    return limits(frame).assign(
        outcome="same", exposure="cleft", label=LABELS["cleft"], method="maximum likelihood", n_patients=1259.0,
        n_units=1996.0, fmi=0.31, n_exposed_events=exposed, n_fits=20,
        note=["", "", "", "20 imputations are few where 31% of the information is missing", *[""] * 4],
    )  # fmt: skip


def test_complete_imputed_and_shifted_stand_side_by_side():
    table = factors_missing.imputed(imputed_frame(), rare_frame(), {"draws": 20}, PUBLIC)
    assert headings(table) == ["Same-level refracture, imputed: 128 events / 1,996 treated vertebrae"]
    assert texts(table) == [[f"{LABELS['cleft']} [1]", "84 / 1,996", "2.20", "2.20", "2.20", "2.20", "1.8"]]
    assert "imputed, 20 times" in table.caption
    assert "[1] Few imputations for how much is missing." in table.footnotes
    assert set(table.data["analysis"]) >= {"shift -1", "shift +1"}


def test_an_imputed_difference_of_few_on_one_side_is_hidden():
    table = factors_missing.imputed(imputed_frame(), rare_frame(horizon_exposed=3), {"draws": 20}, PUBLIC)
    assert texts(table)[0][-1] == "–"
    assert table.data.loc[table.data["measure"] == "risk_difference", "estimate"].isna().all()


def test_nothing_missing_makes_no_table():
    whole = imputed_frame()
    assert factors_missing.imputed(whole[whole["analysis"] == "complete case"], rare_frame(), {}, PUBLIC) is None


# ---------------- drugs


def test_drugs_by_when_they_were_taken():
    analyses = ("current use", "lag 90 days", "landmark day 90", "landmark stacked")
    rows = [
        (outcome, analysis, 0.35 + k / 10, 3.0 if (outcome, analysis) == ("same", "landmark day 90") else 51.0)
        for outcome in ("same", "remote")
        for k, analysis in enumerate(analyses)
    ]
    frame = limits(pd.DataFrame(rows, columns=["outcome", "analysis", "estimate", "n_events"])).assign(
        exposure="anti_osteoporotic", label=LABELS["anti_osteoporotic"], n_patients=1275.0, n_units=1766.0
    )
    table = factors_drugs.drugs(frame, PUBLIC)
    assert headings(table) == ["Anti-osteoporotic drug"]
    assert [cells[0] for cells in texts(table)] == [
        "Use on the day", "Lag of 90 days", "Landmark: day 90", "Landmarks together",
    ]  # fmt: skip
    assert row_of(table, "Landmark: day 90")[1:3] == ["<5 / 1,766", "–"]
    assert table.data["estimate"].isna().sum() == 1
    assert "n_stacked_events" not in table.data


@pytest.mark.parametrize(
    ("n_starts", "patients", "after", "patients_after", "said"),
    [
        (1253, 811, 73, 72, "73 (5.8 %) began within 90 days after a counted refracture"),
        (1253, 811, 0, 0, "0 began within 90 days"),
        (0, 0, 0, 0, "No course of anti-osteoporotic drugs began during follow-up."),
        (40, 40, 3, 3, "is withheld: few did, or few did not"),
        (40, 40, 38, 38, "is withheld: few did, or few did not"),
        (40, 40, 6, 4, "is withheld: few did, or few did not"),
    ],
)
def test_how_many_courses_follow_fractures(n_starts, patients, after, patients_after, said):
    frame = pd.DataFrame(
        [
            {
                "exposure": "anti_osteoporotic", "label": LABELS["anti_osteoporotic"], "n_starts": n_starts,
                "n_patients": patients, "n_after_fracture": after, "n_patients_after": patients_after,
                "within_days": 90,
            }
        ]
    )  # fmt: skip
    (sentence,) = factors_drugs.started(frame, PUBLIC)
    assert said in sentence


# ---------------- bias


def test_e_values_of_a_hidden_ratio_are_hidden():
    frame = effects_frame()
    frame = frame[(frame["model"] == "adjusted") & frame["measure"].isin(["hazard_ratio", "risk_ratio"])]
    frame = frame.assign(e_value=3.93, e_value_limit=2.22)
    assert texts(factors_bias.e_values(frame, PUBLIC))[0] == [
        LABELS["cleft"], "2.25", "3.93", "2.22", "2.16", "3.93", "2.22",
    ]  # fmt: skip
    frame.loc[(frame["exposure"] == "cleft") & (frame["measure"] == "risk_ratio"), "n_events"] = 3.0
    table = factors_bias.e_values(frame, PUBLIC)
    assert texts(table)[0][4:] == ["–", "–", "–"]
    hidden = table.data[table.data["n_events"] == "<5"]
    assert hidden[["estimate", "conf_low", "conf_high", "e_value", "e_value_limit"]].isna().all(axis=None)


def errors_frame(exposed=14.0):
    crude = {"measure": "risk_ratio", "model": "crude", "n_events": 24.0, "n_units": 1189.0, "n_patients": 1189.0}
    error = {**crude, "error": "exposure", "correction": "corrected", "specificity": 1.0}
    said = "impossible: 58.3% of those with the event are recorded as exposed, and that accuracy records less"
    rows = [
        {**crude, "error": "none", "correction": "as recorded", "estimate": 3.0, "exposed_events": exposed,
         "exposed_free": 364.0, "unexposed_events": 24 - exposed, "unexposed_free": 801.0},
        {**error, "sensitivity": 0.14, "note": said},
        {**error, "sensitivity": 0.64, "estimate": 10.4, "exposed_events": 21.9, "unexposed_events": 2.1},
        {**error, "error": "outcome", "sensitivity": 0.8, "estimate": 3.0},
        {"measure": "hazard_ratio", "model": "adjusted", "n_events": 87.0, "n_units": 1956.0, "n_patients": 1253.0,
         "error": "exposure", "sensitivity": 0.64, "specificity": 1.0, "correction": "told again", "estimate": 5.1,
         "recorded_estimate": 2.24, "recorded_low": 1.42, "recorded_high": 3.52, "n_draws": 98.0, "n_impossible": 2.0},
    ]  # fmt: skip
    frame = pd.DataFrame(rows).assign(outcome="same", exposure="cleft", label=LABELS["cleft"])
    return frame.assign(conf_low=frame["estimate"] * 0.5, conf_high=frame["estimate"] * 2.0)


def test_an_impossible_accuracy_is_said_in_words():
    table = factors_bias.misclassified(errors_frame(), 365, PUBLIC)
    assert row_of(table, "Finding: sensitivity 14 %")[1] == "impossible"
    assert row_of(table, "Finding: sensitivity 64 %")[1] == "10.40"
    assert row_of(table, "Refracture: sensitivity 80 %, specificity 100 %")[1] == "3.00"
    assert headings(table) == [
        f"{LABELS['cleft']}: crude risk ratio within 1 year", f"{LABELS['cleft']}: adjusted hazard ratio",
    ]  # fmt: skip
    assert [cells[1] for cells in texts(table)][-2:] == ["2.24", "5.10"]
    assert "[1] Impossible in 2 of 100 draws, which are left out." in table.footnotes
    assert any(note.startswith("Impossible: ") for note in table.footnotes)


@pytest.mark.parametrize("exposed", [3.0, 21.0])
def test_a_table_of_four_with_a_small_cell_comes_back_by_no_ratio_and_no_note(exposed):
    table = factors_bias.misclassified(errors_frame(exposed=exposed), 365, PUBLIC)
    crude = table.data[table.data["measure"] == "risk_ratio"]
    assert crude[["estimate", "conf_low", "conf_high"]].isna().all(axis=None)
    assert set(crude["note"]) == {""}
    assert not {"exposed_events", "unexposed_events"} & set(table.data)
    assert {cells[1] for cells in texts(table)[:4]} == {"–"}
    assert texts(table)[-1][1] == "5.10", "the hazard ratio rests on all events"


def controls_frame(primary=87.0, control=203.0):
    local = {"outcome": "same", "exposure": "cleft", "label": LABELS["cleft"], "control_outcome": "remote",
             "primary_estimate": 2.25, "primary_low": 1.43, "primary_high": 3.54, "primary_events": primary,
             "control_estimate": 1.07, "control_low": 0.79, "control_high": 1.45, "control_events": control,
             "estimate": 2.11, "conf_low": 1.21, "conf_high": 3.7, "note": "its interval holds 1"}  # fmt: skip
    everywhere = {
        "outcome": "same", "exposure": "t_score", "label": LABELS["t_score"], "control_outcome": "remote",
        "note": "acts on the whole spine: no level is out of its reach, so there is no control",
    }  # fmt: skip
    return pd.DataFrame([local, everywhere])


def test_a_local_finding_has_a_control_and_a_systemic_one_says_why_not():
    table = factors_bias.controls(controls_frame(), PUBLIC)
    assert texts(table) == [[LABELS["cleft"], "87", "2.25", "203", "1.07", "2.11"]]
    assert "No control for T-score: each acts on the whole spine, so that no level is out of reach." in table.footnotes


@pytest.mark.parametrize(("primary", "control", "shown_"), [(4, 203, ["–", "1.07"]), (87, 3, ["2.25", "–"])])
def test_a_ratio_of_ratios_goes_with_either_of_them(primary, control, shown_):
    few = controls_frame(float(primary), float(control))
    both = pd.concat([few, controls_frame().assign(outcome="adjacent")], ignore_index=True)
    table = factors_bias.controls(both, PUBLIC)
    assert texts(table)[0][2::2] == shown_
    assert texts(table)[0][5] == "–"
    first = table.data.iloc[0]
    assert first[["estimate", "conf_low", "conf_high"]].isna().all()
    assert factors_bias.controls(few, PUBLIC) is None


# ---------------- every table


def every_table():
    frame = effects_frame(outcomes=("same", "adjacent", "remote"))
    e_values = frame[(frame["model"] == "adjusted") & frame["measure"].isin(["hazard_ratio", "risk_ratio"])]
    found = shown(frame)
    return [
        *(factors.effects(found, name, 365, PUBLIC) for name in ("same", "adjacent", "remote")),
        factors.risks(found, 365, PUBLIC),
        factors.predictive(predictive_frame(), PUBLIC),
        factors_checks.checks(checks_frame(), found, PUBLIC),
        factors_checks.few_events(rare_frame(), 365, PUBLIC),
        factors_missing.missing_states(patterns_frame(), PUBLIC),
        factors_missing.missing_patterns(patterns_frame(), PUBLIC),
        factors_missing.imputed(imputed_frame(), rare_frame(), {"draws": 20}, PUBLIC),
        factors_bias.e_values(e_values.assign(e_value=3.9, e_value_limit=2.2), PUBLIC),
        factors_bias.misclassified(errors_frame(), 365, PUBLIC),
        factors_bias.controls(controls_frame(), PUBLIC),
    ]


def test_every_table_says_its_unit_denominator_and_window():
    for table in every_table():
        for word in ("unit", "denominator", "window"):
            assert word in table.caption.lower(), (table.key, word)


def test_every_row_has_a_cell_for_each_column_and_every_table_a_name_of_its_own():
    tables = every_table()
    assert len({table.key for table in tables}) == len(tables)
    for table in tables:
        assert {len(row.cells) for row in table.rows if row.kind != "group"} == {len(table.columns)}, table.key
        assert "nan" not in to_csv(table.data).lower().replace("covariance", "").split(","), table.key


def test_nothing_makes_no_table():
    nothing = pd.DataFrame()
    found = factors.with_concealed(nothing, nothing, PUBLIC)
    assert factors.adjustment(nothing) is None
    assert [factors.effects(found, name, 365, PUBLIC) for name in ("same", "remote")] == [None, None]
    assert factors.risks(found, 365, PUBLIC) is None
    assert factors_checks.checks(nothing, found, PUBLIC) is None
    assert factors_checks.few_events(nothing, 365, PUBLIC) is None
    assert factors_missing.imputed(nothing, nothing, {}, PUBLIC) is None
    assert factors_bias.misclassified(nothing, 365, PUBLIC) is None
    assert factors_drugs.started(nothing, PUBLIC) == []
    for make in (
        factors.predictive, factors_missing.missing_states, factors_missing.missing_patterns, factors_drugs.drugs,
        factors_bias.e_values, factors_bias.controls,
    ):  # fmt: skip
        assert make(nothing, PUBLIC) is None


# ---------------- figures


@pytest.fixture
def many_sets():
    """Six exposures, one of them with more covariates than a line holds."""
    names = ["t_score", "corticosteroids", "age", "prior_fractures", "female", "anti_osteoporotic", "site", "n_levels"]
    rows = [
        (f"exposure_{k}", f"A finding with a long name, number {k}", name) for k in range(6) for name in names[: k + 3]
    ]
    return pd.DataFrame(rows, columns=["exposure", "label", "covariate"]).assign(declared="yes")


@pytest.mark.parametrize("which", ["few", "many"])
def test_the_sets_are_drawn_on_one_page_without_overlap(which, sets, many_sets, boxes, overlaps):
    figure = adjustment.draw(sets if which == "few" else many_sets)
    width, height = figure.get_size_inches()
    assert width == theme.WIDTH
    assert height < 9.5
    assert overlaps(figure) == []
    assert min(text.get_fontsize() for ax in figure.axes for text in ax.texts) >= theme.SMALL
    for words, box in boxes(figure):
        assert box.x0 >= 0, words
        assert box.x1 <= width * figure.dpi, words


def test_the_words_of_the_drawing_state_the_sets(sets, boxes):
    said = adjustment.alt(sets)
    assert "Intravertebral cleft before treatment for T-score, age" in said
    assert "Anti-osteoporotic drug, current for nothing: crude only" in said
    words = [text for text, _ in boxes(adjustment.draw(sets))]
    assert "no set declared: crude only" in words
    assert words.count("refracture") == 3
    assert adjustment.draw(sets.iloc[:0]) is None


def test_two_risks_per_finding_are_joined_and_the_unit_of_a_number_is_named(boxes, overlaps):
    found = shown(effects_frame(outcomes=("same", "adjacent", "remote")))
    figure = factor_risks.draw(found, 365, PUBLIC)
    assert figure.get_size_inches()[0] == theme.WIDTH
    assert overlaps(figure) == []
    assert "T-score: -2.5 against -3.5" in [text for text, _ in boxes(figure)]
    assert [ax.get_xlabel() for ax in figure.axes[1:]] == ["within 1 year, %"] * 3
    assert all(ax.get_xlim()[0] == 0 for ax in figure.axes[1:])
    said = factor_risks.alt(found, 365, PUBLIC)
    assert "Same level: Intravertebral cleft before treatment 3.3 % against 1.5 %" in said
    assert "T-score (-2.5 against -3.5)" in said


def test_no_risk_draws_no_figure():
    assert factor_risks.draw(shown(effects_frame(n_events=3)), 365, PUBLIC) is None
    assert "too few events" in factor_risks.alt(shown(effects_frame(n_events=3)), 365, PUBLIC)


def test_the_same_frames_give_the_same_pictures(sets):
    found = shown()
    for draw in (lambda: adjustment.draw(sets), lambda: factor_risks.draw(found, 365, PUBLIC)):
        assert theme.svg(draw(), "figure", "alt") == theme.svg(draw(), "figure", "alt")
