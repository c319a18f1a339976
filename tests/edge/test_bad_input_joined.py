"""Whatever the daemon is fed, a crash elsewhere is seen in time, and the daemon's own status tells how much was bad."""

import datetime as dt
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from opsagent.clients.kube_read import EVENT_BYTES_MAX
from opsagent.ports import KubeTransport
from opsagent.sources import log_pace
from tests.edge.beset_daemon import LAG_SECONDS_MAX, Outcome, Trouble, beset, memory_bounded
from tests.fakes.beset import BesetCluster, Chunks
from tests.fakes.virtual_time import EPOCH

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


@pytest.mark.parametrize("hours", [1, -1, 24 * 3650, -24, -24 * 3650])
def test_a_clock_that_is_set(tmp_path: Path, hours: int) -> None:
    peace = beset(tmp_path / "peace", Trouble())
    outcome = beset(tmp_path / "set", Trouble(step=dt.timedelta(hours=hours)))
    assert outcome.lag_seconds <= peace.lag_seconds + LAG_SECONDS_MAX
    assert len(outcome.opened) == outcome.status["incidents_open"] == 1
    assert outcome.status["restarts"] == {}
    assert outcome.status["is_leader"]
    assert followed(outcome)["lines_total"] == followed(peace)["lines_total"]
