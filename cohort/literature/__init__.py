"""Published figures, beside the registry's own."""

from cohort.literature.audit import audit
from cohort.literature.beside import beside
from cohort.literature.beside_effects import beside_effects, effect_definitions, published_effects
from cohort.literature.facts import FigureDefinition, definition_of, facts
from cohort.literature.guyot import individual_times
from cohort.literature.pool import pool, pool_effects, toward_literature, with_registry
from cohort.literature.poolable import poolable, poolable_effects
from cohort.literature.recompute import recompute
from cohort.literature.recompute_effects import recompute_effects
from cohort.literature.reconstruct import Reconstruction, reconstruct, reconstructable, reconstructed_studies
from cohort.literature.summary import summary_lines
from cohort.literature.tables import (
    cases,
    codes,
    definitions,
    effect_counts,
    effects,
    figure_definitions,
    figures,
    headlines,
    references,
    review_statements,
    verdicts,
)
from cohort.literature.write import write_literature

__all__ = [
    "FigureDefinition",
    "Reconstruction",
    "audit",
    "beside",
    "beside_effects",
    "cases",
    "codes",
    "definition_of",
    "definitions",
    "effect_counts",
    "effect_definitions",
    "effects",
    "facts",
    "figure_definitions",
    "figures",
    "headlines",
    "individual_times",
    "pool",
    "pool_effects",
    "poolable",
    "poolable_effects",
    "published_effects",
    "recompute",
    "recompute_effects",
    "reconstruct",
    "reconstructable",
    "reconstructed_studies",
    "references",
    "review_statements",
    "summary_lines",
    "toward_literature",
    "verdicts",
    "with_registry",
    "write_literature",
]
