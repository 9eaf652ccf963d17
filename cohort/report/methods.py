"""The methods in words, every number taken from the settings in force."""

from __future__ import annotations

from collections.abc import Iterable

from cohort.domain.study import StudyDefinition
from cohort.pipeline.factors.rare import FEW_PER_PARAMETER
from cohort.pipeline.risk import COVARIATE_SCALE
from cohort.present import numbers
from cohort.present.tables.factors import contrast
from cohort.present.tables.risk import covariates
from cohort.tables.study_results import Further

TIERS = {
    "radiographic": "radiographic (collapse on film counts whether or not there is pain)",
    "clinical": "clinical (collapse with worse pain or symptoms, or new edema with it; the main definition)",
    "retreated": "re-treated (the level was augmented again)",
}


def percent(fraction: float) -> str:
    """A threshold in per cent, without needless decimals.

    >>> percent(0.15), percent(0.125)
    ('15 %', '12.5 %')
    """
    return f"{fraction * 100:g} %"


def listed(items: list[str]) -> str:
    """Words as a list in a sentence.

    >>> listed(["a", "b", "c"])
    'a, b and c'
    """
    return " and ".join([", ".join(items[:-1]), items[-1]]) if len(items) > 1 else "".join(items)


def definitions(study: StudyDefinition) -> list[tuple[str, str]]:
    """What each word means in this report."""
    relation, judgement, at_risk = study.relation, study.judgement, study.at_risk
    reach = "next to" if relation.reach == 1 else f"within {relation.reach} levels of"
    last = at_risk.last_level or "the patient's last lumbar vertebra"
    return [
        (
            "Same level",
            "A fracture of a vertebra augmented before the day it was found. Definition in force: "
            f"{TIERS[judgement.tier]}. In incidence, hazards and rates of treated vertebrae: those treated for "
            "fracture.",
        ),
        ("Adjacent", f"A fracture of an untreated vertebra {reach} one augmented before that day."),
        ("Remote", "A fracture of any other untreated vertebra, after at least one augmentation."),
        (
            "At risk",
            f"Vertebrae {at_risk.first_level} to {last}, from the first augmentation (or enrolment, if later) "
            "to death or "
            f"the end of follow-up; not for {relation.healing_days} days after a fracture of the vertebra, nor "
            "while its "
            "staged treatment is unfinished, nor where it is fused or instrumented.",
        ),
        (
            "Staged treatment",
            f"A second session within {relation.staged_days} days finishes what the first began, unless a film between "
            "them proves a new fracture.",
        ),
        (
            "Implied fracture",
            "A later augmentation for fracture of a level without a listed fracture is taken as evidence of one"
            + ("." if relation.implied else "; not counted under these settings."),
        ),
        (
            "Onset unproven",
            "A counted sighting that nobody judged, without a clear film after the level's own treatment or within "
            f"{relation.onset_clear_days} days before entry"
            + ("; counted, and left out in a sensitivity run." if at_risk.count_unproven else "; not counted here."),
        ),
    ]


