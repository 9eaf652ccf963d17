"""Risk factors: which number answers which question, what each finding does, and what could make it wrong."""

from __future__ import annotations

import numpy as np
import pandas as pd

from cohort.present.figures import adjustment, factor_risks, forest
from cohort.present.tables import factors, factors_bias, factors_checks, factors_drugs, factors_missing, risk
from cohort.report.blocks import Block, Definitions, Paragraph, Section
from cohort.report.page import Page, figure_of, tables_of
from cohort.tables.risk_factors import RiskFactors

KEY, TITLE = "risk", "Risk factors"
OUTCOMES = {"same": "same-level", "adjacent": "adjacent", "remote": "remote"}
MEASURES = {
    "hazard_ratio": "Hazard ratio",
    "subdistribution_hazard_ratio": "Subdistribution hazard ratio",
    "risk_difference": "More per 100 (risk difference)",
    "risk_ratio": "Risk ratio",
}


def section(page: Page) -> Section:
    """The section: questions and adjustment sets, effects by outcome, then what could make them wrong."""
    found, rule = _found(page), page.rule
    if found.effects.frame.empty:
        return Section(KEY, TITLE, _hazards_alone(page))
    shown = factors.with_concealed(found.effects.frame, found.rare.frame, rule)
    blocks = [*_questions(found), *_effects(page, shown), *_risks(page, shown)]
    blocks += [*_checks(page, shown), *_missing(page), *_drugs(page), *_bias(page), *_others(page)]
    return Section(KEY, TITLE, blocks)


def _found(page: Page) -> RiskFactors:
    return page.results.factors


def _horizon(page: Page) -> int:
    return page.results.registry.study.models.horizon_days


def _hazards_alone(page: Page) -> list[Block]:
    """Results without risk factors: the hazard ratios and odds ratios that every study has."""
    cox, logistic = page.results.cox.frame, page.results.logistic.frame
    if cox.empty:
        return [Paragraph("No model was fitted: there are too few patients.")]
    blocks: list[Block] = []
    for outcome in (name for name in OUTCOMES if name in set(cox["outcome"])):
        blocks += _forest(page, cox, outcome)
    tables = tables_of(
        risk.models(cox, page.rule, odds=False),
        risk.models(logistic, page.rule, odds=True, horizon_days=_horizon(page)),
    )
    return [*blocks, *tables]


def _questions(found: RiskFactors) -> list[Block]:
    """Which number answers which question, and what each exposure is adjusted for."""
    opening = (
        "Four numbers answer four questions; they need not agree, and none stands for another. Each exposure has a "
        "model of its own, adjusted for what the study file names for it: its ratio is read for that exposure, and "
        "never for the covariates beside it."
    )
    reading = [(MEASURES[name], text) for name, text in found.reading.items() if name in MEASURES]
    drawn = figure_of(
        "figure-adjustment",
        "What each exposure is adjusted for",
        f"{len(factors.sets(found.adjustment))} exposures; grey: covariates, each taken to act on the exposure and on "
        "refracture, as the study file declares; thick arrow: the effect that is asked for, whatever the outcome. No "
        "data are in this figure. What is not drawn is not adjusted for.",
        adjustment.draw(found.adjustment),
        adjustment.alt(found.adjustment) if len(found.adjustment) else "",
        "No exposure was asked for.",
    )
    listed: list[Block] = [Definitions(reading)] if reading else []
    return [Paragraph(opening), *listed, *drawn, *tables_of(factors.adjustment(found.adjustment))]


def _effects(page: Page, shown: pd.DataFrame) -> list[Block]:
    """For each outcome the forest of hazard ratios, and all four measures."""
    blocks: list[Block] = []
    for outcome in (name for name in OUTCOMES if name in set(shown["outcome"])):
        table = factors.effects(shown, outcome, _horizon(page), page.rule)
        if table is None:
            said = f"No effect on {OUTCOMES[outcome]} refracture can be shown: there are too few events."
            blocks.append(Paragraph(said))
            continue
        hazards = shown[shown["measure"] == "hazard_ratio"]
        # What the table conceals the figure may not draw.
        drawn = hazards.assign(estimate=np.where(hazards["concealed"], np.nan, hazards["estimate"]))
        blocks += [*_forest(page, drawn.drop(columns=["few", "concealed"]), outcome), *tables_of(table)]
    return blocks


