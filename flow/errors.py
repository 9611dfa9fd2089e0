"""The two ways a run can end badly; the command line turns them into exit status 2 and 1."""

from __future__ import annotations


class InputError(ValueError):
    """Bad input: one line that says what is wrong, where, and what to do (exit status 2)."""


class ClaimError(RuntimeError):
    """A check or a claim failed: engines disagree, or a certificate was broken (exit status 1)."""
