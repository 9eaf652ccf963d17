"""Missing findings drawn: what must be kept, what must not be made up, and whether the truth comes back."""

import numpy as np
import pandas as pd
import pytest

from cohort.domain.errors import EstimationError
from cohort.estimate.cox import cox
from cohort.estimate.imputation import impute
from cohort.estimate.imputation_models import Donors, Scale, draw_category, fit_logistic, hazard_over
from cohort.estimate.nelson_aalen import nelson_aalen
from cohort.estimate.pooling import impute_and_fit

FINDING = ["no", "not_assessable", "yes"]
OUTCOME = {"exit": "exit", "event": "event"}
CLUSTERED = {"id": "unit", "cluster": "patient", **OUTCOME}


def vertebrae(seed=1, n_patients=150, missing=0.3):
    """Vertebrae in patients: cleft, volume and grade are theirs, BMI and steroids the patient's."""
    rng = np.random.default_rng(seed)
    patient = np.repeat(np.arange(n_patients), rng.integers(1, 4, n_patients))
    n, u = len(patient), rng.normal(size=n_patients)
    own = u[patient] + rng.normal(size=n)
    grade = np.digitize(own + rng.normal(size=n), [-0.8, 0.8])
    d = pd.DataFrame(
        {
            "unit": np.arange(n),
            "patient": patient,
            "age": rng.normal(75, 8, n_patients)[patient],
            "bmi": (25 + 3 * u + rng.normal(size=n_patients))[patient],
            "steroids": (rng.random(n_patients) < 0.3).astype(float)[patient],
            "cleft": pd.Categorical.from_codes(np.where(own > 0.5, 2, 0), FINDING, ordered=True),
            "volume": 4.0 + own,
            "grade": pd.Categorical.from_codes(grade, ["mild", "moderate", "severe"], ordered=True),
        }
    )
    event, loss = rng.exponential(np.exp(-0.5 * own) * 100, n), rng.uniform(20, 200, n)
    d["exit"] = np.ceil(np.minimum(event, loss))
    d["event"] = (event <= loss).astype(int)
    lost = rng.random((n_patients, 2)) < missing
    d["bmi"] = d["bmi"].where(~lost[patient, 0])
    d["steroids"] = d["steroids"].where(~lost[patient, 1])
    for name in ("cleft", "volume", "grade"):
        d[name] = d[name].where(rng.random(n) >= missing)
    return d


COLUMNS = ["bmi", "steroids", "cleft", "volume", "grade"]


def imputed(d, columns=COLUMNS, **options):
    settings = {"predictors": ["age"], "draws": 3, "iterations": 3, "seed": 1, **CLUSTERED} | options
    return impute(d, columns, **settings)


def one_value_each(frame, group, columns):
    """Whether the rows of each group hold the same values."""
    return len(frame[[group, *columns]].drop_duplicates()) == len(frame[[group]].drop_duplicates())


def test_nothing_is_missing_afterwards_and_nothing_known_has_changed():
    d = vertebrae()
    drawn = imputed(d)
    assert len(drawn) == 3
    for frame in drawn:
        assert frame.columns.tolist() == d.columns.tolist()
        assert not frame[COLUMNS].isna().any().any()
        for name in d.columns:
            known = d[name].notna()
            assert (frame.loc[known, name].astype(object) == d.loc[known, name].astype(object)).all()
    assert drawn.long()["imputation"].value_counts().to_dict() == dict.fromkeys(range(3), len(d))
    assert drawn.complete_cases()["unit"].tolist() == d.dropna()["unit"].tolist()


def test_a_column_without_missing_values_is_untouched():
    d = vertebrae().assign(leak=pd.Categorical(["no", "yes"] * 200, FINDING)[: len(vertebrae())])
    frame = imputed(d, ["leak", "volume"]).completed(0)
    pd.testing.assert_series_equal(frame["leak"], d["leak"])
    assert frame["volume"].notna().all()


def test_the_seed_decides_and_neither_the_number_of_draws_nor_the_order_of_rows_does():
    d = vertebrae()
    one, more = imputed(d), imputed(d, draws=4)
    pd.testing.assert_frame_equal(one.completed(2), more.completed(2))
    assert not one.completed(0)["volume"].equals(one.completed(1)["volume"])
    assert not one.completed(0)["volume"].equals(imputed(d, seed=2).completed(0)["volume"])
    shuffled = imputed(d.sample(frac=1, random_state=0)).completed(0).sort_index()
    pd.testing.assert_frame_equal(shuffled, one.completed(0))


