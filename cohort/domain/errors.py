"""Errors by stage; each carries a sentence for the user and the exit code of the command line."""

from __future__ import annotations


class CohortError(Exception):
    """Base of every error a user can cause; the message is a sentence that says what to do."""

    exit_code = 1


class RegistryError(CohortError):
    """The registry cannot be read as one: a missing table or column, a file that is no table."""


class DefinitionError(CohortError):
    """The study definition contradicts itself or asks for what has no meaning."""


class EstimationError(CohortError):
    """An estimate cannot be had from these rows."""


class OutputError(CohortError):
    """An output cannot be written where it was asked for."""

    exit_code = 2


class UsageError(CohortError):
    """The command line was used wrongly."""

    exit_code = 2