def _forest(page: Page, frame: pd.DataFrame, outcome: str) -> list[Block]:
    penalized = "penalized" in frame and (frame.loc[frame["outcome"] == outcome, "penalized"] == "yes").any()
    return figure_of(
        f"figure-forest-{outcome}",
        f"Hazard of {OUTCOMES[outcome]} refracture",
        f"Cause-specific hazard ratios on vertebrae at risk, clustered in patients; line: {page.level}, with an arrow "
        "where it runs off the axis. Each ratio is from its own model; events and patients of each stand beside it."
        + (" Some ratios are Firth's: see the notes of the table." if penalized else ""),
        forest.draw(frame, outcome, page.rule),
        forest.alt(frame, outcome, page.rule),
        f"No hazard ratio of {OUTCOMES[outcome]} refracture can be shown: there are too few events.",
    )


def _risks(page: Page, shown: pd.DataFrame) -> list[Block]:
    """The two risks of each finding, drawn and as numbers."""
    horizon, rule = _horizon(page), page.rule
    table = factors.risks(shown, horizon, rule)
    if table is None:
        return []
    some = bool(shown.loc[shown["measure"].isin(factors.RISKS), "concealed"].any())
    drawn = figure_of(
        "figure-factor-risks",
        "Risks if all had each finding, and if none had",
        f"Adjusted risk, death competing, averaged over the covariates of all; line: {page.level}; the slanting line "
        "joins the two. Each relation has an axis of its own. Of a number: if all had the first value, and if all had "
        "the second. n and events are in the table." + (" Risks of too few events are not drawn." if some else ""),
        factor_risks.draw(shown, horizon, rule),
        factor_risks.alt(shown, horizon, rule),
        "No risk can be drawn: there are too few events.",
    )
    return [*drawn, *tables_of(table)]


def _checks(page: Page, shown: pd.DataFrame) -> list[Block]:
    """Checks and few events, of outcomes with an effect to show."""
    found, rule = _found(page), page.rule
    told = {name for name, part in shown.groupby("outcome", sort=False) if factors.tellable(part, part["concealed"])}
    checks = found.checks.frame
    tables = tables_of(
        factors_checks.checks(checks[checks["outcome"].isin(told)], shown, rule) if len(checks) else None,
        factors_checks.few_events(found.rare.frame, _horizon(page), rule),
    )
    if not tables:
        return []
    words = (
        "What could make these numbers wrong: a model that does not fit, events too few for its limits, findings that "
        "nobody recorded, drugs given because bones break, and what nobody measured or told rightly."
    )
    return [Paragraph(words), *tables]


def _missing(page: Page) -> list[Block]:
    found, rule = _found(page), page.rule
    return tables_of(
        factors_missing.missing_states(found.patterns.frame, rule),
        factors_missing.missing_patterns(found.patterns.frame, rule),
        factors_missing.imputed(found.imputed.frame, found.rare.frame, found.imputed.settings, rule),
    )


def _drugs(page: Page) -> list[Block]:
    found, rule = _found(page), page.rule
    table = factors_drugs.drugs(found.drugs.frame, rule)
    said = factors_drugs.started(found.starts, rule)
    if table is None:
        return []
    words = (
        "Treatment follows fractures: a drug is often begun because a bone broke, so that those who take it are those "
        "who broke, and its ratio may say who was treated, not what treatment did."
    )
    return [Paragraph(" ".join([words, *said])), *tables_of(table)]


def _bias(page: Page) -> list[Block]:
    found, rule = _found(page), page.rule
    return tables_of(
        factors_bias.e_values(found.e_values.frame, rule),
        factors_bias.misclassified(found.misclassified.frame, _horizon(page), rule),
        factors_bias.controls(found.controls.frame, rule),
    )


def _others(page: Page) -> list[Block]:
    """The model that predicts, and odds: numbers that are often asked for, and answer other questions."""
    found, rule = _found(page), page.rule
    return tables_of(
        factors.predictive(found.predictive.frame, rule),
        risk.models(page.results.logistic.frame, rule, odds=True, horizon_days=_horizon(page)),
    )
