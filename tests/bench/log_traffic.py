"""Log entries as the raw store gets them: lines of every dialect of the corpus that went through our intake.

Lines come as the API server sends them, each behind its stamp, from one container a dialect, up to
``BATCH_MAX`` at a time. *Repeated*: ``POOL`` lines of each dialect, drawn by Zipf's law; *unique*: a fresh trace id
and number in every line, 222 bytes each with its stamp; *structured*: the same in a line of JSON with the context that
applications log with, 413 bytes each.
"""

import datetime as dt
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from functools import cache

from opsagent.model.entity import Entity, Kind
from opsagent.model.log import LogEntry, LogOrigin
from opsagent.signals.logs.intake import LogIntake
from opsagent.signals.logs.mining import Miner
from opsagent.signals.logs.scrubbing import Scrubber
from tests.corpus.dialects import DIALECTS
from tests.corpus.dialects.shape import Dialect
from tests.corpus.generate import Line, lines

SEED = 1
LINES_OF_DIALECT = 4000
POOL = 100
BATCH_MAX = 60
NOW = dt.datetime(2026, 1, 5, 12, tzinfo=dt.UTC)


class Lines(Enum):
    """What is said, see the module's docstring."""

    REPEATED = "repeated"
    UNIQUE = "unique"
    STRUCTURED = "structured"


@dataclass(frozen=True, slots=True)
class Traffic:
    """Batches in order of arrival, and how many bytes of log they were."""

    batches: tuple[tuple[LogOrigin, tuple[LogEntry, ...]], ...]
    raw_bytes: int

    def entries(self) -> Iterator[tuple[LogOrigin, LogEntry]]:
        return ((origin, entry) for origin, entries in self.batches for entry in entries)


@cache
def traffic(kind: Lines) -> Traffic:
    rng, scrubber = random.Random(SEED), Scrubber()
    logs, raw_bytes = [], 0
    for dialect in DIALECTS:
        said = list(lines(dialect, SEED, LINES_OF_DIALECT))
        log = "".join(_sent(dialect, said, rng, kind)).encode()
        raw_bytes += len(log)
        intake = LogIntake(scrubber, Miner(scrubber))
        logs.append((_origin(dialect), [*intake.feed(log, NOW), *intake.close(NOW)]))
    return Traffic(tuple(_arriving(logs, rng)), raw_bytes)


def _origin(dialect: Dialect) -> LogOrigin:
    pod = Entity(Kind.POD, "shop", f"{dialect.name}-7d9f8b6c5-x2x9q")
    return LogOrigin(pod, dialect.name)


def _sent(dialect: Dialect, said: list[Line], rng: random.Random, kind: Lines) -> Iterator[str]:
    """Yield what the API server sends: each line of each record behind the stamp of when it was said."""
    weights = [1 / (rank + 1) for rank in range(POOL)]
    drawn = rng.choices(said[:POOL], weights, k=len(said)) if kind is Lines.REPEATED else said
    for number, (when, what) in enumerate(zip(said, drawn, strict=True)):
        trace = f"{rng.getrandbits(128):032x}"
        record = what.raw
        if kind is Lines.UNIQUE:
            record = f"{record} trace_id={trace} seq={number}"
        if kind is Lines.STRUCTURED:
            record = _structured(dialect, when, trace, number)
        stamp = f"{when.at:%Y-%m-%dT%H:%M:%S.%f}{rng.randrange(1000):03}Z"
        yield from (f"{stamp} {line}\n" for line in record.split("\n"))


def _structured(dialect: Dialect, said: Line, trace: str, number: int) -> str:
    context = {
        "@timestamp": f"{said.at.isoformat(timespec='milliseconds')[:-6]}Z",
        "level": "INFO",
        "service.name": dialect.name,
        "service.version": "1.14.2",
        "deployment.environment": "production",
        "cloud.region": "eu-west-1",
        "host.name": f"{dialect.name}-7d9f8b6c5-x2x9q",
        "thread": f"http-exec-{number % 16}",
        "message": said.content,
        "trace_id": trace,
        "seq": number,
    }
    return json.dumps(context, separators=(",", ":"))


def _arriving(
    logs: list[tuple[LogOrigin, list[LogEntry]]], rng: random.Random
) -> Iterator[tuple[LogOrigin, tuple[LogEntry, ...]]]:
    """Yield batches of logs taken at random, each log in its own order."""
    at = dict.fromkeys(range(len(logs)), 0)
    while at:
        log = rng.choice([*at])
        origin, entries = logs[log]
        begin, end = at[log], at[log] + rng.randint(1, BATCH_MAX)
        yield origin, tuple(entries[begin:end])
        at[log] = end
        if end >= len(entries):
            del at[log]
