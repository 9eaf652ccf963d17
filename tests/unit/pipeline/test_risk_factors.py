"""Risk factors in one call: small cohorts whose answer is seen, and what has to hold of every answer."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import cohort as toolkit
from cohort import atrisk, estimate
from cohort.domain.errors import DefinitionError, EstimationError
from cohort.domain.study import SourceTable, StudyDefinition
from cohort.pipeline import Cohort, prepare, risk
from cohort.pipeline.factors import bias, checks, drugs, effects, effects_of, of_cohort, predictive, rare, risk_factors
from cohort.pipeline.factors.rows import ROWS, Factor, at_entry, complete, factors_of, n_parameters, rows_of
from cohort.pipeline.risk import Exposure
from cohort.synthetic import DEFAULT, simulate
from cohort.tables.results import Registry
from cohort.tables.risk_factors import RiskFactors

STUDY = StudyDefinition().with_("models", imputations=2).with_("bias", draws=0)
OUTCOMES = ("same", "adjacent", "remote")
FRAMES = ("effects", "rare", "imputed", "drugs", "e_values", "misclassified", "controls", "predictive")
INDEX = pd.Timestamp("2020-01-01")

# One vertebra, L1, treated on day 0. broke: day on which it was found broken anew; end: last day of follow-up.
LINE_UP = """
patient | cleft          | t_score | broke | end
A       | yes            | -3.4    | 40    | 500
B       | yes            | -3.1    | 130   | 500
C       | yes            | -2.2    |       | 480
D       | yes            | -2.9    | 220   | 500
E       | no             | -3.0    | 300   | 500
F       | no             | -2.0    |       | 450
G       | no             | -2.4    |       | 500
H       | no             | -1.8    |       | 420
I       | no             | -2.6    | 390   | 500
J       | not_assessable | -2.8    | 90    | 500
K       | not_assessable | -2.1    |       | 500
L       |                | -2.5    | 150   | 500
M       |                | -2.7    |       | 410
"""


def day(number: object) -> str:
    return "" if number == "" else (INDEX + pd.Timedelta(days=int(str(number)))).date().isoformat()


def table(text: str) -> pd.DataFrame:
    head, *rows = ([cell.strip() for cell in line.split("|")] for line in text.strip().splitlines())
    return pd.DataFrame(rows, columns=head)


@pytest.fixture(scope="module")
def cohort_of(tmp_path_factory):
    """A cohort from the lines of a line-up, read as any registry is."""

    def made(lines: pd.DataFrame | str = LINE_UP, study: StudyDefinition = STUDY, **changes: object) -> Cohort:
        folder = tmp_path_factory.mktemp("lines")
        rows = (table(lines) if isinstance(lines, str) else lines).assign(**changes)
        patients = pd.DataFrame(
            {"patient_id": rows["patient"], "t_score": rows["t_score"], "follow_up_end": rows["end"].map(day)}
        )
        treated = pd.DataFrame(
            {"patient_id": rows["patient"], "date": day(0), "level": "L1", "cleft_before": rows["cleft"]}
        )
        broke = rows[rows["broke"] != ""]
        broken = pd.DataFrame({"patient_id": broke["patient"], "date": broke["broke"].map(day), "level": "L1"})
        for name, frame in (("patients", patients), ("augmentations", treated), ("fractures", broken)):
            frame.to_csv(folder / f"{name}.csv", index=False)
        return prepare(Registry.of(toolkit.read(folder).tables, study))

    return made


def with_models(**changes: object) -> StudyDefinition:
    return STUDY.with_("models", **changes)


@pytest.fixture(scope="module")
def tables():
    """150 patients whose treated vertebrae break nine times as often as usual."""
    return simulate(150, 3, parameters=replace(DEFAULT, role_treated=3.0))


@pytest.fixture(scope="module")
def simulated(tables):
    return prepare(Registry.of(tables, STUDY))


@pytest.fixture(scope="module")
def found(simulated):
    return of_cohort(simulated, "same", None)


@pytest.fixture(scope="module")
def lined_up(cohort_of):
    return of_cohort(cohort_of(), "same", ["cleft"])


def one(frame: pd.DataFrame, **values: object) -> pd.Series:
    """The only row with these values."""
    for name, value in values.items():
        frame = frame[frame[name] == value]
    assert len(frame) == 1, f"{len(frame)} rows"
    return frame.iloc[0]


# Adjustment


def test_effects_asked_for_alone_are_those_of_the_whole(simulated, found):
    alone = effects_of(simulated, ["same", "remote"]).frame
    assert set(alone["outcome"]) == {"same", "remote"}
    whole = found.effects.frame
    same = alone.loc[alone["outcome"] == "same", list(whole.columns)].reset_index(drop=True)
    pd.testing.assert_frame_equal(same, whole, check_exact=True, check_dtype=False)


def test_an_exposure_is_adjusted_for_its_own_declared_set_and_no_other(tables):
    study = with_models(adjustment={"cleft": ("age", "t_score"), "leak": ("cleft",)})
    cohort = prepare(Registry.of(tables, study))
    frame = of_cohort(cohort, "same", ["cleft", "leak"]).effects.frame
    adjusted = frame[frame["model"] == "adjusted"].groupby("exposure")["adjusted_for"].unique()
    assert adjusted.map(list).to_dict() == {"cleft": ["age, t_score"], "leak": ["cleft"]}
    hazard = rows_of(cohort, "same").hazard
    for exposure, terms in (("cleft", ["cleft", "age", "t_score"]), ("leak", ["leak", "cleft"])):
        theirs = estimate.cox(hazard, terms, event="cause", of=1, **ROWS).frame.iloc[0]
        ours = one(frame, exposure=exposure, model="adjusted", measure="hazard_ratio")
        assert ours["estimate"] == pytest.approx(theirs["estimate"], rel=1e-12), exposure


def test_another_exposures_set_changes_nothing(simulated, tables):
    other = prepare(Registry.of(tables, with_models(adjustment={**STUDY.models.adjustment, "leak": ("female",)})))
    here, there = (effects_of_one(one, "cleft") for one in (simulated, other))
    pd.testing.assert_frame_equal(here, there)


def test_an_exposure_without_a_declared_set_stays_crude_and_says_so(cohort_of):
    found = of_cohort(cohort_of(study=with_models(adjustment={"t_score": ()})), "same", ["cleft", "t_score"])
    assert set(found.effects.frame["model"]) == {"crude"}
    said = found.adjustment.set_index("exposure")[["covariate", "declared"]]
    assert said.loc["cleft"].tolist() == ["", "no"], "nobody declared a set"
    assert said.loc["t_score"].tolist() == ["", "yes"], "the study declares that nothing is needed"


REFUSED = [
    ("an exposure nobody knows", "same", ["bmi"], {}, "'bmi' is no covariate known at entry"),
    ("an exposure of the end", "same", ["death_date"], {}, "'death_date' is no covariate known at entry"),
    ("words", "same", ["site"], {}, "'site' has several categories"),
    ("no exposure", "same", [], {}, "No exposure was named"),
    ("a finding after treatment", "same", ["pain_after"], {}, "no covariate known at entry"),
    ("an outcome nobody knows", "retreated", ["cleft"], {}, "'retreated' are not known.*same, adjacent, remote"),
    ("a covariate known only later", "same", ["cleft"], {"cleft": ("follow_up_end",)}, "immortal time"),
    ("a covariate nobody knows", "same", ["cleft"], {"leak": ("bmi",)}, "'bmi' is not among those known"),
    ("an exposure beside itself", "same", ["cleft"], {"cleft": ("age", "cleft")}, "names 'cleft' itself"),
]


@pytest.mark.parametrize(
    ("outcome", "exposures", "sets", "words"), [case[1:] for case in REFUSED], ids=[c[0] for c in REFUSED]
)
def test_what_cannot_be_asked_is_refused_in_a_sentence(outcome, exposures, sets, words, cohort_of):
    with pytest.raises(DefinitionError, match=words):
        of_cohort(cohort_of(study=with_models(adjustment=sets)), outcome, exposures)


def test_a_column_declared_as_known_later_is_no_exposure(tables):
    patients = tables["patients"].assign(bmi=25.0, weight_at_end=70.0)
    timing = {"patients": SourceTable(timing={"bmi": "index", "weight_at_end": "later"})}
    cohort = prepare(Registry.of({**tables, "patients": patients}, STUDY.model_copy(update={"tables": timing})))
    assert "bmi" in rows_of(cohort, "adjacent").covariates
    with pytest.raises(DefinitionError, match="'weight_at_end' is no covariate known at entry"):
        of_cohort(cohort, "adjacent", ["weight_at_end"])


def test_of_two_exposures_one_has_a_set_by_default_and_one_stays_crude():
    found = toolkit.risk_factors(toolkit.read("data/cases"), "same", ["leak", "n_levels"])
    sets = found.adjustment.groupby("exposure")["covariate"].agg(list).to_dict()
    assert sets == {"leak": ["cleft", "t_score", "age"], "n_levels": [""]}
    frame = found.effects.frame
    assert set(frame.loc[frame["exposure"] == "n_levels", "model"]) == {"crude"}


def test_a_covariate_named_twice_counts_once(cohort_of):
    cohort = cohort_of(study=with_models(adjustment={"cleft": ("t_score", "t_score")}))
    assert factors_of(cohort, rows_of(cohort, "same"), ["cleft"])[0].terms == ["cleft", "t_score"]


# Few events

CLEFT = Factor(Exposure("cleft", "Cleft"), ("age",), True, None)


def vertebrae(exposed_events: int, other_events: int, n: int = 200) -> pd.DataFrame:
    """Vertebrae of as many patients; the first half has a cleft, and its first ones refracture."""
    half = n // 2
    cause = np.zeros(n, dtype=int)
    cause[:exposed_events] = 1
    cause[half : half + other_events] = 1
    return pd.DataFrame(
        {
            "id": np.arange(n), "cluster": np.arange(n), "entry": 0, "cause": cause,
            "exit": 400 - np.arange(n) % 97 * 3,
            "cleft": (np.arange(n) < half).astype(float), "age": 7.0 + np.arange(n) % 13 / 10,
        }
    )  # fmt: skip


def test_when_all_events_are_exposed_the_penalized_ratio_is_the_main_one():
    rows = vertebrae(8, 0)
    frame = effects.effect_rows(CLEFT, rows, rows, horizon=365)
    ratios = frame[frame["measure"] == "hazard_ratio"]
    assert ratios["penalized"].tolist() == ["yes", "yes"]
    assert np.isfinite(ratios["conf_high"]).all()


def test_with_events_on_both_sides_maximum_likelihood_is_the_main_one_unless_the_study_says_otherwise():
    rows = vertebrae(20, 8)
    for penalized, main in (("on_separation", "maximum likelihood"), ("always", "Firth")):
        frame = rare.rare_rows(CLEFT, rows, rows, horizon=365, penalized=penalized)
        assert set(frame.loc[frame["main"] == "yes", "method"]) == {main}


def all_events_exposed(cohort_of, study=STUDY):
    rows = table(LINE_UP)
    return cohort_of(rows.assign(broke=rows["broke"].where(rows["cleft"] == "yes", "")), study)


def test_with_every_event_exposed_firths_ratio_is_the_main_one(cohort_of):
    study = with_models(adjustment={"cleft": ("t_score",)})
    found = of_cohort(all_events_exposed(cohort_of, study), "same", ["cleft"])
    ratios = found.effects.frame[found.effects.frame["measure"] == "hazard_ratio"]
    assert ratios["penalized"].tolist() == ["yes", "yes"]
    assert np.isfinite(ratios[["estimate", "conf_low", "conf_high"]].to_numpy()).all()
    assert ratios["note"].str.startswith("Firth's penalized ratio: maximum likelihood has no finite value").all()
    assert ratios["note"].str.contains("only 3 events").all(), "the notes of the penalized fit are kept"
    main = found.rare.frame.query("measure == 'hazard_ratio' and main == 'yes'")
    assert main["method"].tolist() == ["Firth", "Firth"]
    assert main["estimate"].tolist() == ratios["estimate"].tolist()
    likelihood = found.rare.frame.query("method == 'maximum likelihood'")
    assert np.isinf(likelihood["estimate"]).all()
    assert likelihood["note"].str.contains("every event among the exposed").all()


def test_penalized_always_makes_firths_the_main_one_where_it_was_not_needed(cohort_of):
    seldom, always = (
        of_cohort(cohort_of(study=with_models(penalized=how)), "same", ["cleft"]) for how in ("on_separation", "always")
    )
    main = [one(f.effects.frame, model="crude", measure="hazard_ratio") for f in (seldom, always)]
    assert [row["penalized"] for row in main] == ["no", "yes"]
    assert main[1]["note"].startswith("Firth's penalized ratio: asked for by the study")
    firth = one(seldom.rare.frame, model="crude", method="Firth")
    assert main[1]["estimate"] == firth["estimate"] != main[0]["estimate"]
    pd.testing.assert_series_equal(
        *(f.effects.frame.query("measure == 'risk_ratio'")["estimate"] for f in (seldom, always))
    )


def test_a_ratio_without_limits_is_not_called_infinite(cohort_of):
    """One patient brings the only event: the ratio is finite, and there is no error between patients."""
    lines = "patient|cleft|t_score|broke|end\nA|yes|-3|40|400\nB|no|-2||400\nC|yes|-3.5||400\nD|no|-2.5||400"
    found = of_cohort(cohort_of(lines), "same", ["t_score"])
    likelihood = one(found.rare.frame, model="crude", method="maximum likelihood")
    assert np.isfinite(likelihood["estimate"])
    assert np.isnan(likelihood["conf_low"])
    main = one(found.effects.frame, model="crude", measure="hazard_ratio")
    assert main["penalized"] == "yes"
    assert "no finite value or limits" in main["note"]


def test_the_exact_rate_ratio_counts_events_over_vertebra_days_by_hand(lined_up):
    """Cleft: 3 events in 40 + 130 + 480 + 220 days and what comes after healing; no cleft: 2. Off risk for 90 days."""
    row = one(lined_up.rare.frame, measure="rate_ratio", method="exact")
    with_, without = (
        40 + (500 - 130) + 130 + (500 - 220) + 480 + 220 + (500 - 310),
        300 + 110 + 450 + 500 + 420 + 390 + 20,
    )
    assert row["estimate"] == pytest.approx((3 / with_) / (2 / without), rel=1e-12)
    assert (row["n_events"], row["n_exposed_events"], row["n_units"]) == (5, 3, 9)


def test_the_exact_odds_ratio_takes_patients_known_at_the_horizon_by_hand(lined_up):
    """By day 365: three of four with a cleft; one of five without (I breaks on day 390). Nobody is lost before."""
    row = one(lined_up.rare.frame, measure="odds_ratio", method="exact")
    theirs = estimate.exact_odds_ratio(
        pd.DataFrame({"x": [1] * 4 + [0] * 5, "y": [1, 1, 1, 0, 1, 0, 0, 0, 0]}), outcome="y", exposure="x"
    ).frame.iloc[0]
    assert row[["estimate", "conf_low", "conf_high"]].tolist() == theirs[["estimate", "conf_low", "conf_high"]].tolist()
    assert row["note"].startswith("patients;"), "no word of anyone left out"


def test_events_are_shared_among_coefficients_not_columns(tables):
    """A site of four hospitals has three coefficients."""
    cohort = prepare(Registry.of(tables, with_models(adjustment={"cleft": ("site", "age")})))
    found = of_cohort(cohort, "same", ["cleft"])
    hazard = rows_of(cohort, "same").hazard
    sites = complete(hazard, ["cleft", "site", "age"])["site"].nunique()
    parameters = 1 + (sites - 1) + 1
    assert n_parameters(hazard, ["cleft", "site", "age"]) == parameters > 3
    check = one(found.checks.frame, check="events_per_parameter")
    assert check["estimate"] == check["n_events"] / parameters
    assert f"for {parameters} parameters" in check["sentence"]
    adjusted = one(found.rare.frame, model="adjusted", method="Firth")
    assert adjusted["events_per_parameter"] == check["estimate"]
    assert (found.predictive.frame["parameters"] == parameters).all()


# Nothing to see


def unexplained(found: RiskFactors) -> dict[str, list[object]]:
    """Rows of each frame that miss an estimate or a limit and do not say why."""
    result = {}
    for name in FRAMES:
        frame = getattr(found, name).frame
        if len(frame):
            missing = frame[["estimate", "conf_low", "conf_high"]].isna().any(axis=1)
            silent = frame[missing & (frame["note"].fillna("") == "")]
            if len(silent):
                result[name] = silent.index.tolist()
    wordless = found.checks.frame[(found.checks.frame["sentence"] == "")]
    return result | ({"checks": wordless.index.tolist()} if len(wordless) else {})


def with_cleft(lines: pd.DataFrame, **changes: str) -> pd.DataFrame:
    return lines.assign(**changes)


LINES = table(LINE_UP)
COHORTS = {
    "as it is": LINES,
    "nobody exposed": with_cleft(LINES, cleft="no"),
    "everyone exposed": with_cleft(LINES, cleft="yes"),
    "nobody assessable": with_cleft(LINES, cleft="not_assessable"),
    "nothing recorded": with_cleft(LINES, cleft="", t_score=""),
    "no event": with_cleft(LINES, broke=""),
    "one event": LINES.assign(broke=LINES["broke"].where(LINES["patient"] == "B", "")),
    "everyone breaks on day 50": with_cleft(LINES, broke="50"),
    "everyone lost before the horizon": LINES.assign(
        end="30", broke=LINES["broke"].where(LINES["patient"] == "none", "")
    ),
    "a single patient": LINES.iloc[:1],
    "a single patient without an event": LINES.iloc[2:3],
}


@pytest.mark.parametrize("lines", COHORTS.values(), ids=COHORTS)
def test_whatever_cannot_be_estimated_says_why(lines, cohort_of):
    found = of_cohort(cohort_of(lines), "same", ["cleft", "t_score"])
    assert unexplained(found) == {}
    assert len(found.effects.frame)
    assert len(found.patterns.frame)


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_four_published_cases_give_words_and_no_traceback(outcome):
    registry = toolkit.read("data/cases")
    found = of_cohort(prepare(Registry.of(registry.tables, STUDY)), outcome, None)
    assert unexplained(found) == {}
    assert found.effects.frame["exposure"].nunique() == len(risk.EXPOSURES)


def test_nobody_at_risk_is_told_in_a_sentence(tables):
    with pytest.raises(EstimationError, match="nothing to estimate"):
        risk_factors(Registry.of({**tables, "augmentations": tables["augmentations"].iloc[:0]}, STUDY))


def test_nobody_exposed_is_no_ratio_of_zero(cohort_of):
    study = with_models(adjustment={"cleft": ("t_score",)})
    frame = of_cohort(cohort_of(COHORTS["nobody exposed"], study), "same", ["cleft"]).effects.frame
    ratios = frame[frame["measure"].isin(["hazard_ratio", "subdistribution_hazard_ratio", "risk_ratio"])]
    assert ratios["estimate"].isna().all()
    assert ratios["note"].str.contains("nothing to compare").all()


def test_without_an_event_no_model_is_fitted_and_risks_are_zero(cohort_of):
    study = with_models(adjustment={"cleft": ("t_score",)})
    found = of_cohort(cohort_of(COHORTS["no event"], study), "same", ["cleft"])
    ratios = found.effects.frame.query("measure == 'hazard_ratio'")
    assert ratios["note"].str.contains("no event: nothing can be estimated").all()
    risks = found.effects.frame.query("measure in ['risk_all_exposed', 'risk_none_exposed']")
    assert (risks["estimate"] == 0).all()
    assert risks["note"].str.contains("a risk of 0 without an interval").all()
    assert found.controls.frame["note"].str.contains("no ratio to compare of same refracture").all()
    assert found.e_values.frame.empty


# What was not seen


def test_not_assessable_is_never_no_and_never_yes(cohort_of, lined_up):
    rows = rows_of(cohort_of(), "same")
    assert rows.recorded["cleft"].tolist()[9:11] == ["not_assessable"] * 2
    assert rows.units["cleft"].isna().tolist() == [False] * 9 + [True] * 4, "two not assessable, two not recorded"
    cleft = lined_up.patterns.frame.query("measure == 'state' and term == 'cleft'").set_index("state")["n_units"]
    assert cleft.to_dict() == {"known": 9, "not assessable": 2, "missing": 2}
    crude = one(lined_up.effects.frame, model="crude", measure="hazard_ratio")
    assert (crude["n_units"], crude["n_events"], crude["n_exposed_events"]) == (9, 5, 3), "J and L are in no model"


def test_units_of_a_model_and_those_left_out_are_all_units(found, simulated):
    for outcome, mine in (
        ("same", found),
        ("adjacent", of_cohort(simulated, "adjacent", ["cleft", "anti_osteoporotic"])),
    ):
        everyone = rows_of(simulated, outcome).hazard["id"].nunique()
        for frame in (mine.checks.frame, mine.rare.frame.query("measure == 'hazard_ratio'")):
            assert (frame["n_units"] + frame["n_incomplete"] == everyone).all()


def test_each_finding_of_a_unit_is_known_not_assessable_or_missing(found, simulated, lined_up):
    for mine, units in ((found, rows_of(simulated, "same").units["id"].nunique()), (lined_up, len(LINES))):
        states = mine.patterns.frame.query("measure == 'state'")
        assert (states.groupby("term")["n_units"].sum() == units).all()


def test_a_study_without_imputations_has_none(cohort_of):
    found = of_cohort(cohort_of(study=with_models(imputations=0)), "same", ["cleft"])
    assert found.imputed.frame.empty
    assert set(found.predictive.frame["analysis"]) == {"complete case"}
    assert len(found.effects.frame)


# The numbers


def test_the_risks_of_a_number_are_those_of_the_two_values_of_the_study(tables):
    cohort = prepare(Registry.of(tables, with_models(contrasts={"height_restoration": (0.1, 0.3)})))
    frame = of_cohort(cohort, "same", ["height_restoration"]).effects.frame
    risks = frame[(frame["model"] == "crude") & frame["measure"].str.startswith("risk")].set_index("measure")
    assert risks["contrast_from"].unique().tolist() == [1.0], "in steps of ten percentage points, as the model has them"
    assert risks["contrast_to"].unique().tolist() == [3.0]
    units = rows_of(cohort, "same").units
    theirs = estimate.standardized_risk(
        units.assign(exposure=(units["height_restoration"] - 1.0) / 2.0), "exposure", covariates=[], cause="cause",
        horizon=365, method="cox", between=(0.0, 1.0), **ROWS,
    ).frame.set_index("measure")  # fmt: skip
    np.testing.assert_allclose(risks["estimate"], theirs.loc[risks.index, "estimate"], rtol=1e-9)


def test_a_number_without_two_values_has_ratios_and_no_risks(simulated):
    found = of_cohort(simulated, "same", ["age"])
    frame = found.effects.frame.set_index("measure")
    assert np.isfinite(frame.loc["hazard_ratio", "estimate"])
    assert frame.loc["risk_difference", "note"] == frame.loc["risk_ratio", "note"]
    assert "models.contrasts" in frame.loc["risk_ratio", "note"]
    assert set(found.imputed.frame["measure"]) == {"hazard_ratio"}


def test_what_is_of_a_vertebra_has_no_odds_of_patients(simulated):
    found = of_cohort(simulated, "same", ["thoracolumbar"])
    assert "not of a patient" in one(found.rare.frame, measure="odds_ratio")["note"]
    assert unexplained(found) == {}


def test_a_risk_takes_the_drug_of_the_first_day_and_a_hazard_that_of_each_day(tmp_path):
    """The drug begins on day 100 of 300: it is in 200 of 300 vertebra-days, and in no unit at entry."""
    registry = drugged(tmp_path, [("A", 100)])
    rows = rows_of(registry, "same")
    assert rows.hazard.loc[rows.hazard["cluster"] == 0, ["entry", "exit", "anti_osteoporotic"]].to_numpy().tolist() == [
        [0, 100, 0], [100, 300, 1]
    ]  # fmt: skip
    assert rows.units["anti_osteoporotic"].tolist() == [0.0, 0.0]


def effects_of_one(cohort: Cohort, name: str) -> pd.DataFrame:
    rows = rows_of(cohort, "same")
    return effects.effect_rows(factors_of(cohort, rows, [name])[0], rows.hazard, rows.units, horizon=365)


@pytest.mark.parametrize("seed", [1, 2])
def test_names_and_order_of_patients_change_nothing(tables, simulated, seed):
    rng = np.random.default_rng(seed)
    names = tables["patients"]["patient_id"].to_numpy()
    other = dict(zip(names, rng.permutation([f"X{k}" for k in range(len(names))]), strict=True))
    again = {
        name: frame.assign(patient_id=frame["patient_id"].map(other))
        .iloc[rng.permutation(len(frame))]
        .reset_index(drop=True)
        for name, frame in tables.items()
    }
    here, there = (effects_of_one(one, "anti_osteoporotic") for one in (simulated, prepare(Registry.of(again, STUDY))))
    assert here["note"].tolist() == there["note"].tolist()
    for name in ("estimate", "conf_low", "conf_high", "std_error", "n_units", "n_events", "n_patients"):
        np.testing.assert_allclose(here[name], there[name], rtol=1e-7, err_msg=name)


def test_rows_in_another_order_and_patients_of_other_names_change_nothing():
    rows = vertebrae(20, 8)
    other = rows.sample(frac=1.0, random_state=1).assign(cluster=lambda x: 999 - x["cluster"], id=lambda x: x["id"] + 7)
    columns = ["estimate", "conf_low", "conf_high"]
    first, second = (effects.effect_rows(CLEFT, frame, frame, horizon=300)[columns] for frame in (rows, other))
    np.testing.assert_allclose(first.to_numpy(float), second.to_numpy(float), rtol=1e-8)


def test_at_entry_joins_rows_that_touch_and_keeps_gaps():
    rows = pd.DataFrame(
        {
            "id": [1, 1, 1, 2, 3, 3], "entry": [0, 5, 20, 0, 10, 30], "exit": [5, 9, 40, 9, 30, 31],
            "cause": [0, 0, 1, 2, 0, 1], "lower": [np.nan, np.nan, 15, np.nan, np.nan, 30.0],
            "drug": [0.0, 1.0, 1.0, 1.0, np.nan, 1.0],
        }
    )  # fmt: skip
    joined = at_entry(rows)
    assert joined[["id", "entry", "exit", "cause"]].to_numpy().tolist() == [
        [1, 0, 9, 0], [1, 20, 40, 1], [2, 0, 9, 2], [3, 10, 31, 1]
    ]  # fmt: skip
    assert joined["lower"].fillna(-1).tolist() == [-1, 15, -1, 30]
    assert joined["drug"].fillna(-1).tolist() == [0, 0, 1, -1], "the first day's, after a gap too"
    assert (joined["exit"] - joined["entry"]).sum() == (rows["exit"] - rows["entry"]).sum()


# Drugs


def drugged(
    folder: Path, starts: list[tuple[str, int]], *, drug: str = "alendronate", stop: int | None = None
) -> Cohort:
    """A and B, treated at L1 on day 0 and followed to day 300; A's L2 is found broken on day 100."""
    (folder / "patients.csv").write_text(f"patient_id,follow_up_end\nA,{day(300)}\nB,{day(300)}\n")
    (folder / "augmentations.csv").write_text(f"patient_id,date,level\nA,{day(0)},L1\nB,{day(0)},L1\n")
    (folder / "fractures.csv").write_text(f"patient_id,date,level\nA,{day(100)},L2\n")
    lines = [f"{who},{drug},{day(begin)},{'' if stop is None else day(begin + stop)}" for who, begin in starts]
    (folder / "medications.csv").write_text("\n".join(["patient_id,drug,start,stop", *lines]) + "\n")
    return prepare(Registry.of(toolkit.read(folder).tables, STUDY))


