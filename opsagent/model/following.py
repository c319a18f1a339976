"""How well logs are followed and kept, as numbers to show."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LogFollowing:
    """How well logs are followed now, and what came of it since the start.

    ``streams_open`` logs are followed, ``not_followed`` are too many for the budget. ``bytes`` and ``lines`` are
    what was read, ``entries`` what they became; ``skipped`` was too much a second, ``repeated_lines`` came again
    at a seam and were left out, ``unstamped_lines`` are the server's own words, of ``cut_lines`` only the
    beginning is kept, ``binary_lines`` are no text. ``seams`` were joined without a loss, at ``gaps`` nobody knows
    what is missing. ``reconnects`` are connections after the first of each log, ``failures`` those of them and of
    the first that were refused or broke off at once. ``last_error`` is empty while the last attempt of every
    log went well.
    """

    streams_open: int
    not_followed: int
    lines_total: int
    bytes_total: int
    entries_total: int
    skipped_lines_total: int
    skipped_bytes_total: int
    repeated_lines_total: int
    unstamped_lines_total: int
    cut_lines_total: int
    binary_lines_total: int
    seams_total: int
    gaps_total: int
    reconnects_total: int
    failures_total: int
    last_error: str


@dataclass(frozen=True, slots=True)
class LogKeeping:
    """How well log entries are kept. ``waiting`` are not stored yet, ``lost`` could not be.

    ``last_error`` is empty while the store takes them.
    """

    entries_total: int
    waiting: int
    lost_total: int
    failures_total: int
    last_error: str
