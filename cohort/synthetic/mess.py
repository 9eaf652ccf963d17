"""What a hospital records of clean patients: gaps, unjudged and repeated sightings, split sessions, films and pain.

The tables stay canonical; how they are written down is `cohort.synthetic.spellings`. Nothing here is impossible, only
incomplete or awkward; impossible values are planted by `cohort.synthetic.defects`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from cohort.domain.clock import BoolArray, FloatArray
from cohort.synthetic.simulate import canonical
from cohort.tables.schema import CANONICAL

Tables = dict[str, pd.DataFrame]
_DAY = pd.Timedelta(days=1)
_LEAST_HEIGHT_MM = 9.0  # flatter vertebrae go unmeasured; a smaller number would read as centimetres
_SPARSE_SITE = "Nordklinik"  # writes one line per session, without details of each vertebra
_SPARSE_COLUMNS = (
    "volume_ml", "cleft_before", "cleft_modality", "cleft_filled", "leak", "leak_modality", "fracture_endplate",
    "cement_endplate", "cement_pattern", "fracture_filled", "anterior_mm_before", "anterior_mm_after",
    "middle_mm_before", "middle_mm_after", "posterior_mm_before", "posterior_mm_after", "anterior_mm_reference",
    "kyphosis_deg_before", "kyphosis_deg_after", "approach", "technique",
)  # fmt: skip


def recorded(clean: Tables, rng: np.random.Generator) -> Tables:
    """All eight canonical tables as the hospitals keep them; `clean` is left as it is.

    The order matters: films follow the true course, the rest hides or repeats parts of it.
    """
    tables = {name: frame.copy() for name, frame in clean.items()}
    tables["imaging"], tables["assessments"] = _films_and_pain(clean, rng)
    _stage_sessions(tables, rng)
    _leave_out_fractures(tables, rng)
    _unjudge(tables, rng)
    _list_again(tables, rng)
    _treat_before_index(tables, rng)
    _coarsen_dates(tables, rng)
    tables["excluded_levels"] = _excluded_levels(tables, rng)
    tables["imaging_studies"] = _studies(tables, rng)
    _lose_values(tables, rng)
    _one_line_sessions(tables, rng)
    return tables


def _with_patient(frame: pd.DataFrame, patients: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """The named columns of each row's patient, in the order of the frame."""
    return patients.set_index("patient_id").loc[frame["patient_id"], list(columns)].reset_index(drop=True)


def _first_session(augmentations: pd.DataFrame) -> pd.Series:
    return augmentations.groupby("patient_id")["date"].transform("min")


def _stage_sessions(tables: Tables, rng: np.random.Generator) -> None:
    """One in seven multi-level first procedures was finished 3 to 10 days later, where nothing broke in between."""
    rows = tables["augmentations"]
    first = _first_session(rows)
    on_first = rows["date"] == first
    n_levels = on_first.groupby(rows["patient_id"]).transform("sum")
    last_of_first = on_first & ~rows.loc[::-1, "patient_id"].where(on_first[::-1]).duplicated()[::-1]
    later = rows["date"].where(~on_first).groupby(rows["patient_id"]).transform("min")
    fractures = tables["fractures"]
    after = fractures.merge(first.groupby(rows["patient_id"]).first().rename("first"), on="patient_id")
    after = after[after["date"] > after["first"]]
    broken = rows["patient_id"].map(after.groupby("patient_id")["date"].min())
    end = _with_patient(rows, tables["patients"], ["follow_up_end"])["follow_up_end"]
    quiet = (end > first + 20 * _DAY) & ~(broken <= first + 20 * _DAY) & ~(later <= first + 40 * _DAY)
    chosen = last_of_first & (n_levels > 1) & quiet & rows["indication"].eq("fracture") & (rng.random(len(rows)) < 0.15)
    delay = pd.to_timedelta(rng.integers(3, 11, len(rows)), unit="D")
    rows.loc[chosen, "date"] = (rows["date"] + delay)[chosen]


def _leave_out_fractures(tables: Tables, rng: np.random.Generator) -> None:
    """Of the refractures that were augmented later, one in ten was never listed: only the augmentation tells of it."""
    rows, done = tables["fractures"], tables["augmentations"]
    later = done.loc[done["date"] > _first_session(done), ["patient_id", "level", "date"]]
    pairs = rows.reset_index().merge(later, on=["patient_id", "level"], suffixes=("", "_treated"))
    gap = (pairs["date_treated"] - pairs["date"]).dt.days
    treated = pairs.loc[(gap > 0) & (gap <= 90) & pairs["kind"].notna(), "index"].unique()
    dropped = treated[rng.random(len(treated)) < 0.10]
    tables["fractures"] = rows.loc[~rows.index.isin(dropped)].reset_index(drop=True)