STARTS = [
    ("on the day of the fracture", [("A", 100)], 1, 1),
    ("ninety days later", [("A", 190)], 1, 1),
    ("ninety-one days later", [("A", 191)], 1, 0),
    ("the day before", [("A", 99)], 1, 0),
    ("before entry", [("A", -20)], 0, 0),
    ("on the day of entry", [("A", 0)], 0, 0),
    ("of another patient", [("B", 120)], 1, 0),
    ("after the end", [("A", 301)], 0, 0),
]


@pytest.mark.parametrize(("starts", "n", "after"), [case[1:] for case in STARTS], ids=[case[0] for case in STARTS])
def test_a_drug_begun_within_ninety_days_of_a_fracture_follows_it(starts, n, after, tmp_path):
    cohort = drugged(tmp_path, starts)
    factor = factors_of(cohort, rows_of(cohort, "same"), ["anti_osteoporotic"])[0]
    row = drugs.starts(cohort, factor).iloc[0]
    assert (row["n_starts"], row["n_after_fracture"], row["within_days"]) == (n, after, 90)
    assert row["n_patients_after"] == after


def test_the_next_dose_is_no_start(tmp_path):
    """Denosumab acts for half a year: the dose of day 150 keeps up that of day 10, and does not follow the fracture."""
    cohort = drugged(tmp_path, [("A", 10), ("A", 150), ("B", 50)], drug="denosumab")
    factor = factors_of(cohort, rows_of(cohort, "same"), ["anti_osteoporotic"])[0]
    row = drugs.starts(cohort, factor).iloc[0]
    assert (row["n_starts"], row["n_patients"], row["n_after_fracture"]) == (2, 2, 0)


