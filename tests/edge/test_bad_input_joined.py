"""Whatever the daemon is fed, a crash elsewhere is seen in time, and the daemon's own status tells how much was bad."""

import datetime as dt
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from opsagent.clients.kube_read import EVENT_BYTES_MAX
from opsagent.clients.prometheus_bulk import RangeReader
from opsagent.model.series import STALE_BITS, Selection, SeriesBlock
from opsagent.ports import KubeTransport
from opsagent.signals.series import WindowShape
from opsagent.sources import log_pace
from tests.edge.beset_daemon import LAG_SECONDS_MAX, Outcome, Trouble, beset, memory_bounded
from tests.fakes.beset import BesetCluster, BesetSeries, Chunks
from tests.fakes.virtual_time import EPOCH

pytestmark = [pytest.mark.flood, pytest.mark.timeout(300)]  # 13 s of CPU at the most
MEGABYTE = 1_000_000
LISTED = frozenset({"pods", "deployments", "nodes", "events", "configmaps"})

NO_OBJECTS = (
    b"null",
    b"7",
    b'"pod"',
    b"[]",
    b"{}",
    b'{"metadata":null}',
    b'{"metadata":{}}',
    b'{"metadata":{"name":""}}',
    b'{"metadata":{"name":7}}',
    b'{"metadata":{"name":"\xff\xfe"}}',
    b'{"metadata":{"name":"a","labels":{"a":1}}}',
    b'{"metadata":{"name":"a","creationTimestamp":"yesterday"}}',
    b'{"metadata":{"name":"a","creationTimestamp":"2026-01-05T00:00:00"}}',
    b'{"metadata":{"name":"a","generation":1e999}}',
    b'{"metadata":{"name":"a","ownerReferences":{}}}',
    b'{"metadata":{"name":"a","x":' + b"[" * 5_000 + b"]" * 5_000 + b"}}",
)
NO_LINES = (
    *(b'{"type":"ADDED","object":' + each + b"}" for each in NO_OBJECTS),
    b"{",
    b"7",
    b"\xff\xfe\x00",
    b'{"type":"EXPLODED","object":{}}',
    b'{"type":"BOOKMARK","object":[]}',
    b'{"type":5}',
    b"x" * (EVENT_BYTES_MAX + 1),
)


def stamp(second: float) -> bytes:
    return f"{EPOCH + dt.timedelta(seconds=second):%Y-%m-%dT%H:%M:%S.%f}000Z ".encode()


def lines(count: int, seconds: int, make: Any) -> Chunks:
    """Return a log that prints so many lines, evenly, a tenth of a second at a time, from second 30 on."""
    each = count // (seconds * 10)

    def chunks() -> Iterator[tuple[float, bytes]]:
        for number in range(seconds * 10):
            at = stamp(30 + number / 10)
            yield (
                30 + number / 10,
                b"".join(at + make(number * each + n) + b"\n" for n in range(each)),
            )

    return chunks


def flooded(flood: Chunks, **more: Any) -> Trouble:
    def cluster(honest: KubeTransport) -> BesetCluster:
        return BesetCluster(honest, floods={"flood": flood}, **more)

    return Trouble(cluster, flood=True)


def followed(outcome: Outcome) -> dict[str, Any]:
    """Return what status says of logs; none is lost on the way to the disk."""
    logs = outcome.status["logs"]
    assert logs["kept"]["entries_total"] + logs["kept"]["waiting"] == logs["followed"]["entries_total"]  # fmt: skip
    assert logs["kept"]["lost_total"] == 0
    told: dict[str, Any] = logs["followed"]
    return told


def window(outcome: Outcome) -> dict[str, int]:
    """Return what status says of the samples of the one selection that there is."""
    (told,) = outcome.status["series"]["kept"]["windows"].values()
    numbers: dict[str, int] = told
    return numbers


def unharmed(outcome: Outcome) -> None:
    """The crash was seen in time, and nothing of the daemon had to be started again."""
    assert outcome.lag_seconds <= LAG_SECONDS_MAX
    assert len(outcome.opened) == outcome.status["incidents_open"] == 1
    assert outcome.status["restarts"] == {}
    assert outcome.status["unready"] == []
    assert {each["last_error"] for each in outcome.status["sources"].values()} == {""}


def honest_lines(tmp_path: Path) -> int:
    """Return how many lines the shop prints by itself, in the same time with the same pods."""
    told: int = followed(beset(tmp_path / "peace", flooded(lambda: iter(()))))["lines_total"]
    return told


