"""What an archive of logs is asked, and what it answers.

A question is typed fields, never a text: the query in the archive's language is made of them in ``clients``.
"""

import datetime as dt
from dataclasses import dataclass

from opsagent.model.entity import Entity


@dataclass(frozen=True, slots=True)
class LogSearch:
    """Lines of ``of`` from ``start`` on and before ``end``, in which each of ``words`` stands, letter by letter.

    ``of`` is a Pod, a workload, which stands for every pod that it ever had, or a Namespace. ``container``
    empty: all of them. More than ``lines_max`` lines: the newest.
    """

    of: Entity
    start: dt.datetime
    end: dt.datetime
    container: str = ""
    words: tuple[str, ...] = ()
    lines_max: int = 100


@dataclass(frozen=True, slots=True)
class ArchivedLine:
    """One line, redacted and cut. ``pod`` and ``container`` are what the archive calls them, empty if it does not."""

    at: dt.datetime
    pod: str
    container: str
    text: str


@dataclass(frozen=True, slots=True)
class LogAnswer:
    """Lines, oldest first. ``warnings`` say why some may be missing (untrusted text, redacted and cut)."""

    lines: tuple[ArchivedLine, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def is_partial(self) -> bool:
        """Whether something may be missing."""
        return bool(self.warnings)
