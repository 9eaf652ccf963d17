"""A mapping proposed from headers and values, for a person to correct; nothing here is ever applied by itself."""

from cohort.intake.proposal.propose import Proposal, propose

__all__ = ["Proposal", "propose"]