def paragraphs(study: StudyDefinition, further: Further | None = None) -> list[tuple[str, str]]:
    """Heading and text of each part of the methods; `further` holds the settings of what is beyond the first event."""
    p, r, j, a = study.population, study.relation, study.judgement, study.at_risk
    m, e, d = study.models, study.exposures, study.disclosure
    windows = listed([numbers.days(day) for day in m.windows_days])
    staged = listed([f"{day}" for day in r.staged_sensitivity])
    judged = (
        "A same-level sighting that the registry had not judged was judged from follow-up films and pain. "
        "With worse pain "
        f"(at least {j.worse_pain_points:g} points above the lowest score after treatment) or recorded "
        "symptoms, an anterior "
        f"loss of at least {percent(j.progression_loss)}, a kyphosis increase of at least "
        f"{j.progression_kyphosis_deg:g} degrees or a new cleft was progression; without worse pain it was "
        "collapse without "
        f"symptoms. A loss of {percent(j.settling_loss)} to below {percent(j.progression_loss)} without worse pain was "
        f"settling; a smaller loss with new edema and pain was an occult fracture; all else stayed unjudged and was "
        f"counted. The first post-operative film was the one within {j.baseline_days} days; the pain score the "
        "nearest within "
        f"{j.pain_days} days; a film went with a sighting within {j.film_days} days; pain was not attributed "
        "when another "
        f"vertebra broke within {j.other_fracture_days} days."
        if j.enabled
        else "Same-level sightings were not judged from imaging; those the registry had not judged were counted."
    )
    durations = (
        "; days of action set for this study: " + ", ".join(f"{k} {v}" for k, v in sorted(e.drug_durations.items()))
        if e.drug_durations
        else ""
    )
    return [
        (
            "Patients",
            "Everyone with an augmentation of C1-L6, follow-up that ends after it begins"
            + (", " if p.tumour_in_main else ", no tumour treated in the first procedure, ")
            + (
                "rows rejected or not."
                if p.include_incomplete
                else "and no augmentation or fracture row rejected for more than being a copy."
            )
            + " Patients treated before the registry without a date have no known start: they are in rates, "
            "not in curves "
            "or hazards.",
        ),
        (
            "Events",
            "The treated set on a day is every level augmented before that day; the nearest treated level decides the "
            f"relation, with a reach of {r.reach} for adjacent. A level already seen fractured and not "
            "augmented since is "
            f"the same fracture; one recorded as new more than {r.healing_days} days later is a new fracture "
            "of a healed "
            f"vertebra. A second session within {r.staged_days} days was staged treatment; windows of {staged} "
            "days stand "
            f"beside it. Implied fractures were {'counted' if r.implied else 'not counted'}; sightings without "
            "proof of "
            f"onset were {'counted' if a.count_unproven else 'not counted'}.",
        ),
        ("Same-level judgement", f"{judged} The main definition is {TIERS[j.tier]}."),
        (
            "Time at risk",
            "Time is in whole days, entry excluded and exit included. Each vertebra's role (treated, adjacent, "
            "remote) is "
            "what a fracture found that day would be called, and changes with each procedure. Exposures that "
            "begin after "
            "entry count from their start. A daily drug without a stop lasts "
            + ("to the end of follow-up" if e.open_course == "follow_up" else "only for its duration of action")
            + f"{durations}.",
        ),
        (
            "Incidence",
            f"Cumulative incidence at {windows} is Aalen-Johansen with death competing, patients clustered, late entry "
            f"respected, {m.confidence * 100:g} % intervals on the log-log scale. Per relation, other relations do not "
            "censor; in the composite the first refracture of any kind counts, and several relations found on "
            "one day are a "
            "cause of their own. Simple proportions are of those followed to the window only. Rates carry "
            "intervals robust "
            "to clustering in patients.",
        ),
        *_risk_factors(study),
        *_beyond_first(study, further or Further()),
        (
            "Disclosure",
            f"Counts of patients and events from 1 to {d.minimum_count - 1} are hidden, with what rests on "
            "them; within a "
            "table a second count is hidden where the first could be worked out from a total. Zero is shown. "
            "Counts of rows "
            "and of missing values describe the files and are shown in full. Differences between tables are "
            "not protected."
            if d.minimum_count > 1
            else "No count is hidden under these settings.",
        ),
    ]


