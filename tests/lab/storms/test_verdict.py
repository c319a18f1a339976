"""The judges find what is planted: else "0 missed, 0 phantoms" would mean nothing."""

from pathlib import Path

import msgspec
import pytest

from opsagent.model.entity import Kind
from tests.lab.storms.etcd import Write
from tests.lab.storms.proxy import Ask
from tests.lab.storms.sighting import Log, Sighting
from tests.lab.storms.verdict import busiest, differences, lags, percentile, phantoms, unseen
from tests.lab.storms.witness import Witness


def at(
    second: float, version: int, phase: str = "Running", *, uid: str = "u1", name: str = "shop/a"
) -> Sighting:
    return Sighting(second, "Pod", name, uid, version, phase, committed_at=second + 0.5)


def end(second: float, version: int, uid: str = "u1") -> Sighting:
    return Sighting(second, "Pod", "shop/a", uid, version, is_deleted=True)


TRUTH = [at(1, 10, "Pending"), at(2, 11), at(3, 12), end(60, 13), at(61, 14, uid="u2")]
SYNCED = Sighting(2, "Pod")


def test_who_saw_all_of_it_or_only_some_saw_no_phantom():
    assert phantoms(TRUTH, [TRUTH[0], SYNCED, *TRUTH[1:]]) == []
    assert phantoms(TRUTH, [TRUTH[0], end(70, 12), TRUTH[4]]) == []  # told late, by a list


@pytest.mark.parametrize(
    ("seen", "word"),
    [
        ([at(1, 10, "Failed")], "never stored"),
        ([at(1, 9)], "never stored"),
        ([at(1, 10, "Pending", uid="u9")], "never stored"),
        ([at(1, 10, "Pending", name="shop/b")], "never stored"),
        ([TRUTH[1], TRUTH[0]], "not news"),
        ([TRUTH[1], TRUTH[1]], "not news"),
        ([TRUTH[1], end(30, 11)], "an end that never came, or not then"),
        ([TRUTH[4], end(70, 14, "u2")], "an end that never came, or not then"),
        ([TRUTH[1], TRUTH[3], TRUTH[2]], "after its end"),
        ([TRUTH[1], TRUTH[3], TRUTH[3]], "after its end"),
    ],
)
def test_a_planted_phantom_is_found(seen: list[Sighting], word: str):
    (found,) = phantoms(TRUTH, seen)
    assert found.startswith(word)


@pytest.mark.parametrize(
    ("other", "missed", "beyond"),
    [
        ([at(9, 12)], 0, 0),
        ([], 1, 0),
        ([at(9, 11)], 1, 0),
        ([at(9, 12, "Pending")], 1, 0),
        ([at(9, 12, uid="u2")], 1, 0),
        ([at(9, 12), at(9, 12, name="shop/b")], 0, 1),
    ],
)
def test_a_picture_is_compared_in_both_directions(other: list[Sighting], missed: int, beyond: int):
    right = {("Pod", "shop/a"): at(3, 12)}
    found = differences(right, {(each.kind, each.name): each for each in other})
    assert tuple(map(len, found)) == (missed, beyond)


def test_in_fine_weather_a_passing_state_must_be_seen_too():
    seen = [TRUTH[0], TRUTH[2]]
    (found,) = unseen(TRUTH, seen, since=0, before=60)
    assert "version=11" in found
    assert unseen(TRUTH, seen, since=3, before=61) == []
    assert unseen(TRUTH, TRUTH, since=0, before=100) == []


def test_lag_is_from_the_witness_to_the_commit():
    seen = [at(1.5, 10), at(3, 12), SYNCED]
    assert lags(TRUTH, seen, since=0) == [0.5, 1.0]
    assert lags(TRUTH, seen, since=2) == [0.5]
    assert [percentile([1.0, 2.0, 3.0], share) for share in (0, 0.5, 1)] == [1.0, 2.0, 3.0]


def test_the_busiest_moment_is_found_and_pages_do_not_count():
    times = [0.0, 1.0, 9.0, 10.5, 11.0, 30.0]
    asks = [Ask(time, "pods", "list") for time in times]
    asks += [Ask(1.0, "pods", "more")] * 9 + [Ask(1.0, "", "other")] * 9
    asks += [Ask(5.0, "pods", "watch")]
    assert busiest(asks, 10) == {("pods", "list"): 4, ("pods", "watch"): 1}


def test_a_log_is_read_as_it_grows_and_half_a_line_waits(tmp_path: Path):
    path = tmp_path / "log"
    log = Log(path)
    assert log.read().sightings == []
    lines = b"".join(msgspec.json.encode(each) + b"\n" for each in (*TRUTH[:2], SYNCED, TRUTH[3]))
    path.write_bytes(lines[:-20])
    assert log.read().newest == {("Pod", "shop/a"): TRUTH[1]}
    path.write_bytes(lines)
    assert log.read().sightings == [*TRUTH[:2], SYNCED, TRUTH[3]]
    assert log.newest == {}
    assert log.lists == {"Pod": 1}


def test_the_witness_gives_an_end_the_uid_that_it_remembers():
    witness = Witness()
    pod = {"metadata": {"uid": "u1"}, "status": {"phase": "Running"}}
    writes = [
        Write("pods/shop/a", 11, pod),
        Write("leases/ops/a", 12, {}),
        Write("minions/node-1", 13, {"metadata": {"uid": "n1"}}),
        Write("services/specs/shop/web", 14, {"metadata": {"uid": "s1"}}),
        Write("services/endpoints/shop/web", 15, {"metadata": {"uid": "e1"}}),
        Write("pods/shop/a", 16, None),
    ]
    assert [witness.sighting(write, 2) for write in writes] == [
        Sighting(2, Kind.POD, "shop/a", "u1", 11, "Running"),
        None,
        Sighting(2, Kind.NODE, "node-1", "n1", 13),
        Sighting(2, Kind.SERVICE, "shop/web", "s1", 14),
        None,
        Sighting(2, Kind.POD, "shop/a", "u1", 16, is_deleted=True),
    ]