def test_a_patients_values_are_the_same_in_all_the_patients_rows():
    drawn = imputed(vertebrae())
    assert drawn.settings["drawn_per"] == {
        "bmi": "patient", "steroids": "patient", "cleft": "unit", "volume": "unit", "grade": "unit"
    }  # fmt: skip
    for frame in drawn:
        assert one_value_each(frame, "patient", ["bmi", "steroids"])
        assert not one_value_each(frame, "patient", ["volume"])


def test_splitting_a_vertebras_time_changes_no_draw():
    d = vertebrae().assign(entry=0.0)
    late = d["exit"] > 30
    early = d.assign(exit=np.minimum(d["exit"], 30.0), event=np.where(late, 0, d["event"]))
    split = pd.concat([early, d[late].assign(entry=30.0)])
    one = imputed(d, entry="entry").completed(1)
    two = imputed(split, entry="entry").completed(1)
    assert one_value_each(two, "unit", COLUMNS)
    again = two.drop_duplicates("unit").sort_values("unit")
    pd.testing.assert_frame_equal(again[COLUMNS].reset_index(drop=True), one[COLUMNS].reset_index(drop=True))


def test_a_finding_that_changes_with_time_is_drawn_row_by_row():
    d = vertebrae().assign(entry=0.0)
    late = d[d["exit"] > 30].assign(entry=30.0, volume=lambda d: d["volume"] + 1.0)
    split = pd.concat([d.assign(exit=np.minimum(d["exit"], 30.0), event=0), late], ignore_index=True)
    drawn = imputed(split, ["volume"], entry="entry")
    assert drawn.settings["drawn_per"] == {"volume": "row"}
    assert drawn.completed(0)["volume"].notna().all()


def test_not_assessable_is_drawn_as_missing_and_never_becomes_no():
    d = vertebrae(missing=0.0)
    unclear = np.arange(len(d)) % 3 == 0
    d["cleft"] = d["cleft"].where(~unclear, "not_assessable")
    drawn = imputed(d, ["cleft"], draws=5)
    assert drawn.settings["rows_not_assessable"] == {"cleft": int(unclear.sum())}
    assert drawn.settings["not_assessable"] == "imputed as missing"
    yes = np.mean([(frame.loc[unclear, "cleft"] == "yes").mean() for frame in drawn])
    known = (d.loc[~unclear, "cleft"] == "yes").mean()
    assert yes == pytest.approx(known, abs=0.12)
    assert drawn.completed(0)["cleft"].cat.categories.tolist() == ["no", "yes"]


def test_not_assessable_may_be_a_category_of_its_own():
    d = vertebrae()
    unclear = (np.arange(len(d)) % 4 == 0) & d["cleft"].notna()
    d["cleft"] = d["cleft"].where(~unclear, "not_assessable")
    drawn = imputed(d, ["cleft"], not_assessable="category")
    for frame in drawn:
        assert (frame.loc[unclear, "cleft"] == "not_assessable").all()
    assert "not_assessable" in set(drawn.completed(0).loc[d["cleft"].isna(), "cleft"])


def test_delta_of_zero_is_plain_imputation_and_others_shift_what_is_drawn():
    d = vertebrae()
    plain = imputed(d, draws=6)
    same = imputed(d, draws=6, delta={"cleft": 0.0, "volume": 0.0})
    pd.testing.assert_frame_equal(plain.long(), same.long())
    moved = imputed(d, draws=6, delta={"cleft": 1.0, "volume": 0.5, "grade": 1.0})
    gone = {name: np.tile(d[name].isna(), 6) for name in ("cleft", "volume", "grade")}
    one, two = plain.long(), moved.long()
    rise = two.loc[gone["volume"], "volume"].mean() - one.loc[gone["volume"], "volume"].mean()
    assert rise == pytest.approx(0.5 * d["volume"].std(), rel=0.4)  # volumes are drawn with the shifted clefts beside
    odds = [(f.loc[gone["cleft"], "cleft"] == "yes").mean() for f in (one, two)]
    assert np.log(odds[1] / (1 - odds[1])) > np.log(odds[0] / (1 - odds[0])) + 0.2
    severe = [(f.loc[gone["grade"], "grade"] == "severe").mean() for f in (one, two)]
    assert severe[1] > severe[0]