def _unjudge(tables: Tables, rng: np.random.Generator) -> None:
    """Many refractures carry no judgement, and some of those no clear film before."""
    rows, done = tables["fractures"], tables["augmentations"]
    ordered = rows.sort_values(["patient_id", "level", "date"])
    seen = ordered.groupby(["patient_id", "level"], observed=True)["date"].shift().reindex(rows.index)
    pairs = rows.reset_index().merge(
        done[["patient_id", "level", "date"]], on=["patient_id", "level"], suffixes=("", "_u")
    )
    latest = pairs[pairs["date_u"] < pairs["date"]].groupby("index")["date_u"].max().reindex(rows.index)
    needed = seen.notna() & ~(latest >= seen)  # without kind new, a second fracture would read as the first seen again
    share = np.where(rows["kind"].eq("new"), 0.35, 0.45)
    unjudged = rows["kind"].notna() & ~needed & (rng.random(len(rows)) < share)
    rows.loc[unjudged, "kind"] = None
    unfilmed = unjudged & (rng.random(len(rows)) < 0.25)
    rows.loc[unfilmed | (rows["kind"].notna() & (rng.random(len(rows)) < 0.3)), "last_clear_date"] = pd.NaT
    unclear = rng.random((len(rows), 2)) < (0.04, 0.05)
    rows.loc[unclear[:, 0], "symptomatic"] = "not_assessable"
    rows.loc[unclear[:, 1], "trauma"] = "not_assessable"
    rows.loc[rng.random(len(rows)) < 0.12, "trauma"] = None
    rows.loc[rows["kind"].isna() & (rng.random(len(rows)) < 0.10), "symptomatic"] = None


def _list_again(tables: Tables, rng: np.random.Generator) -> None:
    """Later films list old fractures again; most readers call them old, some leave them unjudged."""
    rows, patients = tables["fractures"], tables["patients"]
    first = rows["patient_id"].map(tables["augmentations"].groupby("patient_id")["date"].min())
    after = rows["date"] > first
    share = np.where(after, 0.10, 0.05)
    again = rows[rng.random(len(rows)) < share].copy()
    n = len(again)
    start = np.maximum(again["date"], first[again.index])
    again["date"] = start + pd.to_timedelta(rng.integers(25, 420, n), unit="D")
    again["kind"] = _some(rng.random(n) < np.where(after[again.index], 0.6, 0.97), "old")
    again["last_clear_date"] = pd.NaT
    again["symptomatic"] = "no"
    again["trauma"] = None

    # Deformities that nobody had listed before, found on a later film of a level never treated.
    known = patients.loc[patients["prior_fractures"].gt(0) & (rng.random(len(patients)) < 0.06)]
    found = pd.DataFrame({name: pd.Series(dtype=rows[name].dtype) for name in rows}).reindex(range(len(known)))
    found["patient_id"] = known["patient_id"].to_numpy()
    found["level"] = rng.choice(["T5", "T6", "T7", "T8", "T9"], len(known))
    found["date"] = (
        known["patient_id"].map(tables["augmentations"].groupby("patient_id")["date"].min()).to_numpy()
        + pd.to_timedelta(rng.integers(30, 500, len(known)), unit="D")
    )  # fmt: skip
    found["kind"] = _some(rng.random(len(known)) < 0.7, "old")
    found["modality"] = "radiograph"
    used = pd.MultiIndex.from_frame(pd.concat([rows, tables["augmentations"]])[["patient_id", "level"]].astype(str))
    found = found[~pd.MultiIndex.from_frame(found[["patient_id", "level"]].astype(str)).isin(used)]

    both = pd.concat([part.astype("object") for part in (again, found)], ignore_index=True)
    both["date"] = pd.to_datetime(both["date"])
    end = _with_patient(both, patients, ["follow_up_end"])["follow_up_end"]
    both = both[(both["date"] <= end).to_numpy()].copy()
    both["fracture_id"] = [f"W{k:06d}" for k in range(1, len(both) + 1)]
    both["date_precision"] = "day"
    joined = pd.concat([rows.astype("object"), both.astype("object")], ignore_index=True)
    joined = joined.sort_values(["patient_id", "date", "fracture_id"], ignore_index=True)
    tables["fractures"] = _typed("fractures", joined)


