"""What is known of a registry before anything is estimated: its flow, its gaps, its patients, its sightings."""

from __future__ import annotations

import numpy as np
import pandas as pd

from cohort import atrisk, estimate
from cohort.domain import outcomes
from cohort.pipeline.stages import Cohort
from cohort.tables.results import Attrition, Registry
from cohort.tables.schema import CANONICAL

WATCHED = {
    "patients": ("sex", "birth_date", "age_at_index", "t_score", "corticosteroids", "prior_fractures"),
    "augmentations": (
        "technique", "cement", "volume_ml", "indication", "cleft_before", "cleft_filled", "leak", "fracture_endplate",
        "cement_endplate", "fracture_filled", "anterior_mm_before", "anterior_mm_after", "anterior_mm_reference",
    ),
    "fractures": ("symptomatic", "trauma", "modality", "last_clear_date", "kind"),
    "imaging": ("anterior_mm", "kyphosis_deg", "edema", "cleft"),
    "assessments": ("pain",),
    "medications": ("drug_class",),
}  # fmt: skip

NUMERIC = (
    ("age", "Age at the first augmentation, years"),
    ("t_score", "Lowest T-score, SD"),
    ("prior_fractures", "Vertebral fractures before"),
    ("n_levels", "Vertebrae treated in the first procedure"),
)
CATEGORICAL = (
    ("sex", "Sex"),
    ("corticosteroids", "Chronic corticosteroids"),
    ("anti_osteoporotic", "Anti-osteoporotic drug at entry"),
)
TREATED_CATEGORICAL = (
    ("level", "Level"),
    ("technique", "Technique"),
    ("cement", "Cement"),
    ("indication", "Indication"),
    ("cleft_before", "Intravertebral cleft before treatment"),
    ("cleft_filled", "Filling of the cleft"),
    ("leak_disc", "Leak into a disc"),
    ("fracture_filled", "Filling of the fracture"),
)
TREATED_NUMERIC = (
    ("volume_ml", "Cement, ml"),
    ("height_restoration", "Anterior height restoration, fraction of the loss"),
)


def flow_of_patients(cohort: Cohort) -> pd.DataFrame:
    """How many patients, treated vertebrae and sightings remain after each criterion, in the order applied."""
    follow_up = cohort.follow_up
    reason = follow_up["left_out_because"]
    attrition = Attrition()

    def step(label: str, keep: pd.Series, why: str = "") -> None:
        ids = set(follow_up.loc[keep, "patient_id"])
        attrition.record(
            label,
            patients=len(ids),
            vertebrae=int(cohort.augmentations["patient_id"].isin(ids).sum()),
            sightings=int(cohort.sightings["patient_id"].isin(ids).sum()),
            reason=why,
        )

    keep = pd.Series(True, index=follow_up.index)
    step("Patients accepted", keep)
    for label, left_out, why in (
        ("All augmentation and fracture rows usable", "incomplete", "an augmentation or fracture row was rejected"),
        ("Follow-up known", "no follow-up", "no augmentation of C1-L6, or no date to start from"),
        ("Time at risk", "exit on or before entry", "observation ended on or before it began"),
        ("Main population", "tumour", "the first procedure treated a tumour (a stratum of its own)"),
        *((_eligible(why), why, "not so, or not known at entry") for why in atrisk.criteria_reasons(cohort.study)),
    ):
        keep &= reason != left_out
        step(label, keep, why)
    keep &= follow_up["origin"].notna()
    step(
        "Known first treatment (incidence curves, hazards)",
        keep,
        "a vertebra treated before the registry, without a date",
    )
    return attrition.frame()


def _eligible(why: str) -> str:
    words = why.removeprefix("not eligible: ")
    return f"Eligible: {words}"


def flow_of_sightings(cohort: Cohort) -> pd.DataFrame:
    """Sightings counted, or not and why, by relation."""
    sightings = cohort.sightings
    reason = sightings["not_counted_because"].astype("object").where(sightings["counted"] != "yes", "counted")
    grouped = sightings.assign(reason=reason).groupby(["reason", "relation"], observed=True)
    frame = grouped.agg(n_sightings=("fracture_id", "size"), n_patients=("patient_id", "nunique")).reset_index()
    order = {name: place for place, name in enumerate(("counted", *outcomes.NOT_COUNTED))}
    return frame.sort_values(
        ["reason", "relation"], key=lambda c: c.map(order) if c.name == "reason" else c
    ).reset_index(drop=True)