def test_two_missing_vertebrae_of_a_patient_resemble_each_other():
    """Drawn independently they would agree as strangers do."""
    rng = np.random.default_rng(3)
    u = rng.normal(size=1500) * 2.0
    d = pd.DataFrame({"patient": np.repeat(np.arange(1500), 2), "unit": np.arange(3000)})
    d["cleft"] = (np.repeat(u, 2) + rng.normal(size=3000) > 0).astype(float)
    d["age"] = rng.normal(size=3000)
    truth = d["cleft"].to_numpy(copy=True).reshape(-1, 2)
    both = np.arange(1500) % 3 == 0
    d.loc[np.repeat(both, 2), "cleft"] = np.nan
    options = {"predictors": ["age"], "draws": 5, "iterations": 10, "seed": 1, "id": "unit"}

    def agreement(drawn):
        pairs = [frame["cleft"].to_numpy().reshape(-1, 2)[both] for frame in drawn]
        return np.mean([(pair[:, 0] == pair[:, 1]).mean() for pair in pairs])

    expected = (truth[:, 0] == truth[:, 1]).mean()
    assert expected > 0.75
    assert agreement(impute(d, ["cleft"], cluster="patient", **options)) == pytest.approx(expected, abs=0.05)
    assert agreement(impute(d, ["cleft"], **options)) == pytest.approx(0.5, abs=0.05)


def survival(seed=5, n=3000):
    """Bone density and age, hazards of e^-0.6 per SD and e^0.5; density is missing after events of the young."""
    rng = np.random.default_rng(seed)
    old = (rng.random(n) < 0.5).astype(float)
    density = rng.normal(size=n) - 0.5 * old
    event, loss = rng.exponential(np.exp(0.6 * density - 0.5 * old), n), rng.uniform(0.2, 3.0, n)
    d = pd.DataFrame({"old": old, "density": density, "exit": np.minimum(event, loss), "event": (event <= loss) * 1})
    gone = rng.random(n) < np.where((d["event"] == 1) & (old == 0), 0.7, 0.15)
    return d, d.assign(density=d["density"].where(~gone))


@pytest.mark.parametrize("numeric", ["pmm", "normal"])
def test_imputation_gives_back_the_hazard_ratios_that_complete_cases_have_lost(numeric):
    whole, holes = survival()

    def fit(rows):
        return cox(rows, ["old", "density"], **OUTCOME)

    truth = fit(whole).frame["coef"].to_numpy()
    found = impute_and_fit(
        holes, fit, ["density"], predictors=["old"], numeric=numeric, draws=10, iterations=2, seed=1, **OUTCOME
    ).frame
    parts = {name: part["coef"].to_numpy() for name, part in found.groupby("analysis")}
    error = found.loc[found["analysis"] == "multiple imputation", "std_error"].to_numpy()
    assert (np.abs(parts["multiple imputation"] - truth) < 1.5 * error).all()
    assert np.abs(parts["complete case"] - truth).max() > 4 * np.abs(parts["multiple imputation"] - truth).max()
    assert np.abs(parts["multiple imputation"] - [0.5, -0.6]).max() < 0.1


def test_without_the_outcome_hazard_ratios_are_drawn_towards_one():
    _, holes = survival()

    def density(**options):
        found = impute_and_fit(
            holes,
            lambda rows: cox(rows, ["old", "density"], **OUTCOME),
            ["density"],
            predictors=["old"],
            draws=5,
            iterations=2,
            seed=1,
            **options,
        ).frame
        return found.loc[(found["analysis"] == "multiple imputation") & (found["term"] == "density"), "coef"].item()

    assert density() > density(**OUTCOME) + 0.1


