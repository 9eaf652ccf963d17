"""One fracture, many sightings: repeats, staged treatment and implied fractures (section 4 of the rules)."""

from __future__ import annotations

from datetime import date, timedelta

from slow_relation import Augmentation, Patient, Row, Sighting, is_treated, latest_augmentation

# ---------------- section 4: one fracture, many sightings


def kind_taken(patient: Patient, row: Row) -> str:
    """settling, progression or occult recorded at an untreated level says nothing about onset: the sighting is taken as
    unjudged everywhere."""
    kind = row["kind"]
    if kind is None:
        return "unjudged"
    if kind in ("settling", "progression", "occult") and not is_treated(patient, row["level"], row["date"]):
        return "unjudged"
    return kind


def recorded_sightings(patient: Patient) -> list[Sighting]:
    return [
        Sighting(
            row["fracture_id"],
            row["level"],
            row["date"],
            "recorded",
            kind_taken(patient, row),
            row["last_clear_date"],
            row["symptomatic"],
            row["trauma"],
        )
        for row in patient.fractures
    ]


def order(sighting: Sighting) -> tuple[date, bool, int, str]:
    """Sightings of a level are ordered by day, recorded before implied, judged before unjudged before kind old, then
    fracture_id as text (never file order). An `imaging:` sighting sorts with the recorded ones."""
    judgement = {"unjudged": 1, "old": 2}.get(sighting.kind, 0)
    return (sighting.day, sighting.origin == "implied", judgement, sighting.id)


def augmented_between(patient: Patient, level: str, first: date, before: date) -> bool:
    """... was not augmented on a day u with s <= u < t."""
    for augmentation in patient.augmentations:
        if augmentation.level == level and augmentation.day is not None and first <= augmentation.day < before:
            return True
    return False


def repeated(patient: Patient, sighting: Sighting, kept: list[Sighting], old: list[Sighting]) -> Sighting | None:
    """A sighting at l on t is a repeat (repeat_of = the sighting kept) when l was already seen fractured on a day s
    <= t and was not augmented on a day u with s <= u < t; except that kind new more than 90 days (healing_days, a
    setting) after the latest kept sighting is a new fracture of a healed vertebra.

    Readings 3 and 4: of the latest kept sighting; where there is none, of the earliest `old` recorded while the
    level was untreated, which never makes a `new` a repeat.
    """
    since = [s for s in kept if not augmented_between(patient, sighting.level, s.day, sighting.day)]
    if since:
        latest = since[-1]
        healed = (sighting.day - latest.day).days > patient.study.relation.healing_days
        return None if sighting.kind == "new" and healed else latest
    since = [s for s in old if not augmented_between(patient, sighting.level, s.day, sighting.day)]
    if since and sighting.kind != "new":
        return since[0]
    return None


def is_no_refracture(patient: Patient, sighting: Sighting) -> bool:
    """`settling` and `asymptomatic_collapse` are not refractures in the main analysis. Tiers: radiographic (adds
    asymptomatic_collapse)."""
    if sighting.kind == "asymptomatic_collapse":
        return patient.study.judgement.tier != "radiographic"
    return sighting.kind == "settling"


def mark_repeats(patient: Patient, sightings: list[Sighting]) -> None:
    """Decide, level by level and in order, which sightings are kept and what the others repeat.

    Reading 1: kept is neither a repeat, nor old, nor settling at a treated level, nor asymptomatic_collapse.
    """
    for level in patient.spine:
        kept: list[Sighting] = []
        old: list[Sighting] = []
        for sighting in sorted((s for s in sightings if s.level == level), key=order):
            if sighting.kind == "settling":
                continue  # "no fracture: never a repeat, not kept"
            original = repeated(patient, sighting, kept, old)
            if original is not None:
                sighting.repeat_of = original.id
                take_any_yes(original, sighting)
            elif sighting.kind == "old":
                if not is_treated(patient, level, sighting.day):  # reading 6
                    old.append(sighting)
            elif not is_no_refracture(patient, sighting):
                sighting.kept = True
                kept.append(sighting)