def test_a_drug_taken_again_after_days_without_is_a_start_of_its_own(tmp_path):
    cohort = drugged(tmp_path, [("A", 10), ("A", 150)], stop=60)
    factor = factors_of(cohort, rows_of(cohort, "same"), ["anti_osteoporotic"])[0]
    row = drugs.starts(cohort, factor).iloc[0]
    assert (row["n_starts"], row["n_patients"], row["n_after_fracture"]) == (2, 1, 1)


def test_without_any_medication_recorded_no_start_is_counted(cohort_of):
    found = of_cohort(cohort_of(), "same", ["anti_osteoporotic"])
    assert found.starts.empty, "none recorded is not none begun"


def test_a_vertebra_that_comes_to_be_at_risk_finds_the_drug_where_it_stands():
    """The drug begins on day 30. The second vertebra is at risk from day 40, the third was off risk until day 60."""
    rows = pd.DataFrame(
        {
            "id": [1, 1, 2, 3, 3], "cluster": 7, "entry": [0, 30, 40, 0, 60], "exit": [30, 90, 90, 20, 90],
            "cause": [0, 0, 1, 0, 0], "drug": [0.0, 1.0, 1.0, 0.0, 1.0],
        }
    )  # fmt: skip
    moved = drugs.lagged_rows(rows, "drug", 40)
    begins = moved[moved["drug"] == 1].groupby("id")["entry"].min()
    assert begins.to_dict() == {1: 70, 2: 70, 3: 70}, "the same day for all vertebrae of the patient"
    assert (moved["exit"] - moved["entry"]).sum() == (rows["exit"] - rows["entry"]).sum()
    assert moved.loc[moved["cause"] == 1, "exit"].tolist() == [90]