def test_a_perfectly_predicted_finding_stays_within_reason():
    rng = np.random.default_rng(2)
    d = pd.DataFrame({"sign": np.tile([0.0, 1.0], 40), "noise": rng.normal(size=80)})
    d["cleft"] = d["sign"].where(np.arange(80) % 5 != 0)
    drawn = impute(d, ["cleft"], predictors=["sign", "noise"], draws=20, seed=1)
    values = np.array([frame.loc[d["cleft"].isna(), "cleft"] for frame in drawn])
    agree = (values == d.loc[d["cleft"].isna(), "sign"].to_numpy()).mean()
    assert 0.85 < agree <= 1.0
    _, x = Scale.standardized([np.ones(80), d["sign"].to_numpy(), d["noise"].to_numpy()])
    coef, _, _ = fit_logistic(x, d["sign"].to_numpy() == 1, np.ones(80))
    assert np.isfinite(coef).all()
    assert np.abs(coef).max() < 10


def test_the_logistic_fit_is_that_of_the_pseudo_observations_written_out():
    """Half a standard deviation to either side of each mean, both categories, together of weight p + 1."""
    rng = np.random.default_rng(4)
    _, x = Scale.standardized([np.ones(60), *rng.normal(size=(2, 60))])
    y = rng.random(60) < 0.4
    places = np.array([[1, 0.5, 0], [1, -0.5, 0], [1, 0, 0.5], [1, 0, -0.5]])
    rows = np.vstack([x, places, places])
    outcome = np.concatenate([y, np.ones(4), np.zeros(4)])
    weight = np.append(np.ones(60), np.full(8, 3 / 8))
    coef = np.zeros(3)
    for _ in range(30):
        mean = 1 / (1 + np.exp(-rows @ coef))
        information = (rows * (weight * mean * (1 - mean))[:, None]).T @ rows
        coef = coef + np.linalg.solve(information, rows.T @ (weight * (outcome - mean)))
    ours, factor, used = fit_logistic(x, y, np.ones(60), coef)
    np.testing.assert_allclose(ours, coef, atol=1e-8)
    np.testing.assert_allclose(factor.T @ factor, information, rtol=1e-6)
    assert used.all()


def test_the_coefficients_of_a_column_are_drawn_as_widely_as_they_are_known():
    rng = np.random.default_rng(4)
    _, x = Scale.standardized([np.ones(200), rng.normal(size=200)])
    code = (rng.random(200) < 0.4).astype(np.int64)
    _, factor, _ = fit_logistic(x, code > 0, np.ones(200))
    coef = np.array([draw_category(x, code, 2, np.ones(200), rng).coef[:, 0] for _ in range(400)])
    np.testing.assert_allclose(np.cov(coef.T), np.linalg.inv(factor.T @ factor), rtol=0.25, atol=3e-3)


def test_equal_predictions_share_their_donors_alike():
    donors = Donors.of(np.repeat([0.0, 1.0], 50), np.arange(100.0))
    drawn = donors.values(np.full(4000, 0.9), np.random.default_rng(1))
    assert set(drawn) == set(np.arange(50.0, 100.0))


def test_the_hazard_lived_through_is_that_of_nelson_and_aalen_since_entry(vertebra_rows):
    d = vertebra_rows(3)
    ones = np.ones(len(d))
    lived = hazard_over(d["exit"].to_numpy(), d["event"].to_numpy() == 1, d["entry"].to_numpy(), ones)
    days = np.unique(np.append(d["exit"], d["entry"]))
    curve = nelson_aalen(d, exit="exit", event="event", entry="entry", at=days).frame.set_index("time")["estimate"]
    np.testing.assert_allclose(lived, curve[d["exit"]].to_numpy() - curve[d["entry"]].to_numpy(), rtol=1e-9)


def test_causes_enter_with_a_hazard_each():
    d = vertebrae().assign(cause=lambda d: np.where(d["event"] == 1, 1 + d["unit"] % 2, 0))
    drawn = imputed(d, event=None, cause="cause")
    assert drawn.settings["outcome"].startswith("'cause'")
    assert drawn.completed(0)[COLUMNS].notna().all().all()


def test_rows_of_weight_zero_are_completed_and_teach_nothing():
    d = vertebrae()
    strange = d.assign(unit=d["unit"] + 10_000, patient=d["patient"] + 10_000, volume=d["volume"] + 500.0, w=0.0)
    drawn = imputed(pd.concat([d.assign(w=1.0), strange], ignore_index=True), ["volume"], weight="w")
    values = drawn.completed(0)["volume"]
    assert values[: len(d)].max() < 100
    assert values[len(d) :][d["volume"].isna().to_numpy()].max() < 100