def problems(registry: Registry) -> pd.DataFrame:
    """Rejections, blanked values and warnings by check, without any row's content."""
    reason = registry.rejected["reason"].astype("object").str.replace(r"\brow \d+", "another row", regex=True)
    rejected = registry.rejected.assign(outcome="reject", check=reason, sentence=reason)
    noted = pd.concat(
        [rejected[["check", "outcome", "table", "column", "sentence"]],
         registry.warnings[["check", "outcome", "table", "column", "sentence"]]],
        ignore_index=True,
    ).fillna("")  # fmt: skip
    noted["sentence"] = noted["sentence"].astype("object").str.replace(r"\brow \d+", "another row", regex=True)
    frame = (
        noted.groupby(["outcome", "table", "column", "check"], sort=False)
        .agg(n_rows=("sentence", "size"), sentence=("sentence", "first"))
        .reset_index()
    )
    rank = {"reject": 0, "blank": 1, "warn": 2}
    return frame.sort_values(
        ["outcome", "n_rows"], key=lambda c: c.map(rank) if c.name == "outcome" else -c, kind="stable"
    )[["check", "outcome", "table", "column", "n_rows", "sentence"]].reset_index(drop=True)


def missingness(registry: Registry) -> pd.DataFrame:
    """Missing and not-assessable values of the columns that estimates rest on; the two are never added together."""
    rows = []
    for table, columns in WATCHED.items():
        frame = registry[table]
        for name in columns:
            values = frame[name]
            finding = CANONICAL[table][name].kind == "finding"
            rows.append(
                {
                    "table": table,
                    "column": name,
                    "n_rows": len(frame),
                    "n_missing": int(values.isna().sum()),
                    "n_not_assessable": int((values == "not_assessable").sum()) if finding else np.nan,
                }
            )
    return pd.DataFrame(rows)


def treated_vertebrae(cohort: Cohort) -> pd.DataFrame:
    """One row per treated vertebra of the main population, with the derived columns of Table 1."""
    main = cohort.follow_up.loc[cohort.follow_up["in_main"], "patient_id"]
    rows = cohort.augmentations[cohort.augmentations["patient_id"].isin(main)].copy()
    leak = rows["leak"].astype("object")
    disc = leak.str.contains("disc", regex=False, na=False)
    rows["leak_disc"] = pd.Series(np.where(disc, "yes", "no"), index=rows.index, dtype="object").where(leak.notna())
    rows["height_restoration"] = atrisk.height_restoration(rows)
    return rows


def table_one(cohort: Cohort) -> pd.DataFrame:
    """Who was treated: patients of the main population at entry, then their treated vertebrae."""
    baseline = atrisk.baseline(cohort.tables, cohort.augmentations, cohort.study)
    patients = baseline[cohort.follow_up["in_main"].to_numpy()].copy()
    if "sex" not in patients:
        sex = cohort.tables["patients"].set_index("patient_id")["sex"]
        patients["sex"] = patients["patient_id"].map(sex)
    for name in ("corticosteroids", "anti_osteoporotic"):
        patients[name] = patients[name].map({1.0: "yes", 0.0: "no"})
    labels = dict(NUMERIC + CATEGORICAL + TREATED_NUMERIC + TREATED_CATEGORICAL)
    parts = [
        estimate.table_one(
            patients, numeric=[n for n, _ in NUMERIC], categorical=[n for n, _ in CATEGORICAL], unit="patient"
        ),
        estimate.table_one(
            treated_vertebrae(cohort),
            numeric=[n for n, _ in TREATED_NUMERIC],
            categorical=[n for n, _ in TREATED_CATEGORICAL],
            unit="treated vertebra",
        ),
    ]
    frame = pd.concat(parts, ignore_index=True)
    frame = frame[(frame["variable"] != "level") | (frame["n"] > 0)].reset_index(drop=True)
    return frame.assign(label=frame["variable"].map(labels).fillna(frame["variable"]))


def counted_same_level(cohort: Cohort) -> pd.DataFrame:
    """Counted refractures of vertebrae treated for fracture, in the main population."""
    main = cohort.follow_up.loc[cohort.follow_up["in_main"], "patient_id"]
    s = cohort.sightings
    return s[
        (s["counted"] == "yes")
        & (s["relation"] == "same")
        & (s["treated_for"] == "fracture")
        & s["patient_id"].isin(main)
    ]


def mechanisms(cohort: Cohort) -> pd.DataFrame:
    """Why the first procedure failed: each mechanism among the counted same-level refractures; one may have several."""
    events = counted_same_level(cohort)
    exploded = events.assign(mechanism=events["mechanisms"].astype("object").str.split(";")).explode("mechanism")
    rows = [
        {
            "mechanism": name,
            "label": name.replace("_", " "),
            "n_events": int((exploded["mechanism"] == name).sum()),
            "n_patients": exploded.loc[exploded["mechanism"] == name, "patient_id"].nunique(),
            "n_total": len(events),
        }
        for name in outcomes.MECHANISMS
    ]
    return pd.DataFrame(rows)


