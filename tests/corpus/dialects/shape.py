"""What a dialect is made of, and the stamps its headers share."""

import datetime as dt
import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass

LEVELS = {"D": "debug", "I": "info", "W": "warning", "E": "error", "F": "fatal"}


@dataclass(frozen=True, slots=True)
class Said:
    """One message before it is dressed: when, how bad, the text, structured fields in order."""

    at: dt.datetime
    level: str  # a letter of LEVELS
    text: str
    fields: Mapping[str, str]
    rng: random.Random
    index: int  # of the template: a message comes from one place in a program

    def source(self, *names: str) -> str:
        """Return the one of ``names`` that prints this message."""
        return names[self.index % len(names)]


@dataclass(frozen=True, slots=True)
class Dialect:
    name: str
    header: Callable[[Said], str]
    templates: tuple[str, ...]


def templates(text: str) -> tuple[str, ...]:
    return tuple(line.strip() for line in text.strip().splitlines())


def iso(at: dt.datetime, digits: int = 3, zone: str = "Z", sep: str = "T") -> str:
    fraction = f"{at.microsecond:06d}000"[:digits]
    return at.strftime(f"%Y-%m-%d{sep}%H:%M:%S") + (f".{fraction}" if digits else "") + zone


def pairs(said: Said) -> str:
    """Return the fields as Go prints them: bare where it can, quoted where it must."""
    return "".join(f" {key}={_bare(value)}" for key, value in said.fields.items())


def _bare(value: str) -> str:
    is_plain = value and not set(value) & set(' ="{}[]')
    return value if is_plain else json.dumps(value, ensure_ascii=False)


def quoted_pairs(said: Said) -> str:
    """Return the fields as klog prints them: texts always quoted, numbers bare."""
    return "".join(f" {key}={_klogged(value)}" for key, value in said.fields.items())


def _klogged(value: str) -> str:
    return value if value.isdigit() else json.dumps(value, ensure_ascii=False)
