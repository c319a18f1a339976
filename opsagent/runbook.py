"""Runbooks as values: which causes one is for, and which typed action it compiles to.

The text that people read is in ``SKILL.md``; what a machine reads is in ``runbook.yaml``. A step is
a member of the catalogue or plain text, never a command.
"""

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from opsagent.model.incident import Cause
from opsagent.model.plan import ActionType, VerifySpec


class RevisionChoice(StrEnum):
    """Which revision an undo goes to."""

    LAST_HEALTHY = "last_healthy"


@dataclass(frozen=True, slots=True)
class RunbookAction:
    """The typed mitigation."""

    type: ActionType
    to_revision: RevisionChoice


@dataclass(frozen=True, slots=True)
class Runbook:
    """One runbook. ``change_within`` bounds how old the rollout may be for the undo to make sense."""

    name: str
    description: str
    causes: frozenset[Cause]
    confidence_min: float
    change_within: dt.timedelta
    action: RunbookAction
    verify: VerifySpec


def match(runbooks: Iterable[Runbook], cause: Cause, confidence: float) -> Runbook | None:
    """Return the first runbook, by name, that is for ``cause`` at ``confidence``."""
    fitting = (
        book for book in runbooks if cause in book.causes and confidence >= book.confidence_min
    )
    return min(fitting, key=lambda book: book.name, default=None)
