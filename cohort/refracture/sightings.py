"""Every sighting of a fracture in one list: recorded by the registry, implied by a treatment, met on a film."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import pandas as pd

from cohort.domain import outcomes, spine
from cohort.domain.clock import MISSING, BoolArray, IntArray, to_days
from cohort.domain.treated import TreatedHistory
from cohort.refracture.films import Films
from cohort.refracture.numbered import ObjectArray, Patients, codes, texts
from cohort.refracture.repeats import KIND, effective_kind
from cohort.refracture.staged import Recorded
from cohort.refracture.treated import Treatments

ORIGINS = ("recorded", "implied", "imaging")
RECORDED, IMPLIED, IMAGING = range(len(ORIGINS))


@dataclass(frozen=True)
class Sightings:
    """One element per sighting, shape (n,).

    kind : code in outcomes.KINDS_JUDGED. last_clear : MISSING where not given. symptomatic, trauma : codes in
    outcomes.FINDING, -1 missing. precision : code in outcomes.DATE_PRECISIONS. source_row : 0 for those made here.
    """

    id: ObjectArray
    patient: IntArray
    place: IntArray
    code: IntArray
    day: IntArray
    kind: IntArray
    origin: IntArray
    last_clear: IntArray
    symptomatic: IntArray
    trauma: IntArray
    modality: ObjectArray
    precision: IntArray
    source_row: IntArray

    def __len__(self) -> int:
        return len(self.id)

    @property
    def implied(self) -> BoolArray:
        """Whether the sighting is implied by a treatment."""
        result: BoolArray = self.origin == IMPLIED
        return result

    def and_also(self, *others: Sightings) -> Sightings:
        """These sightings followed by others."""
        parts = (self, *others)
        return Sightings(**{f.name: np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(self)})


def recorded_sightings(
    fractures: pd.DataFrame, patients: Patients, history: TreatedHistory
) -> tuple[Sightings, Recorded]:
    """The rows of `fractures`: with the kind that counts at a level so treated, and as the registry wrote them."""
    patient = patients.number(fractures, "fractures")
    place, code = patients.place(fractures, "fractures", patient)
    day = to_days(fractures["date"])
    last_clear = to_days(fractures["last_clear_date"])
    written = codes(fractures["kind"], outcomes.KINDS)
    treated = spine.holds(history.mask_before(patient, day), place)
    has_row = "source_row" in fractures.columns
    sightings = Sightings(
        id=texts(fractures["fracture_id"]),
        patient=patient,
        place=place,
        code=code,
        day=day,
        kind=effective_kind(written, treated),
        origin=np.full(len(day), RECORDED, dtype=np.int64),
        last_clear=last_clear,
        symptomatic=codes(fractures["symptomatic"], outcomes.FINDING),
        trauma=codes(fractures["trauma"], outcomes.FINDING),
        modality=fractures["modality"].to_numpy(dtype=object),
        precision=codes(fractures["date_precision"], outcomes.DATE_PRECISIONS),
        source_row=fractures["source_row"].to_numpy(dtype=np.int64) if has_row else np.zeros(len(day), dtype=np.int64),
    )
    return sightings, Recorded(patient, place, day, last_clear, written)


def implied_sightings(treated: Treatments, rows: IntArray) -> Sightings:
    """An unjudged sighting on the day of each of these treatments."""
    ids = texts(treated.frame["augmentation_id"].iloc[rows])
    precision = codes(treated.frame["date_precision"].iloc[rows], outcomes.DATE_PRECISIONS)
    return _made(
        IMPLIED,
        np.array([f"implied:{augmentation}" for augmentation in ids], dtype=object),
        (treated.patient[rows], treated.place[rows], treated.code[rows], treated.day[rows]),
        np.full(len(rows), KIND["unjudged"], dtype=np.int64),
        precision,
    )


def imaging_sightings(films: Films, rows: IntArray, kind: IntArray) -> Sightings:
    """A sighting of the kind its cell decided on the day of each of these films."""
    days = films.day[rows].astype("datetime64[D]").astype(str)
    levels = np.array(spine.LEVELS, dtype=object)[films.code[rows]]
    return _made(
        IMAGING,
        np.array([f"imaging:{level}:{day}" for level, day in zip(levels, days, strict=True)], dtype=object),
        (films.patient[rows], films.place[rows], films.code[rows], films.day[rows]),
        kind,
        np.zeros(len(rows), dtype=np.int64),
    )


def _made(
    origin: int,
    ids: ObjectArray,
    vertebra_day: tuple[IntArray, IntArray, IntArray, IntArray],
    kind: IntArray,
    precision: IntArray,
) -> Sightings:
    n = len(ids)
    patient, place, code, day = vertebra_day
    return Sightings(
        id=ids,
        patient=patient,
        place=place,
        code=code,
        day=day,
        kind=kind,
        origin=np.full(n, origin, dtype=np.int64),
        last_clear=np.full(n, MISSING, dtype=np.int64),
        symptomatic=np.full(n, -1, dtype=np.int64),
        trauma=np.full(n, -1, dtype=np.int64),
        modality=np.full(n, None, dtype=object),
        precision=precision,
        source_row=np.zeros(n, dtype=np.int64),
    )
