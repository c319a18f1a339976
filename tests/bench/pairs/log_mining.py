"""Log mining with redaction on, beside masked Drain3, which redacts nothing.

Both get the same texts: messages of the corpus without their headers, as the literature feeds a miner.
``unique``: a fresh stamp, trace id and number in every line. ``repetitive``: drawn by Zipf's law from 2,000
lines. ``messages``: as they come. ``intake``: the whole way from bytes to redacted entries, beside Drain3 on the
same raw lines.
"""

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache

from opsagent.signals.logs.intake import LogIntake
from opsagent.signals.logs.mining import Miner
from opsagent.signals.logs.scrubbing import Scrubber
from tests.bench.drain import masked_drain
from tests.bench.frame import Pair, Sides
from tests.corpus.generate import Line, everything

LINES_OF_DIALECT = 2000
POOL = 2000
SEED = 1


@cache
def _lines() -> tuple[Line, ...]:
    lines = list(everything(SEED, LINES_OF_DIALECT))
    random.Random(SEED).shuffle(lines)
    return tuple(lines)


def messages() -> list[str]:
    return [line.content for line in _lines()]


def unique() -> list[str]:
    rng = random.Random(SEED)
    return [
        f"{line.at.isoformat()} {line.content} trace_id={rng.getrandbits(128):032x} seq={number}"
        for number, line in enumerate(_lines())
    ]


def repetitive() -> list[str]:
    pool = [line.content for line in _lines()[:POOL]]
    weights = [1 / (rank + 1) for rank in range(POOL)]
    return random.Random(SEED).choices(pool, weights, k=len(_lines()))


def _opened(make: Callable[[], Sequence[str]]) -> Callable[[], object]:
    @contextmanager
    def opened() -> Iterator[Sides]:
        texts = make()

        def candidate() -> int:
            miner = Miner(Scrubber())
            for text in texts:
                miner.mine(text)
            return miner.overflow.count + sum(each.count for each in miner.templates())

        def yardstick() -> int:
            miner = masked_drain()
            for text in texts:
                miner.add_log_message(text)
            return sum(cluster.size for cluster in miner.drain.clusters)

        yield Sides(candidate, yardstick, len(texts))

    return opened


@contextmanager
def _intake() -> Iterator[Sides]:
    raw = [line.raw for line in _lines()]
    chunks = ["".join(f"{text}\n" for text in raw[at : at + 500]).encode() for at in range(0, len(raw), 500)]  # fmt: skip
    now = _lines()[0].at

    def candidate() -> int:
        scrubber = Scrubber()
        intake = LogIntake(scrubber, Miner(scrubber), has_stamps=False)
        return sum(len(intake.feed(chunk, now)) for chunk in chunks) + len(intake.close(now))

    def yardstick() -> int:
        miner = masked_drain()
        for text in raw:
            miner.add_log_message(text)
        return sum(cluster.size for cluster in miner.drain.clusters)

    yield Sides(candidate, yardstick, len(raw))


ROWS = (
    Pair("logs.mining.unique", 5, _opened(unique)),
    Pair("logs.mining.repetitive", 20, _opened(repetitive)),
    Pair("logs.mining.messages", 1, _opened(messages)),
    Pair("logs.intake", 1, _intake),
)
