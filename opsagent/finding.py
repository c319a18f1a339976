"""What one check of the doctor found: a verdict, what it means and what to do."""

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found. ``advice`` says what to do, empty if nothing."""

    check: str
    verdict: Verdict
    text: str
    advice: str = ""