def _risk_factors(study: StudyDefinition) -> list[tuple[str, str]]:
    """The parts on risk factors, with where each method comes from."""
    m, b = study.models, study.bias
    horizon = numbers.days(m.horizon_days)
    by_cox = "Cox models of refracture and of death, late entries included"
    by_odds = "a logistic model at the horizon, weighted for loss"
    model, other = (by_cox, by_odds) if m.risk_model == "cox" else (by_odds, by_cox)
    always = m.penalized == "always"
    lags, landmarks = (listed([f"{day}" for day in days]) for days in (filter(None, m.drug_lag_days), m.landmark_days))
    filled = (
        "Multiple imputation by chained equations: each exposure and covariate drawn from all others, from the event "
        "of each cause and from its cumulative hazard (White and Royston 2009), what is the patient's once per patient "
        f"and what is the vertebra's once per vertebra; {m.imputations} completed data sets, pooled by Rubin's rules "
        "with the degrees of freedom of Barnard and Rubin (1999). It answers for all if what is missing can be "
        "foretold from what is known. In case it cannot, what is missing of the exposure was also drawn shifted, from "
        f"half as many data sets each: log odds of a yes/no finding by {m.shift_log_odds:g} down and up, a number by "
        f"{m.shift_sd:g} standard deviations down and up."
        if m.imputations >= 2
        else "Nothing was imputed under these settings."
    )
    return [
        (
            "Risk factors",
            "Each exposure has a model of its own, crude and adjusted for the set that the study file declares for it, "
            "which closes its back doors: "
            + "; ".join(
                f"{covariates(name)} ({covariates(', '.join(chosen))})" for name, chosen in m.adjustment.items()
            )
            + ". Hazard ratios are from cause-specific Cox models on vertebrae at risk in the role (Efron ties, "
            "variance robust by patient), exposures as they stand on each day. Subdistribution ratios (Fine and Gray "
            "1999) and risks are of treated vertebrae (same level) or patients, exposures as at entry, death "
            "competing. Findings that were not assessable or missing were left out of the model that needs them, never "
            "turned into no. A ratio is read for its own exposure, never for the covariates beside it.",
        ),
        (
            "Standardized risks",
            f"The risk within {horizon} of each unit as it is but with, and then without, the exposure, averaged over "
            f"all who were analysed (Robins 1986), from {model}; risks from {other} are among the checks."
            + _contrasts(study)
            + " Limits are clustered in patients.",
        ),
        (
            "Few events",
            "Firth's penalized ratios, with limits from the penalized profile likelihood (Heinze and Schemper 2001), "
            "stand beside maximum likelihood. "
            + (
                "The study file makes them the main ones."
                if always
                else "They are the main ones only where maximum likelihood has no finite value or limits, as when all "
                "events are exposed."
            )
            + " They take vertebrae as independent. Exact rate ratios, and exact conditional odds ratios of patients "
            f"whose outcome at {horizon} is known, are crude. Below {FEW_PER_PARAMETER:g} events per parameter a model "
            "is of concern.",
        ),
        ("Missing findings", filled),
        (
            "Drugs",
            "Use counts on the day"
            + (
                f", and with lags of {lags} days: from so many days after the start to as many after the stop"
                if lags
                else ""
            )
            + "; a course that holds on the first day at risk is taken to have begun long before. "
            + (
                f"Landmarks on days {landmarks} ask those still at risk on the day, by what they took on it. "
                if landmarks
                else ""
            )
            + "Treatment follows "
            "fractures; neither makes treated and untreated alike.",
        ),
        (
            "Bias",
            "E-values (VanderWeele and Ding 2017) say how strongly something unmeasured would have to go with both "
            "exposure and refracture to explain a ratio away. Errors: sensitivities of "
            + "; ".join(f"{covariates(name)} {_shares(shares)}" for name, shares in b.sensitivity.items())
            + f", each with specificities of {_shares(b.specificity)}; of refracture, sensitivity and specificity of "
            + "; ".join(_shares(pair) for pair in b.outcome)
            + ". Crude risk ratios were corrected by the matrix method (Greenland 1988), "
            + (
                f"adjusted hazard ratios told again {b.draws} times with the error (Fox, Lash and Greenland 2005). "
                if b.draws
                else ""
            )
            + "The error is taken not to depend on the other of the two. Negative controls: the adjusted hazard ratio "
            "of a local finding for remote vertebrae, which it cannot reach, and the ratio of the two ratios.",
        ),
        (
            "Prediction",
            "One Cox model of all exposures and covariates, of complete cases and of imputed data, is labelled "
            "predictive: a coefficient in it is what is left of a finding once what it leads to is held fixed.",
        ),
        (
            "Odds",
            f"Logistic regression at {horizon} weights for loss to follow-up and takes death as a known non-event.",
        ),
    ]