def shares_of_same_level(cohort: Cohort) -> pd.DataFrame:
    """Shares among the counted same-level refractures: a cleft before treatment, T11-L2, a new injury; where recorded.

    Columns share, n_events, n, estimate, conf_low, conf_high (Wilson). A share of those with the event is no risk.
    """
    events = counted_same_level(cohort)
    cleft = cohort.augmentations.set_index("augmentation_id")["cleft_before"].astype("object")
    junction = events["level"].isin(["T11", "T12", "T13", "L1", "L2"]).map({True: "yes", False: "no"})
    found = {"cleft": events["augmentation_id"].map(cleft), "thoracolumbar": junction, "new_injury": events["trauma"]}
    rows = []
    for share, values in found.items():
        yes, known = int((values == "yes").sum()), int(values.isin(["yes", "no"]).sum())
        row = {"share": share, "n_events": yes, "n": known}
        if known:
            row.update(estimate.proportion(yes, known).frame.iloc[0][["estimate", "conf_low", "conf_high"]])
        rows.append(row)
    return pd.DataFrame(rows, columns=["share", "n_events", "n", "estimate", "conf_low", "conf_high"])


def judged(cohort: Cohort) -> pd.DataFrame:
    """How same-level sightings after treatment were judged, and by which cell."""
    same = cohort.sightings[cohort.sightings["relation"] == "same"]
    return (
        same.assign(judged_cell=same["judged_cell"].astype("object").fillna(""), is_counted=same["counted"] == "yes")
        .groupby(["kind_judged", "judged_cell"], observed=True)
        .agg(n_sightings=("fracture_id", "size"), n_counted=("is_counted", "sum"))
        .reset_index()
    )


def onset(cohort: Cohort) -> pd.DataFrame:
    """Counted refractures by relation when found and on the earliest day they may have happened."""
    known = cohort.sightings[(cohort.sightings["counted"] == "yes") & cohort.sightings["relation_earliest"].notna()]
    return known.groupby(["relation", "relation_earliest"], observed=True).size().rename("n").reset_index()


def cascades(cohort: Cohort) -> pd.DataFrame:
    """Kept sightings after treatment of the main population, by relation: how many follow a neighbour's fracture.

    Returns relation, n, n_cascade (within `relation.cascade_days` of a fracture next to it), n_patients (with such),
    longest (fractures of the longest chain).
    """
    main = cohort.follow_up.loc[cohort.follow_up["in_main"], "patient_id"]
    rows = cohort.sightings[cohort.sightings["counted"].eq("yes") & cohort.sightings["patient_id"].isin(main)]
    found = []
    for relation in outcomes.REFRACTURE_RELATIONS:
        these = rows[rows["relation"].eq(relation)]
        follows = these[these["cascade_of"].notna()]
        longest = these["cascade_length"].max() if len(these) else 0
        found.append((relation, len(these), len(follows), follows["patient_id"].nunique(), int(longest)))
    return pd.DataFrame(found, columns=["relation", "n", "n_cascade", "n_patients", "longest"])


NOT_VERIFIABLE = "timing not verifiable"
KNOWN = {
    "age": "at the first augmentation, from the date of birth or as written",
    "sex": "fixed",
    "t_score": f"{NOT_VERIFIABLE}: the lowest value, without a date; used as known at the first augmentation",
    "corticosteroids": "at the first augmentation by definition; dated courses decide after it",
    "prior_fractures": "before the first augmentation by definition",
    "site": "fixed",
    "cleft": "on the day of the augmentation",
    "leak": "on the day of the augmentation",
    "height_restoration": "on the day of the augmentation",
    "technique": "on the day of the augmentation",
    "cement": "on the day of the augmentation",
    "volume_ml": "on the day of the augmentation",
    "anti_osteoporotic": "dated courses: changes with time, from the day after the start",
}
DECLARED = {
    "index": "at the first augmentation, as the study file declares",
    "row": "on the date of its row, as the study file declares",
    "later": "only afterwards, as the study file declares; never a covariate",
}


def timing(cohort: Cohort) -> pd.DataFrame:
    """When each covariate was known: covariate, table, known, verifiable (yes/no); undeclared ones say so."""
    rows = [(name, "", known, "no" if known.startswith(NOT_VERIFIABLE) else "yes") for name, known in KNOWN.items()]
    for table, schema in CANONICAL.items():
        spec = cohort.study.tables.get(table)
        declared = spec.timing if spec is not None else {}
        for column in cohort.tables[table].columns:
            if column in schema.names or column in _MADE:
                continue
            when = declared.get(str(column))
            known = DECLARED[when] if when else f"{NOT_VERIFIABLE}: not declared; carried along, used nowhere"
            rows.append((str(column), table, known, "yes" if when else "no"))
    return pd.DataFrame(rows, columns=["covariate", "table", "known", "verifiable"])


_MADE = frozenset({"source_row", "incomplete"})