def test_a_course_that_holds_on_the_first_day_has_acted_since_long_before():
    rows = pd.DataFrame(
        {"id": [1, 1], "cluster": 1, "entry": [0, 30], "exit": [30, 90], "cause": 0, "drug": [1.0, 0.0]}
    )
    moved = drugs.lagged_rows(rows, "drug", 20)
    assert moved[["entry", "exit", "drug"]].to_numpy().tolist() == [[0, 30, 1], [30, 50, 1], [50, 90, 0]]


def test_no_lag_moves_nothing_and_unknown_use_stays_unknown(simulated):
    hazard = rows_of(simulated, "adjacent").hazard
    still = drugs.lagged_rows(hazard, "anti_osteoporotic", 0)
    pd.testing.assert_frame_equal(still[hazard.columns], hazard.reset_index(drop=True), check_dtype=False)
    blank = drugs.lagged_rows(hazard.assign(anti_osteoporotic=np.nan), "anti_osteoporotic", 90)
    assert blank["anti_osteoporotic"].isna().all()


def test_drugs_alone_are_lagged_and_have_landmarks(found):
    assert set(found.drugs.frame["exposure"]) == set(drugs.DRUGS)
    mine = found.drugs.frame[found.drugs.frame["exposure"] == "anti_osteoporotic"]
    assert mine["analysis"].tolist() == [
        "current use", "lag 90 days", "lag 180 days", "landmark day 90", "landmark day 180", "landmark day 365",
        "landmark stacked",
    ]  # fmt: skip


