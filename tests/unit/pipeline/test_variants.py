"""Each variant re-runs the study with one choice changed."""

from dataclasses import replace

import pandas as pd

from cohort.pipeline import prepare, variants
from cohort.tables.results import Registry


def test_every_variant_gives_every_relation_and_the_main_one_comes_first(cohort):
    frame = variants.sensitivity(cohort).frame
    assert frame["variant"].iloc[0] == "main"
    assert frame.loc[frame["is_main"], "variant"].unique().tolist() == ["main"]
    per_variant = frame.groupby("variant")["outcome"].apply(set)
    assert (per_variant.drop("retreated") == {"same", "adjacent", "remote", "any"}).all()
    assert per_variant["retreated"] == {"same"}


def test_the_staged_windows_are_those_of_the_study(cohort):
    names = [variant.name for variant in variants.variants(cohort)]
    assert [name for name in names if name.startswith("staged_")] == ["staged_0", "staged_30", "staged_60"]


def small(dates):
    day = pd.to_datetime
    tables = {
        "patients": pd.DataFrame(
            {"patient_id": ["a"], "follow_up_end": day(["2022-12-31"]), "death_date": day(["2021-06-20"])}
        ),
        "augmentations": pd.DataFrame(
            {"augmentation_id": ["k"], "patient_id": ["a"], "date": day(["2021-01-10"]), "date_precision": ["day"],
             "level": ["L1"]}
        ),
        "fractures": pd.DataFrame(
            {"fracture_id": ["f"], "patient_id": ["a"], "level": ["L3"], **dates}
        ),
    }  # fmt: skip
    empty = Registry.of({}).tables
    return prepare(Registry.of({name: pd.concat([empty[name], frame]) if name not in tables else
                                frame.reindex(columns=list(dict.fromkeys([*empty[name].columns, *frame.columns])))
                                for name, frame in {**empty, **tables}.items()}))  # fmt: skip


def test_a_month_becomes_its_first_or_last_day_after_the_clear_film_and_by_death():
    case = small(
        {
            "date": pd.to_datetime(["2021-06-15"]),
            "date_precision": ["month"],
            "last_clear_date": pd.to_datetime(["2021-06-05"]),
        }
    )
    earliest = variants.with_dates(case, "earliest").tables["fractures"]["date"].iloc[0]
    latest = variants.with_dates(case, "latest").tables["fractures"]["date"].iloc[0]
    assert (str(earliest.date()), str(latest.date())) == ("2021-06-06", "2021-06-20")


def test_a_date_known_to_the_day_stays():
    case = small({"date": pd.to_datetime(["2021-06-15"]), "date_precision": ["day"]})
    assert variants.with_dates(case, "latest").tables["fractures"]["date"].iloc[0] == pd.Timestamp("2021-06-15")


def test_a_death_after_the_end_of_follow_up_competes_only_where_the_study_says_so(cohort):
    tables = dict(cohort.tables)
    patients = tables["patients"].copy()
    alive = patients["death_date"].isna()
    patients.loc[alive, "death_date"] = patients.loc[alive, "follow_up_end"] + pd.Timedelta(days=10)
    late = prepare(replace(cohort.registry, tables={**tables, "patients": patients}))
    closing = late.study.with_("at_risk", death_closes=True)
    deaths = (late.first_events("composite").frame["cause"] == 5).sum()
    assert deaths == (cohort.first_events("composite").frame["cause"] == 5).sum()
    assert (prepare(replace(late.registry, study=closing)).first_events("composite").frame["cause"] == 5).sum() > deaths
