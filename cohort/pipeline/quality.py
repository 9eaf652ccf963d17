"""What the data say of themselves: gaps by site, dates and digits that heap, levels by site, who was imaged by when."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd
from scipy import stats

from cohort import estimate
from cohort.domain.errors import EstimationError
from cohort.domain.spine import LEVELS
from cohort.pipeline.describe import WATCHED
from cohort.pipeline.stages import Cohort
from cohort.tables.results import Registry
from cohort.tables.schema import CANONICAL
from cohort.tables.study_results import Quality

NO_SITE: Final = "no site recorded"
MOST_SITES: Final = 8
LEAST_DATES: Final = 50
LEAST_LEVELS: Final = 30
HEAPED_P: Final = 0.001
HEAPED_RATIO: Final = 1.5
SHIFT_GAIN: Final = 5.0  # of log-likelihood: a shift this much likelier than none is worth a look
IMAGED_DAYS: Final = (30, 90, 180, 365, 730)
USUAL: Final = tuple(level for level in LEVELS if level not in ("T13", "L6"))
JUNCTION: Final = ("T11", "T12", "L1", "L2")
EXPECTED: Final = {"1st of the month": 12 / 365.25, "15th of the month": 12 / 365.25, "1 January": 1 / 365.25,
                   "1 July": 1 / 365.25, "Saturday or Sunday": 2 / 7}  # fmt: skip


def quality(cohort: Cohort) -> Quality:
    """Everything the data-quality section shows beyond the account of rows."""
    curve, at_days, risk = imaged(cohort)
    return Quality(
        missing_by_site=missing_by_site(cohort.registry),
        heaping=heaping(cohort.registry),
        digits=digits(cohort.registry),
        levels=levels(cohort.registry),
        shifts=shifts(cohort.registry),
        imaged_curve=curve,
        imaged=at_days,
        imaged_at_risk=risk,
        incomplete=incomplete(cohort.registry),
    )


def site_of(registry: Registry, table: str) -> pd.Series:
    """The site of each row's patient; rows of patients without one are a group of their own."""
    patients = registry["patients"].set_index("patient_id")["site"].astype(object)
    ids = registry[table]["patient_id"]
    return ids.map(patients.where(patients.notna(), NO_SITE)).fillna(NO_SITE)


def missing_by_site(registry: Registry) -> pd.DataFrame:
    """Columns table, column, site, n_patients, n_rows, n_missing, n_not_assessable.

    The largest sites by name, the rest together as `other sites`. Empty when there is but one site.
    """
    sizes = site_of(registry, "patients").value_counts()
    if len(sizes) < 2:
        return pd.DataFrame(
            columns=["table", "column", "site", "n_patients", "n_rows", "n_missing", "n_not_assessable"]
        )
    large = list(sizes.index[:MOST_SITES])
    rows = []
    for table, columns in WATCHED.items():
        frame = registry[table]
        site = site_of(registry, table)
        site = site.where(site.isin(large), "other sites")
        for name in columns:
            values = frame[name]
            finding = CANONICAL[table][name].kind == "finding"
            part = pd.DataFrame(
                {
                    "site": site,
                    "patient_id": frame["patient_id"],
                    "missing": values.isna(),
                    "unclear": values.astype(object) == "not_assessable",
                }
            )
            grouped = part.groupby("site", sort=False).agg(
                n_patients=("patient_id", "nunique"),
                n_rows=("missing", "size"),
                n_missing=("missing", "sum"),
                n_not_assessable=("unclear", "sum"),
            )
            for where, r in grouped.iterrows():
                unclear = float(r["n_not_assessable"]) if finding else np.nan
                rows.append((table, name, where, r["n_patients"], r["n_rows"], r["n_missing"], unclear))
    return pd.DataFrame(
        rows, columns=["table", "column", "site", "n_patients", "n_rows", "n_missing", "n_not_assessable"]
    )