def test_objects_of_no_form_are_counted_one_by_one(tmp_path: Path) -> None:
    clusters: list[BesetCluster] = []

    def cluster(honest: KubeTransport) -> BesetCluster:
        clusters.append(BesetCluster(honest, NO_OBJECTS, LISTED, NO_LINES))
        return clusters[0]

    outcome = beset(tmp_path, Trouble(cluster))
    unharmed(outcome)
    (sent,) = clusters
    assert sent.items_sent >= len(LISTED) * len(NO_OBJECTS)
    assert sent.lines_sent >= len(LISTED) * len(NO_LINES)
    malformed = outcome.status["counters"]["objects_malformed_total"]
    assert malformed == sent.items_sent + sent.lines_sent


def test_a_watch_that_tells_everything_three_times(tmp_path: Path) -> None:
    clusters: list[BesetCluster] = []

    def cluster(honest: KubeTransport) -> BesetCluster:
        clusters.append(BesetCluster(honest, lists=LISTED, echoes=2))
        return clusters[0]

    outcome = beset(tmp_path, Trouble(cluster))
    unharmed(outcome)
    sources = outcome.status["sources"].values()
    assert sum(each["repeats_total"] for each in sources) == clusters[0].echoes_sent > 20
    assert outcome.status["counters"]["objects_malformed_total"] == 0


def test_100_megabytes_of_logs_a_second_for_a_minute(tmp_path: Path) -> None:
    line = b"x" * 9_900
    outcome = beset(tmp_path, flooded(lines(600_000, 60, lambda _: line)))
    unharmed(outcome)
    told = followed(outcome)
    read = told["lines_total"] - honest_lines(tmp_path)
    assert read + told["skipped_lines_total"] == 600_000
    assert told["skipped_bytes_total"] > 5_800 * MEGABYTE
    assert told["bytes_total"] - told["skipped_bytes_total"] < 75 * log_pace.EACH