# What could be wrong


def test_each_check_says_in_a_sentence_what_it_found(found):
    frame = found.checks.frame
    assert set(frame["concern"]) <= {"yes", "no", ""}
    cleft = frame[frame["exposure"] == "cleft"].set_index("check")
    assert cleft.index.tolist() == [
        "events_per_parameter", "incomplete", "proportional_hazards", "exposure_probability", "other_risk_model"
    ]  # fmt: skip
    assert set(cleft["model"]) == {"adjusted"}, "of the fullest model"
    events = cleft.loc["events_per_parameter"]
    assert events["sentence"].startswith(f"{events['n_events']:.0f} events for 4 parameters")
    assert (events["concern"] == "yes") == (events["n_events"] / 4 < rare.FEW_PER_PARAMETER)
    number = frame[frame["exposure"] == "t_score"]["check"].tolist()
    assert "straight_line" in number
    assert "exposure_probability" not in number, "no probability of a number"


def test_many_left_out_are_a_concern(cohort_of, lined_up):
    check = one(lined_up.checks.frame, check="incomplete")
    assert (check["concern"], check["n_incomplete"]) == ("yes", 13), "no corticosteroids are recorded at all"
    study = with_models(adjustment={"cleft": ()})
    check = one(of_cohort(cohort_of(study=study), "same", ["cleft"]).checks.frame, check="incomplete")
    assert check["sentence"] == "4 of 13 vertebrae lack the exposure or a covariate; compare with the imputed analysis."
    assert check["estimate"] == 4 / 13
    none = one(of_cohort(cohort_of(LINES.iloc[:9], study), "same", ["cleft"]).checks.frame, check="incomplete")
    assert (none["concern"], none["sentence"]) == ("no", "0 of 9 vertebrae lack the exposure or a covariate.")


