"""A synthetic registry whose truth is known."""

from cohort.synthetic.simulate import simulate
from cohort.synthetic.truth import DEFAULT, Parameters
from cohort.synthetic.write import synthesize

__all__ = ["DEFAULT", "Parameters", "simulate", "synthesize"]
