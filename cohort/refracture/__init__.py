"""What each sighting of a fracture is: relation to the treated vertebrae, repeat, judged kind, mechanism, counted."""

from cohort.refracture.beyond import pairs
from cohort.refracture.classify import SIGHTING_COLUMNS, Classified, classify
from cohort.refracture.formulas import FORMULAS
from cohort.refracture.measures import measures

__all__ = ["FORMULAS", "SIGHTING_COLUMNS", "Classified", "classify", "measures", "pairs"]