def take_any_yes(original: Sighting, repeat: Sighting) -> None:
    """The first of several on one day is kept and takes any `yes` of the others (reading 5: symptomatic and trauma)."""
    if original.kept and original.day == repeat.day:
        if repeat.symptomatic == "yes":
            original.symptomatic = "yes"
        if repeat.trauma == "yes":
            original.trauma = "yes"


# ---------------- section 4: staged and implied


def sessions(patient: Patient) -> set[date]:
    """Sessions on one day are one procedure; before_index is no dated session; S1: its day is a session."""
    return {augmentation.day for augmentation in patient.augmentations if augmentation.day is not None}


def earlier_session(patient: Patient, augmentation: Augmentation) -> date | None:
    """If l is not in A: p is the patient's earliest dated session in the 14 days (a setting) before t (t - 14 <= p
    < t). If l is in A: p is the latest dated augmentation of l itself, when in those 14 days."""
    assert augmentation.day is not None
    first = augmentation.day - timedelta(days=patient.study.relation.staged_days)
    if not is_treated(patient, augmentation.level, augmentation.day):
        window = [day for day in sessions(patient) if first <= day < augmentation.day]
        return min(window) if window else None
    before = latest_augmentation(patient, augmentation.level, augmentation.day)
    assert before is not None
    return before.day if before.day is not None and before.day >= first else None


def is_exempt(patient: Patient, augmentation: Augmentation, p: date) -> bool:
    """It is not staged when a recorded sighting at l in (p, t] (repeats and old included, settling in A not) has
    last_clear_date >= p or kind new (for l in A also progression or occult). (With the registry's own kinds only.)"""
    assert augmentation.day is not None
    in_a = is_treated(patient, augmentation.level, augmentation.day)
    for row in patient.fractures:
        if row["level"] != augmentation.level or not p < row["date"] <= augmentation.day:
            continue
        if row["kind"] == "settling" and in_a:
            continue
        if row["last_clear_date"] is not None and row["last_clear_date"] >= p:
            return True
        if row["kind"] == "new" or (in_a and row["kind"] in ("progression", "occult")):
            return True
    return False


def staged_from(patient: Patient, augmentation: Augmentation) -> date | None:
    """An augmentation of l on day t, indication fracture or missing, is staged when it finishes what an earlier
    session began: the p of that session, or None."""
    if augmentation.day is None or augmentation.indication != "fracture":
        return None
    p = earlier_session(patient, augmentation)
    return None if p is None or is_exempt(patient, augmentation, p) else p


def in_staged_window(patient: Patient, level: str, day: date) -> bool:
    """With such a p, l is off risk on the days d, p < d <= t; sightings there in (p, t] that are no repeats are
    kept but not counted (staged)."""
    for augmentation in patient.augmentations:
        if augmentation.level == level:
            p = staged_from(patient, augmentation)
            if p is not None and augmentation.day is not None and p < day <= augmentation.day:
                return True
    return False


def implied_sightings(patient: Patient) -> list[Sighting]:
    """Any other augmentation of l on t with indication fracture (or missing), in a patient with a dated session
    before t (or with a before_index level, S1 too, and enrolled_on before t), is evidence of a fracture. With p the
    latest such session day (else enrolled_on): if fractures has no sighting at l (of any kind) on a day v, p < v <=
    t, one is added at t, implied = yes, id implied:<augmentation_id>."""
    found: list[Sighting] = []
    if not patient.study.relation.implied:
        return found
    enrolled = patient.row["enrolled_on"]
    has_before_index = any(augmentation.day is None for augmentation in patient.augmentations)
    for augmentation in patient.augmentations:
        if augmentation.day is None or augmentation.indication != "fracture":
            continue
        if staged_from(patient, augmentation) is not None:
            continue  # "and no fracture is implied"
        earlier = [day for day in sessions(patient) if day < augmentation.day]
        if earlier:
            p = max(earlier)
        elif has_before_index and enrolled is not None and enrolled < augmentation.day:
            p = enrolled
        else:
            continue
        if any(row["level"] == augmentation.level and p < row["date"] <= augmentation.day for row in patient.fractures):
            continue
        found.append(
            Sighting(f"implied:{augmentation.id}", augmentation.level, augmentation.day, "implied", "unjudged")
        )
    return found