def _treat_before_index(tables: Tables, rng: np.random.Generator) -> None:
    """A few patients came with cement from elsewhere, undated; the registry observes them from the day it met them."""
    rows, patients = tables["augmentations"], tables["patients"]
    one_in_forty = patients.loc[rng.random(len(patients)) < 0.025, "patient_id"]
    extra = pd.DataFrame({"patient_id": one_in_forty.tolist()})
    extra["level"] = rng.choice(["T8", "T10", "T11", "T12", "L1", "L2", "L3", "L4"], len(extra)).astype(object)
    used = pd.MultiIndex.from_frame(pd.concat([rows, tables["fractures"]])[["patient_id", "level"]].astype(str))
    spine = _with_patient(extra, patients, ["n_thoracic", "n_lumbar"])
    has_it = (spine["n_thoracic"].eq(12) | ~extra["level"].eq("T12")) & spine["n_lumbar"].ge(4)
    free = ~pd.MultiIndex.from_frame(extra[["patient_id", "level"]].astype(str)).isin(used)
    extra = extra.loc[free & has_it.to_numpy(dtype=bool)].copy()
    extra["date_precision"] = "before_index"
    extra["augmentation_id"] = [f"X{k:05d}" for k in range(1, len(extra) + 1)]
    joined = pd.concat([rows.astype("object"), extra.astype("object")], ignore_index=True)
    joined = joined.sort_values(["patient_id", "date", "augmentation_id"], ignore_index=True, na_position="first")
    tables["augmentations"] = _typed("augmentations", joined)


def _coarsen_dates(tables: Tables, rng: np.random.Generator) -> None:
    """Old fractures are often known to the month or year; so are a few procedures, where the 15th upsets no order."""
    fractures, done = tables["fractures"], tables["augmentations"]
    first = fractures["patient_id"].map(done.groupby("patient_id")["date"].min())
    long_before = fractures["date"] < first - 150 * _DAY
    roll = rng.random(len(fractures))
    fractures.loc[long_before & (roll < 0.4), "date_precision"] = "month"
    fractures.loc[long_before & (roll >= 0.4) & (roll < 0.6), "date_precision"] = "year"

    single = ~done["patient_id"].duplicated(keep=False) & done["date"].notna()
    middle = done["date"].dt.to_period("M").dt.start_time + 14 * _DAY
    dates = fractures.merge(done.loc[single, ["patient_id", "date"]], on="patient_id", suffixes=("", "_u"))
    dates["moved"] = dates["date_u"].dt.to_period("M").dt.start_time + 14 * _DAY
    upset = dates["date"].between(dates[["date_u", "moved"]].min(axis=1), dates[["date_u", "moved"]].max(axis=1))
    calm = ~done["patient_id"].isin(dates.loc[upset, "patient_id"])
    patient = _with_patient(done, tables["patients"], ["follow_up_end", "enrolled_on"])
    calm &= (patient["follow_up_end"] > middle + 30 * _DAY) & ~(patient["enrolled_on"] > done["date"])
    done.loc[single & calm & (rng.random(len(done)) < 0.06), "date_precision"] = "month"


def _one_line_sessions(tables: Tables, rng: np.random.Generator) -> None:
    """One site keeps no details by vertebra; sessions found on one day were often listed as one fracture line."""
    done, fractures = tables["augmentations"], tables["fractures"]
    site = _with_patient(done, tables["patients"], ["site"])["site"]
    sparse = site.eq(_SPARSE_SITE) & done["date_precision"].ne("before_index")
    for name in _SPARSE_COLUMNS:
        done.loc[sparse, name] = None if done[name].dtype != np.float64 else np.nan
    first = sparse & ~done.duplicated(["patient_id", "date"])
    for name in ("pain_before", "pain_after", "cement", "operator"):
        leading = done[name].where(first).groupby([done["patient_id"], done["date"]], observed=True).transform("first")
        done.loc[sparse, name] = leading[sparse]

    before = fractures["date"] < fractures["patient_id"].map(done.groupby("patient_id")["date"].min())
    found = before & fractures["last_clear_date"].isna() & fractures["date_precision"].eq("day")
    recent = found & (
        fractures["date"] > fractures["patient_id"].map(done.groupby("patient_id")["date"].min()) - 100 * _DAY
    )
    listed = recent & fractures["patient_id"].isin(
        tables["patients"].loc[rng.random(len(tables["patients"])) < 0.4, "patient_id"]
    )
    for name in ("date", "symptomatic", "trauma", "modality"):
        leading = fractures.loc[listed].groupby("patient_id")[name].transform("last")
        fractures.loc[listed, name] = leading