def test_a_million_distinct_lines_of_one_pod(tmp_path: Path) -> None:
    rng = random.Random(1)
    words = [f"w{rng.getrandbits(40):x}".encode() for _ in range(1009)]

    def line(n: int) -> bytes:
        return b"%s %s %d %s" % (words[n % 1009], words[n // 1009 % 1009], n, words[n // 7 % 1009])

    with memory_bounded(150 * 2**20):
        outcome = beset(tmp_path, flooded(lines(1_000_000, 10, line)))
    unharmed(outcome)
    told = followed(outcome)
    assert told["lines_total"] - honest_lines(tmp_path) + told["skipped_lines_total"] == 1_000_000


def test_a_line_of_100_megabytes_and_lines_that_are_no_text(tmp_path: Path) -> None:
    def chunks() -> Iterator[tuple[float, bytes]]:
        rng = random.Random(1)
        yield 30, stamp(30)
        for _ in range(100):
            yield 31, b"w" * MEGABYTE
        yield 32, b"\n" + stamp(32) + b"next\n"
        for second in range(33, 63):
            noise = (rng.randbytes(500).replace(b"\n", b" ") for _ in range(20))
            yield second, b"".join(stamp(second) + each + b"\n" for each in noise)

    with memory_bounded(150 * 2**20):
        outcome = beset(tmp_path, flooded(chunks))
    unharmed(outcome)
    told = followed(outcome)
    assert told["cut_lines_total"] == 1
    assert told["binary_lines_total"] == 600
    assert told["skipped_lines_total"] == 0
    assert told["lines_total"] == honest_lines(tmp_path) + 602


def lags(outcome: Outcome) -> list[float]:
    return [round(each["lag_seconds"]) for each in outcome.status["sources"].values()]


@pytest.mark.parametrize("hours", [1, -1, 24 * 3650, -24, -24 * 3650])
def test_a_clock_that_is_set(tmp_path: Path, hours: int) -> None:
    peace = beset(tmp_path / "peace", Trouble())
    outcome = beset(tmp_path / "set", Trouble(step=dt.timedelta(hours=hours)))
    assert outcome.lag_seconds <= peace.lag_seconds + LAG_SECONDS_MAX
    assert len(outcome.opened) == outcome.status["incidents_open"] == 1
    assert outcome.status["restarts"] == {}
    assert outcome.status["is_leader"]
    assert outcome.status["uptime_seconds"] == peace.status["uptime_seconds"]
    assert lags(outcome) == lags(peace)
    assert followed(outcome)["lines_total"] == followed(peace)["lines_total"]


SERIES = 20_000
PLACES = WindowShape().series_max
STALE = float(np.array(STALE_BITS).view(np.float64))


class OddSeries:
    """Twice as many series as there are places, each with two samples, the newer one told twice and first.

    Of ten series one is not a number, one infinite, one ended. The first one also has a sample of 1970 and one of
    tomorrow.
    """

    def __init__(self) -> None:
        self.labels = tuple((("__name__", "m"), ("pod", f"p{n}")) for n in range(SERIES))
        newest = np.arange(SERIES, dtype=np.float64)
        newest[0::10], newest[1::10], newest[2::10] = np.nan, np.inf, STALE
        rows = np.stack([newest, np.ones(SERIES), newest], axis=1).ravel()
        self.values = np.concatenate([[1.0, 1.0], rows])
        self.starts = np.concatenate([[0], np.arange(5, 3 * SERIES + 3, 3)]).astype(np.int64)

    def tell(self, _start: dt.datetime, end: dt.datetime) -> SeriesBlock:
        at = round(end.timestamp() * 1000)
        stamps = np.tile(np.array([at, at - 20_000, at], np.int64), SERIES)
        odd = np.array([1_000, at + 86_400_000], np.int64)
        return SeriesBlock(self.labels, self.starts, np.concatenate([odd, stamps]), self.values)


def test_series_of_every_odd_kind_and_twice_as_many_as_there_are_places(tmp_path: Path) -> None:
    source = BesetSeries(OddSeries().tell)
    with memory_bounded(200 * 2**20):
        outcome = beset(tmp_path, Trouble(series=source))
    unharmed(outcome)
    count = len(source.told)
    assert count > 5  # two hours in pieces
    assert outcome.status["series"]["samples_total"] == count * (3 * SERIES + 2)
    told = window(outcome)
    assert told == {
        "series": PLACES,
        "samples_total": count * (3 * SERIES + 2),
        "repeats_total": count * PLACES,
        "merged_total": 0,
        "late_total": count,
        "ahead_total": count,
        "dropped_total": count * 3 * (SERIES - PLACES),
        "unfinite_total": count * 2 * PLACES // 10,
        "ended_total": count * PLACES // 10,
    }


def answer(series: int) -> bytes:
    at = EPOCH.timestamp()
    lines = (f'{{"metric":{{"pod":"{n}"}},"values":[[{at},"1"]]}}' for n in range(series))
    return f'{{"status":"success","data":{{"resultType":"matrix","result":[{",".join(lines)}]}}}}'.encode()


def test_a_million_series_are_refused_and_the_other_selections_go_on(tmp_path: Path) -> None:
    reader, body, asked = RangeReader(), answer(1_000_000), []

    def tell(start: dt.datetime, _end: dt.datetime) -> SeriesBlock:
        asked.append(start)
        return reader.block(200, body)

    with memory_bounded(120 * 2**20):
        outcome = beset(tmp_path, Trouble(series=BesetSeries(tell)))
    unharmed(outcome)
    told = outcome.status["series"]
    assert told["failures_total"] == len(asked) > 1
    of = told["selections"]
    assert "an answer of more than 100000 series" in of[Selection.CONTAINER_MEMORY]["last_error"]
    others = [each for name, each in of.items() if name != Selection.CONTAINER_MEMORY]
    assert {each["last_error"] for each in others} == {""}


def test_as_many_series_as_an_answer_may_have(tmp_path: Path) -> None:
    reader, body = RangeReader(), answer(100_000)
    source = BesetSeries(lambda _start, _end: reader.block(200, body))
    with memory_bounded(250 * 2**20):
        outcome = beset(tmp_path, Trouble(series=source))
    unharmed(outcome)
    told = window(outcome)
    assert told["series"] == PLACES
    assert told["samples_total"] == len(source.told) * 100_000
    assert told["dropped_total"] == len(source.told) * (100_000 - PLACES)
    assert told["repeats_total"] == (len(source.told) - 1) * PLACES


def test_everything_at_once(tmp_path: Path) -> None:
    sent: list[BesetCluster] = []
    line = b"y" * 990

    def cluster(honest: KubeTransport) -> BesetCluster:
        flood = {"flood": lines(600_000, 20, lambda _: line)}
        sent.append(BesetCluster(honest, NO_OBJECTS, LISTED, NO_LINES, flood))
        return sent[0]

    source = BesetSeries(OddSeries().tell)
    with memory_bounded(250 * 2**20):
        outcome = beset(tmp_path, Trouble(cluster, source, flood=True))
    unharmed(outcome)
    malformed = outcome.status["counters"]["objects_malformed_total"]
    assert malformed == sent[0].items_sent + sent[0].lines_sent > 0
    told = followed(outcome)
    read = told["lines_total"] - honest_lines(tmp_path)
    assert read + told["skipped_lines_total"] == 600_000
    assert window(outcome)["samples_total"] == len(source.told) * (3 * SERIES + 2)


def test_the_measure_of_memory_tells() -> None:
    with pytest.raises(AssertionError, match="MiB"), memory_bounded(20 * 2**20):  # noqa: PT012 - what it takes is held within
        held = bytearray(200 * 2**20)  # more than what tests before may still give back meanwhile
        held[::4096] = b"x" * len(held[::4096])
