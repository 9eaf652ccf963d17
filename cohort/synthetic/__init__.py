"""A synthetic registry whose truth is known."""