def _shares(values: Iterable[float]) -> str:
    """Shares in per cent as a list.

    >>> _shares((0.14, 0.64))
    '14 % and 64 %'
    """
    return listed([percent(value) for value in values])


def _contrasts(study: StudyDefinition) -> str:
    """A sentence on the values that the risks of numbers compare."""
    said = [
        f"{covariates(name)} {contrast(name, *(value * COVARIATE_SCALE.get(name, 1.0) for value in between))}"
        for name, between in study.models.contrasts.items()
    ]
    return f" Of a number, two values are compared: {'; '.join(said)}." if said else ""


def _beyond_first(study: StudyDefinition, further: Further) -> list[tuple[str, str]]:
    """The parts on what comes after the first event, with where each method comes from."""
    horizon = numbers.days(study.models.horizon_days)
    cuts = listed([f"{cut:g}" for cut in further.by_interval.settings.get("cuts", [])])
    last = further.recurrent.settings.get("max_order")
    return [
        (
            "Courses",
            "Each patient is in the state of the last event: none, a refracture by relation, another procedure, or "
            "death. Shares are Aalen-Johansen estimates over all moves (Aalen and Johansen 1978); they hold whatever "
            "the way to a state has to do with the way on, as long as loss to follow-up has nothing to do with either "
            "(Datta and Satten 2001). Rates from a state are averages over the ways there.",
        ),
        (
            "Mean counts",
            "The mean number of refractures by a day adds up, day by day, the rate among those still followed times "
            "the share alive (Ghosh and Lin 2000). Whoever died has no more refractures and is still divided by: it "
            "is what a hundred patients treated today will have, not what they would have if nobody died.",
        ),
        (
            "Days lost",
            f"The area between the composite curves up to {horizon}: mean days free of refracture and alive, and mean "
            "days after each kind of first event (Andersen 2013). They add up to the whole period.",
        ),
        (
            "Repeated refractures",
            "Cox models of all episodes, with exposures as known at entry: of any episode, whatever its number "
            "(Andersen and Gill 1982); of the next one among those who have had as many, in days since treatment or "
            "since the last (Prentice, Williams and Peterson 1981); and of each, with all at risk of it from the start "
            "(Wei, Lin and Weissfeld 1989). "
            + (f"Episodes after number {last} are pooled with it, or left out of the last model. " if last else "")
            + "The variance is robust by patient, so that one refracture may bring on the next. A death ends the time "
            "at risk.",
        ),
        (
            "Within patients",
            "Adjacent and remote vertebrae of one patient are compared on the day of each of her refractures: a Cox "
            "model with one stratum per patient (Holt and Prentice 1974). What is the same for all her vertebrae "
            "cannot matter, recorded or not; what differs between them, their level above all, can.",
        ),
        (
            "Ratios by time",
            "The adjusted models let the ratio of the exposure differ between intervals chosen beforehand"
            + (f" (cut at the end of days {cuts})" if cuts else "")
            + "; a Wald test asks whether one ratio would do. The score test of proportional hazards needs no "
            "intervals (Grambsch and Therneau 1994).",
        ),
        (
            "When it happened",
            "A same-level refracture found on a film happened after the last film without it, or after the treatment "
            "where there is none. The share unbroken by interval is the estimate of Turnbull (1976), beside Kaplan and "
            "Meier by the day found; Weibull models give the ratios both ways.",
        ),
    ]