def heaping(registry: Registry) -> pd.DataFrame:
    """Dates on days that are too convenient: table, column, day, n, n_dates, estimate, expected, p_value, flagged.

    p_value : exact binomial, of at least so many on that day if every day of the year were as likely. Dates known to
    the month or year, whose day is ours, are left out; so are columns of fewer than 50 dates. Weekends are judged for
    procedures only.
    """
    made_up = registry.warnings[registry.warnings["check"] == "date_imprecise"]
    rows: list[tuple[object, ...]] = []
    for table in CANONICAL.values():
        frame = registry[table.name]
        for column in table:
            if column.kind != "date" or not len(frame):
                continue
            own = made_up[(made_up["table"] == table.name) & (made_up["column"] == column.name)]["row"]
            exact = ~frame["source_row"].isin(own) if "source_row" in frame else pd.Series(True, index=frame.index)
            if column.name == "date" and "date_precision" in frame:
                exact &= ~frame["date_precision"].isin(["month", "year"])
            dates = frame.loc[exact, column.name].dropna()
            if len(dates) < LEAST_DATES:
                continue
            day, month = dates.dt.day, dates.dt.month
            found = {
                "1st of the month": day == 1,
                "15th of the month": day == 15,
                "1 January": (day == 1) & (month == 1),
                "1 July": (day == 1) & (month == 7),
            }
            if table.name == "augmentations":
                found["Saturday or Sunday"] = dates.dt.dayofweek >= 5
            for name, mask in found.items():
                n, expected = int(mask.sum()), EXPECTED[name]
                p = float(stats.binomtest(n, len(dates), expected, alternative="greater").pvalue)
                share = n / len(dates)
                flagged = p < HEAPED_P and share > HEAPED_RATIO * expected
                rows.append((table.name, column.name, name, n, len(dates), share, expected, p, flagged))
    columns = ["table", "column", "day", "n", "n_dates", "estimate", "expected", "p_value", "flagged"]
    return pd.DataFrame(rows, columns=columns)


def digits(registry: Registry) -> pd.DataFrame:
    """Measurements whose last digit is 0 or 5: table, column, digit, n, n_values, estimate, expected, p_value, flagged.

    The digit is the first decimal where any value has one, else the last of whole numbers. Expected is one in five.
    """
    rows: list[tuple[object, ...]] = []
    for table in CANONICAL.values():
        for column in table:
            if column.kind != "number" or column.unit not in ("mm", "ml", "degrees", "SD"):
                continue
            values = registry[table.name][column.name].dropna().to_numpy(dtype=np.float64)
            if len(values) < LEAST_DATES:
                continue
            decimal = bool((np.abs(values - np.round(values)) > 1e-9).any())
            last = np.round(np.abs(values) * (10 if decimal else 1)).astype(np.int64) % 10
            n = int(np.isin(last, (0, 5)).sum())
            p = float(stats.binomtest(n, len(values), 0.2, alternative="greater").pvalue)
            flagged = p < HEAPED_P and n / len(values) > HEAPED_RATIO * 0.2
            name = "first decimal" if decimal else "last digit"
            rows.append((table.name, column.name, name, n, len(values), n / len(values), 0.2, p, flagged))
    columns = ["table", "column", "digit", "n", "n_values", "estimate", "expected", "p_value", "flagged"]
    return pd.DataFrame(rows, columns=columns)


def levels(registry: Registry) -> pd.DataFrame:
    """How often each vertebra was treated and found fractured: level, what (treated, fractured), n, n_total."""
    rows = []
    for what, table in (("treated", "augmentations"), ("fractured", "fractures")):
        counts = registry[table]["level"].astype(object).value_counts()
        total = int(counts.sum())
        rows += [(level, what, int(counts.get(level, 0)), total) for level in LEVELS]
    frame = pd.DataFrame(rows, columns=["level", "what", "n", "n_total"])
    some = frame.groupby("level")["n"].transform("sum") > 0
    return frame[some].reset_index(drop=True)


def shifts(registry: Registry) -> pd.DataFrame:
    """Sites whose treated levels look like those of all others moved by one: misnumbering shows so.

    Columns site, n, estimate (share at T11-L2), others (the same share elsewhere), shift (-1 cranial, 0, +1 caudal: the
    likeliest), gain (log-likelihood over no shift), flagged. Sites of fewer than 30 treated vertebrae are left out; a
    T13 or L6 has no place in the usual row of vertebrae and is not compared.
    Source: multinomial likelihood of a site's levels under the distribution of the other sites, half a vertebra added
    to each level.
    """
    frame = registry["augmentations"]
    site = site_of(registry, "augmentations")
    codes = pd.Categorical(frame["level"].astype(object), categories=list(USUAL)).codes
    rows: list[tuple[object, ...]] = []
    for name, n in site.value_counts().items():
        here, there = codes[(site == name).to_numpy()], codes[(site != name).to_numpy()]
        if n < LEAST_LEVELS or len(there) < LEAST_LEVELS:
            continue
        own = np.bincount(here[here >= 0], minlength=len(USUAL))
        rest = np.bincount(there[there >= 0], minlength=len(USUAL)) + 0.5
        likelihood = {by: float(own @ np.log(np.roll(rest, by) / rest.sum())) for by in (-1, 0, 1)}
        by = max(likelihood, key=lambda shift: (likelihood[shift], -abs(shift)))
        gain = likelihood[by] - likelihood[0]
        inside = [USUAL.index(level) for level in JUNCTION]
        share, others = float(np.isin(here, inside).mean()), float(np.isin(there, inside).mean())
        rows.append((name, int(n), share, others, by, gain, gain > SHIFT_GAIN))
    return pd.DataFrame(rows, columns=["site", "n", "estimate", "others", "shift", "gain", "flagged"])