def test_what_leaving_units_out_does_to_a_ratio_is_told_apart_from_adjustment(tables):
    """No T-score is known of men, so that the adjusted model is of others than the crude one."""
    male = (tables["patients"]["sex"] == "male").to_numpy()
    patients = tables["patients"].assign(t_score=tables["patients"]["t_score"].mask(male))
    study = with_models(adjustment={"leak": ("t_score",)}, imputations=0)
    part = prepare(Registry.of({**tables, "patients": patients}, study))
    check = one(of_cohort(part, "same", ["leak"]).checks.frame, check="same_units")
    hazard = rows_of(part, "same").hazard
    crude, apart, adjusted = (
        effects.cox(rows, terms).frame.iloc[0]["estimate"]
        for rows, terms in (
            (hazard, ["leak"]),
            (hazard[hazard["t_score"].notna()], ["leak"]),
            (hazard, ["leak", "t_score"]),
        )
    )
    assert check["estimate"] == pytest.approx(apart, rel=1e-12)
    assert check["sentence"].startswith(
        f"Among the units of the adjusted model the crude ratio is {apart:.2f}; it is {crude:.2f} among all with the "
        f"exposure known, and {adjusted:.2f} adjusted"
    )
    assert (check["concern"] == "yes") == (abs(np.log(apart / crude)) > checks.MOVED)