def test_a_column_of_the_patient_known_in_one_row_only_must_be_named_and_is_then_filled_in():
    d = vertebrae()
    first = ~d.duplicated("patient")
    several = d.groupby("patient")["unit"].transform("size") > 1
    d["bmi"] = d["bmi"].where(first | ~several)
    with pytest.raises(EstimationError, match="is it the patient's, or does each vertebra have its own"):
        imputed(d)
    drawn = imputed(d, per_patient=["bmi", "steroids"])
    assert drawn.settings["rows_filled_within_patient"]["bmi"] > 0
    frame = drawn.completed(0)
    assert one_value_each(frame, "patient", ["bmi"])
    assert (frame["bmi"] == frame.groupby("patient")["bmi"].transform("first")).all()
    none = imputed(d, per_patient=[])
    assert set(none.settings["drawn_per"].values()) == {"unit"}


def test_agreement_that_may_be_chance_is_no_proof():
    d = vertebrae(n_patients=40).assign(rare=0.0)
    d.loc[d["patient"] == 3, "rare"] = 1.0
    d.loc[d["patient"].isin(range(10, 20)), "rare"] = np.nan
    with pytest.raises(EstimationError, match="that may be chance"):
        imputed(d, ["rare"])
    with pytest.raises(EstimationError, match="has several values in"):
        imputed(d, ["volume"], per_patient=["volume"])


def test_traces_tell_whether_there_were_iterations_enough():
    drawn = imputed(vertebrae(), draws=5, iterations=8)
    assert len(drawn.traces) == 5 * 8 * len(COLUMNS)
    assert set(drawn.settings["scale_reduction"]) == set(COLUMNS)
    assert all(0.5 < value < 2.0 for value in drawn.settings["scale_reduction"].values())


def test_few_known_values_are_said_and_too_few_refused():
    d = vertebrae()
    d["volume"] = d["volume"].where(np.arange(len(d)) < 40)
    assert any("'volume' is known for" in note for note in imputed(d).settings["notes"])
    d["volume"] = d["volume"].where(np.arange(len(d)) < 12)
    with pytest.raises(EstimationError, match="too few to fit it"):
        imputed(d)


def test_a_single_patient_with_everything_known_is_returned_as_he_is():
    d = vertebrae(missing=0.0).iloc[:1]
    drawn = imputed(d, ["volume"])
    pd.testing.assert_frame_equal(drawn.completed(0), d)
    assert drawn.traces.empty


@pytest.mark.parametrize(
    ("options", "columns", "said"),
    [
        ({}, ["nothing"], "missing in all"),
        ({}, ["same"], "one value only where it is known"),
        ({}, ["words"], "make it a number or a list of categories"),
        ({}, ["bmi", "bmi"], "named twice"),
        ({}, [], "at least one column"),
        ({}, ["unknown"], "There is no column 'unknown'"),
        ({"predictors": ["bmi"]}, ["volume"], "Predictor 'bmi' is missing in"),
        ({"event": None}, ["bmi"], "Give exit together with event"),
        ({"delta": {"age": 1.0}}, ["bmi"], "of which nothing is drawn"),
        ({"delta": {"site": 1.0}}, ["site"], "categories have no order"),
        ({"delta": {"bmi": np.inf}}, ["bmi"], "must be a finite number"),
        ({"draws": 0}, ["bmi"], "at least one draw"),
        ({"numeric": "mean"}, ["bmi"], "numeric must be pmm or normal"),
        ({"not_assessable": "no"}, ["bmi"], "not_assessable must be missing or category"),
        ({"per_patient": ["exit"]}, ["bmi"], "neither among the columns nor the predictors"),
    ],
)
def test_what_cannot_be_imputed_is_refused_with_a_sentence(options, columns, said):
    d = vertebrae()
    n = np.arange(len(d))
    d = d.assign(
        nothing=np.nan,
        same=np.where(n % 2, np.nan, 1.0),
        words=pd.Series(np.where(n % 2, "a", None), dtype=object),
        site=pd.Categorical(np.where(n % 4 == 3, None, np.array(list("ABC"))[n % 3])),
    )
    with pytest.raises(EstimationError, match=said):
        imputed(d, columns, **options)
