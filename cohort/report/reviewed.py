"""The literature, recomputed: what the review's statements are worth, which figures come out again, what pools."""

from __future__ import annotations

from typing import Any

import pandas as pd

from cohort.present.figures import pooled as forest
from cohort.present.tables import pooled, reviewed
from cohort.report.blocks import Block, Paragraph, Section
from cohort.report.page import Page, figure_of, tables_of
from cohort.tables.reviewed import Reviewed

KEY, TITLE = "review", "The literature, recomputed"
NAMES = {"same": "Same-level refracture", "adjacent": "Adjacent refracture", "remote": "Remote refracture",
         "any": "Any new vertebral fracture"}  # fmt: skip


def section(page: Page) -> Section:
    """The section: verdicts, figures worked out and had again, then the studies pooled with the registry apart."""
    found = pooled.shown(_found(page), page.rule)
    blocks = [*_audit(found), *_figures(found), *_pooled(page, found)]
    return Section(KEY, TITLE, blocks or [Paragraph("The literature was not recomputed for these results.")])


def _found(page: Page) -> Reviewed:
    return page.results.reviewed


def _audit(found: Reviewed) -> list[Block]:
    if found.audit.empty:
        return []
    words = (
        "This toolkit starts from one review (Jacobson, Palea and Granville, Cureus 2017;9(10):e1776). Each of its "
        "quantitative or causal statements has a verdict with a reason, worked out from published numbers where there "
        "are any. Few sources were read beyond their abstract: the last column of each table says how far."
    )
    return [Paragraph(words), *tables_of(reviewed.verdicts(found.audit), reviewed.statements(found.audit))]


def _figures(found: Reviewed) -> list[Block]:
    tables = tables_of(
        reviewed.recomputed(found.recomputed),
        reviewed.effects(found.effects),
        reviewed.reproduced(found),
    )
    if not tables:
        return []
    words = (
        "Published figures were worked out again twice: from their own printed numbers, and by running this pipeline "
        "on registries made of those numbers."
    )
    return [Paragraph(words), *tables]


def _pooled(page: Page, found: Reviewed) -> list[Block]:
    frame = found.pooled.frame
    if frame.empty:
        return []
    words = (
        "Studies are pooled only with studies of the same relation, definition and unit, each patient once. They "
        "differ so much that the pooled share describes no place: a registry is compared with where a new place is "
        "expected."
    )
    blocks: list[Block] = [Paragraph(words)]
    relations = list(frame["relation"])
    for cell, block in pooled.cells_of(frame):
        blocks += _forest(found, cell, block, alone=len(set(relations)) * 2 == len(relations))
    tables = (pooled.pooled(found, page.rule), pooled.pooled_studies(found, page.rule), pooled.toward(found, page.rule))
    return [*blocks, *tables_of(*tables)]


def _forest(found: Reviewed, cell: Any, block: pd.DataFrame, *, alone: bool) -> list[Block]:
    studies, own = pooled.at(found.studies, cell), pooled.at(found.own, cell)
    joined = pooled.at(found.with_registry.frame, cell)
    mine = own[own["reason"] == ""] if len(own) else own
    key = f"figure-pooled-{cell.relation}" + ("" if alone else f"-{cell.tier}-{cell.unit}".replace("_", "-"))
    one = block[block["row"] == "pooled"].iloc[0]
    apart = (
        "Below the rule: this registry, counted as the notes of the table say, and an open diamond for all with it."
        if len(mine)
        else " ".join(pooled.registry_note(r) for r in own.itertuples())
    )
    return figure_of(
        key,
        f"{NAMES.get(str(cell.relation), str(cell.relation))}: published shares",
        f"{pooled.cell_title(cell)}; {one['n_studies']:.0f} studies, {one['n_events']:,.0f} events in "
        f"{one['n_patients']:,.0f}. Square: a study, its area by weight (for the drawing: the likelihood has none); "
        f"line: exact 95 % interval; diamond: pooled; bar: where a new place is expected (95 %). "
        f"Followed: ~ mean, ≤ at most, ≥ at least, ? not stated. {apart}",
        forest.draw(studies, block, joined, mine),
        forest.alt(studies, block, joined, mine),
        "No study can be drawn.",
    )