def test_without_a_missing_covariate_crude_and_adjusted_are_of_the_same_units(tables):
    whole = {**tables, "patients": tables["patients"].assign(t_score=tables["patients"]["t_score"].fillna(-2.0))}
    study = with_models(adjustment={"cleft": ("t_score",)}, imputations=0)
    found = of_cohort(prepare(Registry.of(whole, study)), "same", ["cleft"]).checks.frame
    assert "same_units" not in set(found["check"])


def test_the_other_model_of_the_risk_is_the_other_one(tables):
    cox, logistic = (
        of_cohort(prepare(Registry.of(tables, with_models(risk_model=how))), "same", ["cleft"])
        for how in ("cox", "logistic_ipcw")
    )
    for mine, other in ((cox, logistic), (logistic, cox)):
        check = one(mine.checks.frame, check="other_risk_model")
        theirs = one(other.effects.frame, model="adjusted", measure="risk_ratio")
        assert check["estimate"] == pytest.approx(theirs["estimate"], rel=1e-12)
        own = one(mine.effects.frame, model="adjusted", measure="risk_ratio")
        apart = abs(np.log(check["estimate"] / own["estimate"]))
        assert ("far from" in check["sentence"]) == (check["concern"] == "yes") == (apart > checks.MOVED)


def test_a_remote_outcome_has_no_control(simulated):
    found = of_cohort(simulated, "remote", ["cleft"])
    assert found.controls.frame.empty
    assert len(found.effects.frame)