def _films_and_pain(clean: Tables, rng: np.random.Generator) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Films of treated levels and pain scores near 4 weeks, 4 and 12 months, and at same-level refractures.

    A vertebra keeps its height but for a little settling; one in fifteen settles by 10-14 %; at a refracture it has
    lost 15 % or more, a cleft has opened, or there is new edema, and pain is back.
    """
    patients, done, broken = clean["patients"], clean["augmentations"], clean["fractures"]
    on_first = done["date"] == _first_session(done)
    filmed = patients.loc[rng.random(len(patients)) < 0.45, "patient_id"]
    first = done.loc[on_first & done["patient_id"].isin(filmed) & done["indication"].eq("fracture")]
    settles = rng.random(len(first)) < 0.065
    stop = _with_patient(first, patients, ["follow_up_end"])["follow_up_end"]
    again = broken[broken["kind"].isin(["progression", "occult"])]
    listed = first.merge(
        again[["patient_id", "level", "date"]], on=["patient_id", "level"], how="left", suffixes=("", "_r")
    )
    refracture = listed.groupby("augmentation_id", sort=False)["date_r"].min().to_numpy()

    films, visits = [], []
    for nth, (low, high) in enumerate(((14, 41), (90, 180), (330, 430))):
        day = first["date"].to_numpy() + rng.integers(low, high, len(first)).astype("timedelta64[D]")
        # Levels of one session are filmed together.
        day = pd.Series(day).groupby(first["patient_id"].to_numpy()).transform("first").to_numpy()
        intact = ~(day >= refracture - np.timedelta64(30, "D")) | np.isnat(refracture)
        taken = (day <= stop.to_numpy()) & intact & (rng.random(len(first)) < (0.9, 0.8, 0.6)[nth])
        loss = np.where(settles & (nth > 0), rng.uniform(0.105, 0.145, len(first)), rng.uniform(0, 0.055, len(first)))
        films.append(_film(first, day, loss, taken, rng, edema=0.10 if nth == 0 else 0.0, cleft=0.0))
        pain = np.clip(first["pain_after"] + rng.integers(0, 2, len(first)), 0, 10)
        visits.append(_visit(first, day, pain, taken, settles | (rng.random(len(first)) < 0.8), rng))

    # At a same-level refracture: a film within days of the sighting, and a patient in pain.
    seen = again[again["patient_id"].isin(done["patient_id"])].merge(
        done, on=["patient_id", "level"], suffixes=("_found", "")
    )
    seen = seen[seen["date"] < seen["date_found"]].drop_duplicates("fracture_id", keep="last")
    occult = seen["kind"].eq("occult").to_numpy()
    loss = np.where(occult, rng.uniform(0, 0.06, len(seen)), rng.uniform(0.16, 0.42, len(seen)))
    taken = rng.random(len(seen)) < 0.75
    day = seen["date_found"].to_numpy()
    pain = np.clip(seen["pain_after"] + rng.integers(3, 7, len(seen)), 0, 10)
    films.append(_film(seen, day, loss, taken, rng, edema=0.9, cleft=0.3))
    visits.append(_visit(seen, day, pain, taken, rng.random(len(seen)) < 0.85, rng))

    imaging = pd.concat(films, ignore_index=True).sort_values(["patient_id", "date", "level"], ignore_index=True)
    pain = pd.concat(visits, ignore_index=True).sort_values(["patient_id", "date"], ignore_index=True)
    pain = pain.drop_duplicates(["patient_id", "date"], ignore_index=True)
    end = _with_patient(pain, patients, ["follow_up_end"])["follow_up_end"]
    pain = pain[(pain["date"] <= end).to_numpy()]
    return _typed("imaging", imaging), _typed("assessments", pain)


def _film(
    treated: pd.DataFrame,
    day: np.ndarray,
    loss: FloatArray,
    taken: BoolArray,
    rng: np.random.Generator,
    *,
    edema: float,
    cleft: float,
) -> pd.DataFrame:
    n = len(treated)
    kept = 1 - loss
    film = pd.DataFrame(
        {
            "patient_id": treated["patient_id"].to_numpy(),
            "date": day,
            "level": treated["level"].astype("object").to_numpy(),
            "modality": rng.choice(["radiograph", "ct", "mri"], n, p=[0.6, 0.1, 0.3]),
            "posture": rng.choice(["standing", "supine"], n, p=[0.75, 0.25]),
            "anterior_mm": np.round(treated["anterior_mm_after"].to_numpy() * kept, 1),
            "middle_mm": np.round(treated["middle_mm_after"].to_numpy() * (1 - 0.8 * loss), 1),
            "posterior_mm": np.round(treated["posterior_mm_after"].to_numpy() * (1 - 0.2 * loss), 1),
            "kyphosis_deg": np.round(treated["kyphosis_deg_after"].to_numpy() + 30 * loss),
            "edema": np.where(rng.random(n) < edema, "yes", "no"),
            "cleft": np.where(rng.random(n) < cleft, "yes", "no"),
        }
    )
    # Edema shows on MRI only; a radiograph cannot tell.
    film["edema"] = film["edema"].where(film["modality"].eq("mri"), "not_assessable")
    return film[taken]


def _visit(
    treated: pd.DataFrame,
    day: np.ndarray,
    pain: pd.Series,
    taken: BoolArray,
    asked: BoolArray,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Pain on the days after a film, where somebody asked."""
    n = len(treated)
    visit = pd.DataFrame({"patient_id": treated["patient_id"].to_numpy(), "date": day})
    visit["date"] = visit["date"] + pd.to_timedelta(rng.integers(0, 4, n), unit="D")
    visit["pain"] = np.asarray(pain, dtype=np.float64)
    visit["odi"] = np.clip(np.round(8 + 7 * visit["pain"] + rng.normal(0, 6, n)), 0, 100)
    return visit[taken & asked]


