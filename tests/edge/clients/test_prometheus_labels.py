"""Labels of one answer have a bound: a few megabytes of tiny ones would take gigabytes."""

from itertools import count

import pytest

from opsagent.clients import prometheus_labels
from opsagent.clients.prometheus_bulk import RangeReader
from opsagent.clients.prometheus_labels import PAIRS_MAX, LabelMemory
from opsagent.ports import Terminal
from tests.edge.beset_daemon import memory_bounded


def tiny(series: int, labels: int) -> bytes:
    """Return an answer in which no label comes twice."""
    number = count()

    def metric() -> str:
        return ",".join(f'"{next(number):x}":"{next(number):x}"' for _ in range(labels))

    lines = (f'{{"metric":{{{metric()}}},"values":[[1767571200,"1"]]}}' for _ in range(series))
    return f'{{"status":"success","data":{{"resultType":"matrix","result":[{",".join(lines)}]}}}}'.encode()


@pytest.mark.parametrize(("series", "labels"), [(2_000, 700), (100_000, 14)])
def test_labels_that_never_repeat_are_refused_before_they_take_the_memory(
    series: int, labels: int
) -> None:
    answer = tiny(series, labels)
    with (
        memory_bounded(250 * 2**20),
        pytest.raises(Terminal, match=f"more than {PAIRS_MAX} new labels"),
    ):
        RangeReader().block(200, answer)


def test_what_is_new_is_counted_for_each_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prometheus_labels, "PAIRS_MAX", 3)
    memory = LabelMemory(lambda raw: [(each, each) for each in raw.decode()])
    for raw in (b"abc", b"def", b"ghi"):
        memory.begin()
        memory.labels(raw)
        memory.labels(b"abc")  # it is known
    with pytest.raises(Terminal):
        memory.labels(b"jklm")


def test_tiny_labels_of_many_answers_are_forgotten_before_they_take_the_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(prometheus_labels, "MEMORY_PAIRS_MAX", 5)
    forgotten: list[None] = []
    memory = LabelMemory(
        lambda raw: [(each, each) for each in raw.decode()], forget=lambda: forgotten.append(None)
    )
    for raw in (b"abc", b"def", b"ghi", b"abc"):
        memory.begin()
        assert memory.labels(raw) == tuple((each, each) for each in raw.decode())
    assert len(forgotten) == 1


def test_the_labels_of_a_very_large_cluster_are_none_too_many() -> None:
    memory = LabelMemory(
        lambda raw: [("namespace", "n"), ("pod", raw.decode()), ("id", f"/{raw.decode()}")]
    )
    memory.begin()
    for number in range(100_000):
        memory.labels(str(number).encode())