def imaged(cohort: Cohort) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Who was imaged by when after the first procedure, death competing, censored at exit.

    Patients of the main population with a dated first procedure. Three frames: the curve (curve, outcome, time, n_risk,
    estimate, conf_low, conf_high, n_events_total); at 30, 90, 180, 365 and 730 days (site "" for all, then each
    site of at least 30 such patients: time, n_patients, n_events, estimate, conf_low, conf_high); and the numbers at
    risk. All empty when the registry has no imaging.
    """
    tables, follow_up = cohort.tables, cohort.follow_up
    looked = pd.concat([tables[name][["patient_id", "date"]] for name in ("imaging", "imaging_studies")])
    none = pd.DataFrame()
    if looked.empty:
        return none, none, none
    chosen = follow_up["in_main"] & follow_up["origin"].notna()
    rows = follow_up[chosen].set_index("patient_id")
    after = looked[looked["date"] > looked["patient_id"].map(rows["origin"])]
    first = after.groupby("patient_id")["date"].min()
    seen = (first.reindex(rows.index) - rows["origin"]).dt.days
    entry = (rows["entry"] - rows["origin"]).dt.days
    end = (rows["exit"] - rows["origin"]).dt.days
    death = tables["patients"].set_index("patient_id")["death_date"].reindex(rows.index)
    died = death.notna() & (death <= rows["exit"])
    was_imaged = seen.notna() & (seen <= end)
    frame = pd.DataFrame(
        {
            "id": np.arange(len(rows)),
            "entry": entry,
            "exit": np.where(was_imaged, seen, end),
            "cause": np.select([was_imaged, died], [1, 2], default=0),
            "site": site_of(cohort.registry, "patients").set_axis(tables["patients"]["patient_id"]).reindex(rows.index),
        }
    )
    # Imaged before observation began: nothing can be said of when.
    frame = frame[frame["exit"] > frame["entry"]]
    if frame.empty:
        return none, none, none
    confidence = cohort.study.models.confidence
    curve = _incidence(frame, None, confidence)
    curve = curve[curve["time"] <= IMAGED_DAYS[-1]]
    curve = curve.assign(curve="imaged", n_events_total=curve["n_events"].max() if len(curve) else 0)
    parts = [_incidence(frame, IMAGED_DAYS, confidence).assign(site="")]
    sizes = frame["site"].value_counts()
    several = sizes[sizes >= LEAST_LEVELS].index[:MOST_SITES].tolist() if len(sizes) > 1 else []
    parts += [_incidence(frame[frame["site"] == one], IMAGED_DAYS, confidence).assign(site=one) for one in several]
    ticks = range(0, 731, 91)
    risk = [("imaged", day, int(((frame["entry"] <= day) & (frame["exit"] > day)).sum())) for day in ticks]
    return (
        curve.reset_index(drop=True),
        pd.concat(parts, ignore_index=True),
        pd.DataFrame(risk, columns=["curve", "time", "n_risk"]),
    )


def _incidence(frame: pd.DataFrame, at: tuple[int, ...] | None, confidence: float) -> pd.DataFrame:
    try:
        found = estimate.aalen_johansen(
            frame,
            exit="exit",
            cause="cause",
            entry="entry",
            id="id",
            at=None if at is None else np.array(at),
            causes_named=("imaged", "death"),
            confidence=confidence,
        ).frame
    except EstimationError:
        return pd.DataFrame(
            columns=["outcome", "time", "n_patients", "n_events", "n_risk", "estimate", "conf_low", "conf_high"]
        )
    return found[found["outcome"] == "imaged"]


def incomplete(registry: Registry) -> pd.DataFrame:
    """Incomplete patients, and the rejected rows that made them so: table, column, n_rows.

    The first row (table "patients") counts the patients; the others the rejected rows, exact duplicates aside.
    """
    n = int((registry["patients"]["incomplete"] == "yes").sum())
    lost = registry.rejected[registry.rejected["table"].isin(["augmentations", "fractures"])]
    lost = lost[~lost["reason"].astype(str).str.startswith("The row is an exact duplicate")]
    rows: list[tuple[str, str, int]] = [("patients", "", n)]
    counts = lost.groupby(["table", "column"], sort=False).size().reset_index(name="n_rows")
    rows += [(str(r.table), str(r.column), int(str(r.n_rows))) for r in counts.itertuples()]
    return pd.DataFrame(rows, columns=["table", "column", "n_rows"])