def test_only_what_cannot_reach_remote_levels_has_a_control(found, simulated):
    frame = found.controls.frame.set_index("exposure")
    assert set(frame.index[frame["estimate"].notna()]) == set(bias.LOCAL)
    assert (frame.loc[["t_score", "corticosteroids", "anti_osteoporotic"], "note"] == bias.EVERYWHERE).all()
    control = rows_of(simulated, "remote").hazard
    theirs = effects.cox(control, ["cleft", *STUDY.models.adjustment["cleft"]]).frame.iloc[0]
    assert frame.loc["cleft", "control_estimate"] == pytest.approx(theirs["estimate"], rel=1e-12)
    unknown = of_cohort(simulated, "same", ["volume_ml"]).controls.frame
    assert unknown["note"].tolist() == [bias.REACH_UNKNOWN], "cement does not act on the whole spine"


def test_an_outcome_is_rare_by_the_end_of_follow_up_not_by_the_horizon():
    """One of ten within the year, two of ten by the end; a hazard ratio is of all follow-up."""
    patients = pd.DataFrame({"cause": [1, 1] + [0] * 8, "exit": [100, 900] + [1000] * 8})
    assert bias.rare_within(patients, 365)
    assert not bias.rare_within(patients)


def test_e_values_are_of_adjusted_ratios_only(found):
    frame = found.e_values.frame
    assert set(frame["model"]) == {"adjusted"}
    assert set(frame["measure"]) == {"hazard_ratio", "risk_ratio"}
    row = one(frame, exposure="cleft", measure="risk_ratio")
    ratio = max(row["estimate"], 1 / row["estimate"])
    assert row["e_value"] == pytest.approx(ratio + np.sqrt(ratio * (ratio - 1)), rel=1e-12)


def test_the_predictive_model_is_labelled_and_holds_every_term(found):
    frame = found.predictive.frame
    assert set(frame["model"]) == {predictive.LABEL} == {"predictive, not causal"}
    sets = STUDY.models.adjustment
    every = {*sets, *(name for names in sets.values() for name in names)}
    assert set(frame["term"]) == every
    assert set(frame.loc[frame["kind"] == "exposure", "term"]) == {exposure.name for exposure in risk.EXPOSURES}
    assert set(frame.loc[frame["kind"] == "covariate", "term"]) == every - {e.name for e in risk.EXPOSURES}
    assert "predictive, not causal" in found.predictive.settings["method"]


def test_results_of_several_outcomes_stand_below_each_other(found, simulated):
    other = of_cohort(simulated, "remote", ["cleft"])
    both = RiskFactors.together([found, other])
    assert len(both.effects) == len(found.effects) + len(other.effects)
    assert both.effects.frame["outcome"].drop_duplicates().tolist() == ["same", "remote"]
    assert len(both.adjustment) == len(found.adjustment), "one set for all outcomes"
    assert both.reading == found.reading
    assert RiskFactors.together([]).effects.frame.empty


def test_every_frame_names_outcome_and_exposure(found):
    for name in ("effects", "checks", "rare", "imputed", "drugs", "e_values", "misclassified", "controls"):
        frame = getattr(found, name).frame
        assert (frame["outcome"] == "same").all(), name
        assert frame["label"].ne("").all(), name
    assert set(found.effects.frame.query("measure == 'hazard_ratio'")["unit"]) == {"vertebra at risk"}
    assert set(found.effects.frame.query("measure != 'hazard_ratio'")["unit"]) == {"treated vertebra"}
    assert set(found.imputed.frame["unit"]) == {"treated vertebra"}


@pytest.mark.parametrize("outcome", ["adjacent", "remote"])
def test_risks_of_other_levels_are_of_patients_from_their_first_treatment(simulated, outcome):
    rows = rows_of(simulated, outcome)
    assert rows.unit == "patient"
    assert rows.units["id"].is_unique
    assert len(rows.units) == len(simulated.first_events(outcome).frame)
    known = risk.coded(atrisk.baseline(simulated.tables, simulated.augmentations, simulated.study))
    joined = rows.units.merge(known, on="patient_id", suffixes=("", "_known"))
    for name in ("cleft", "anti_osteoporotic", "t_score"):
        np.testing.assert_array_equal(joined[name], joined[f"{name}_known"])