def _studies(tables: Tables, rng: np.random.Generator) -> pd.DataFrame:
    """Every film as a study of the thoracolumbar spine, and scheduled ones that found nothing."""
    films = tables["imaging"].drop_duplicates(["patient_id", "date"])
    patients = tables["patients"][["patient_id", "follow_up_end"]]
    first = tables["augmentations"].groupby("patient_id")["date"].min()
    clear = patients[rng.random(len(patients)) < 0.3].copy()
    clear["date"] = clear["patient_id"].map(first) + pd.to_timedelta(rng.integers(60, 800, len(clear)), unit="D")
    clear = clear[clear["date"] <= clear["follow_up_end"]]
    n_films = len(films)
    patient = np.concatenate([films["patient_id"], clear["patient_id"]])
    n = len(patient)
    whole = rng.random(n) < 0.4
    studies = pd.DataFrame(
        {
            "patient_id": patient,
            "date": np.concatenate([films["date"], clear["date"]]),
            "modality": np.concatenate([films["modality"].astype("object"), np.full(len(clear), "radiograph", object)]),
            "first_level": np.where(whole, "T1", "T10"),
            "last_level": np.where(whole, "S1", "L4"),
            "protocol": np.where(
                np.arange(n) < n_films, rng.choice(["scheduled", "symptom"], n, p=[0.8, 0.2]), "scheduled"
            ),
        }
    )
    studies.loc[rng.random(n) < 0.05, "protocol"] = "unknown"
    studies = studies.drop_duplicates(["patient_id", "date"]).sort_values(["patient_id", "date"], ignore_index=True)
    return _typed("imaging_studies", studies)


def _excluded_levels(tables: Tables, rng: np.random.Generator) -> pd.DataFrame:
    """Fused low lumbar levels, always or from an operation on, where nothing is ever treated or broken."""
    patients = tables["patients"]
    fused = patients[(rng.random(len(patients)) < 0.02) & patients["n_lumbar"].eq(5)]
    busy = pd.concat([tables["fractures"], tables["augmentations"]])
    busy_patients = busy.loc[busy["level"].isin(["L3", "L4", "L5"]), "patient_id"]
    fused = fused[~fused["patient_id"].isin(busy_patients)]
    rows = fused.loc[fused.index.repeat(2), ["patient_id", "follow_up_end"]].reset_index(drop=True)
    rows["level"] = np.tile(["L4", "L5"], len(fused))
    rows["reason"] = np.repeat(rng.choice(["fused", "instrumented", "ankylosed"], len(fused)), 2)
    dated = np.repeat(rng.random(len(fused)) < 0.5, 2)
    first = rows["patient_id"].map(tables["augmentations"].groupby("patient_id")["date"].min())
    rows["from"] = (first + pd.to_timedelta(np.repeat(rng.integers(-400, 300, len(fused)), 2), unit="D")).where(dated)
    return _typed("excluded_levels", rows.drop(columns="follow_up_end"))


