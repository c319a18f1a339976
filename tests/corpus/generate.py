"""The corpus: seeded lines of every dialect, each with the template it came from and the secrets in it.

A line comes three ways: ``raw`` as the program prints it, ``content`` as the literature feeds a miner
(the header stripped by hand, structured fields left out; of a line without a message, its fields), and
``template``, the truth. Lines are drawn by Zipf's law over a shuffled order of the templates, as a few
messages make up most of any real log. Same seed, same bytes.
"""

import datetime as dt
import random
from collections.abc import Iterator
from dataclasses import dataclass

from tests.corpus.canaries import planted
from tests.corpus.dialects import DIALECTS
from tests.corpus.dialects.shape import Dialect, Said
from tests.corpus.slots import filled

START = dt.datetime(2026, 1, 5, tzinfo=dt.UTC)
LINES = 2000  # of a dialect, unless told: the size of a sample in the literature


@dataclass(frozen=True, slots=True)
class Line:
    raw: str
    content: str
    template: str
    level: str
    at: dt.datetime
    secrets: tuple[str, ...] = ()


def lines(dialect: Dialect, seed: int = 0, count: int = LINES, secrets: int = 0) -> Iterator[Line]:
    """Yield ``count`` lines of one dialect; every ``secrets``-th carries a planted secret, none if 0."""
    rng = random.Random(f"{dialect.name}/{seed}")
    order = list(range(len(dialect.templates)))
    rng.shuffle(order)
    weights = [1 / (rank + 1) for rank in range(len(order))]
    at = START
    for position, index in enumerate(rng.choices(order, weights, k=count)):
        at += dt.timedelta(microseconds=int(rng.expovariate(1) * 1_000_000))
        canary = planted(rng) if secrets and position % secrets == 0 else None
        yield _line(dialect, index, at, rng, "" if canary is None else canary.text, () if canary is None else canary.secrets)  # fmt: skip


def _line(
    dialect: Dialect,
    index: int,
    at: dt.datetime,
    rng: random.Random,
    extra: str,
    secrets: tuple[str, ...],
) -> Line:
    level, _, template = dialect.templates[index].partition(" ")
    text, bar, rest = template.partition("| ")
    text = filled(text.strip(), rng).replace("STAMP", f"{at:%d/%b/%Y:%H:%M:%S +0000}")
    fields = _fields(filled(rest, rng)) if bar else {}
    content = text or " ".join(f"{key}={value}" for key, value in fields.items())
    if extra and text:
        text = content = f"{text} {extra}"
    elif extra:
        fields["detail"] = extra
        content = f"{content} detail={extra}"
    raw = dialect.header(Said(at, level, text, fields, rng, index))
    return Line(raw, content, f"{dialect.name}/{index}", level, at, secrets)


def _fields(text: str) -> dict[str, str]:
    """Read ``key=value key=value with blanks``: a word with ``=`` after a bare name opens the next field."""
    fields: dict[str, str] = {}
    key = ""
    for word in text.split(" "):
        name, equals, value = word.partition("=")
        if equals and name.replace("_", "").replace("-", "").isalnum() and value[:1] != " ":
            key, fields[name] = name, value
        elif key:
            fields[key] += f" {word}"
    return fields


def everything(seed: int = 0, count: int = LINES, secrets: int = 0) -> Iterator[Line]:
    """Yield the lines of all dialects, one dialect after another."""
    for dialect in DIALECTS:
        yield from lines(dialect, seed, count, secrets)