def _lose_values(tables: Tables, rng: np.random.Generator) -> None:
    """Values go missing, more often in the old, in men and at two sites: never completely at random."""
    patients, done = tables["patients"], tables["augmentations"]
    n = len(patients)
    age = patients["age_at_index"].to_numpy()
    unscanned = 1 / (1 + np.exp(1.9 - 0.06 * (age - 76) - 0.7 * patients["sex"].eq("male").to_numpy()))
    patients.loc[rng.random(n) < unscanned, "t_score"] = np.nan
    patients.loc[rng.random(n) < np.where(patients["site"].eq("St. Anna"), 0.12, 0.03), "corticosteroids"] = None
    patients.loc[rng.random(n) < 0.05, "prior_fractures"] = np.nan
    usual = patients["n_thoracic"].eq(12) & patients["n_lumbar"].eq(5)
    patients.loc[usual & (rng.random(n) < 0.9), ["n_thoracic", "n_lumbar"]] = np.nan
    first = patients["patient_id"].map(done.groupby("patient_id")["date"].min())
    undated = done.loc[done["date_precision"].eq("before_index"), "patient_id"]
    on_time = ~(patients["enrolled_on"] > first) & ~patients["patient_id"].isin(undated)
    # The first patient of a site keeps it, so that nobody seems to have come before the registry began.
    on_time &= first.groupby(patients["site"]).rank(method="first") > 1
    patients.loc[on_time, "enrolled_on"] = pd.NaT
    born = first - pd.to_timedelta(np.round(age * 365.25), unit="D")
    by_birth = rng.random(n) < 0.5
    patients["birth_date"] = born.where(by_birth)
    patients.loc[by_birth, "age_at_index"] = np.nan
    patients.loc[rng.random(n) < 0.3, "vital_status_end"] = pd.NaT

    m = len(done)
    elsewhere = done["date_precision"].eq("before_index")
    site = _with_patient(done, patients, ["site"])["site"]
    unread = rng.random(m)
    hard = np.where(done["cleft_modality"].eq("radiograph"), 0.30, 0.04)
    done.loc[done["cleft_before"].notna() & (unread < hard), "cleft_before"] = "not_assessable"
    done.loc[unread > np.where(site.eq("St. Anna"), 0.80, 0.95), ["cleft_before", "cleft_filled"]] = None
    done.loc[rng.random(m) < 0.10, "cleft_filled"] = None
    one_side = done["leak"].isin(["disc_superior", "disc_inferior"]) & (rng.random(m) < 0.12)
    done.loc[one_side, "leak"] = "disc"
    done.loc[rng.random(m) < 0.05, "leak"] = None
    unmeasured = rng.random(m) < np.where(site.eq("Bern"), 0.20, 0.08)
    for name in CANONICAL["augmentations"].names:
        if name.endswith(("_mm_before", "_mm_after", "_mm_reference")):
            done.loc[unmeasured | done[name].lt(_LEAST_HEIGHT_MM), name] = np.nan
    done.loc[done["indication"].eq("fracture") & (rng.random(m) < 0.04), "indication"] = None
    done.loc[elsewhere, "indication"] = None
    for name, share in (("volume_ml", 0.08), ("pain_before", 0.06), ("pain_after", 0.09), ("kyphosis_deg_after", 0.10)):
        done.loc[rng.random(m) < share, name] = np.nan
    for name in ("fracture_endplate", "cement_endplate", "fracture_filled", "cement_pattern", "operator"):
        done.loc[rng.random(m) < 0.10, name] = None

    films = tables["imaging"]
    for name in ("anterior_mm", "middle_mm", "posterior_mm"):
        films.loc[(rng.random(len(films)) < 0.03) | films[name].lt(_LEAST_HEIGHT_MM), name] = np.nan
    films.loc[rng.random(len(films)) < 0.10, "posture"] = None
    films.loc[rng.random(len(films)) < 0.08, "cleft"] = None
    drugs = tables["medications"]
    drugs.loc[rng.random(len(drugs)) < 0.7, "drug_class"] = None


def _some(flags: BoolArray, word: str) -> np.ndarray:
    """The word where the flag holds, missing elsewhere."""
    words = np.full(len(flags), None, dtype=object)
    words[flags] = word
    return words


def _typed(name: str, frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with every canonical column in its dtype."""
    return canonical(name, {str(column): frame[column] for column in frame}, len(frame))
