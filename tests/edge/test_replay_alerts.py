"""Recorded alerts reach the same fold as in life, at their instants and beside the objects; hostile ones are counted."""

import datetime as dt
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from opsagent.cli import app
from opsagent.controllers.reported import OPEN_MAX
from opsagent.detection.reported import SILENCE
from opsagent.replay import WAITING_MAX, replay_lines
from opsagent.sources.recording import ALERTS_FILE, LINE_BYTES_MAX, OBJECTS_FILE, Recording
from tests.edge.test_record import Box, in_box
from tests.fakes.virtual_time import EPOCH

START = EPOCH + dt.timedelta(seconds=1)


@pytest.fixture(scope="module")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a recording of a minute in which nothing happened."""

    async def scene(box: Box) -> None:
        await box.record(60)

    return in_box(tmp_path_factory.mktemp("quiet"), scene).folder


def pod_of(recording: Path, name: str) -> str:
    """Return a pod of the Deployment ``name``."""
    for line in (recording / OBJECTS_FILE).read_text().splitlines():
        item = json.loads(line)["object"]
        if item["kind"] == "Pod" and item.get("metadata", {}).get("name", "").startswith(name):
            return str(item["metadata"]["name"])
    raise AssertionError(name)


def told(
    seconds: float, *labels: dict[str, str], status: str = "firing", version: str = "4"
) -> bytes:
    """Return one line: what an Alertmanager says so many seconds after the start."""
    alerts = [
        {
            "status": status,
            "labels": {"alertname": "KubePodCrashLooping", "severity": "warning"} | each,
            "annotations": {"summary": "It crashes, and its password=hunter2hunter2 is wrong."},
            "startsAt": START.isoformat(),
        }
        for each in labels
    ]
    at = START + dt.timedelta(seconds=seconds)
    webhook = {"version": version, "alerts": alerts}
    return json.dumps({"ts": at.isoformat(), "webhook": webhook}).encode() + b"\n"


def with_alerts(quiet: Path, folder: Path, *lines: bytes, header: str = "") -> Path:
    """Return a copy of the quiet recording in which an Alertmanager speaks; with a header, without objects."""
    shutil.copytree(quiet, folder)
    if header:
        (folder / OBJECTS_FILE).unlink()
        (folder / "recording.yaml").write_text(header)
    (folder / ALERTS_FILE).write_bytes(b"".join(lines))
    return folder


def played(folder: Path, said: list[str] | None = None) -> list[dict[str, Any]]:
    say = [] if said is None else said
    return [json.loads(line) for line in replay_lines(Recording(folder), say=say.append)]


def kinds(incident: dict[str, Any]) -> list[str]:
    return [entry["kind"] for entry in incident["timeline"]]


def seconds(stamp: str) -> float:
    return (dt.datetime.fromisoformat(stamp) - START).total_seconds()


def test_an_alert_about_a_pod_opens_its_deployments_incident_at_its_instant(
    quiet: Path, tmp_path: Path
) -> None:
    pod = {"namespace": "shop", "pod": pod_of(quiet, "web")}
    lines = told(20, pod), told(30, pod, status="resolved")
    folder = with_alerts(quiet, tmp_path / "r", *lines)
    (incident,) = played(folder)
    assert incident["entity"] == {"kind": "Deployment", "namespace": "shop", "name": "web"}
    assert seconds(incident["opened_at"]) == 20
    assert kinds(incident)[-1] == "alert_cleared"
    assert "hunter2" not in json.dumps(incident)


def test_the_same_recording_gives_the_same_bytes(quiet: Path, tmp_path: Path) -> None:
    lines = [told(at, {"namespace": "shop", "pod": pod_of(quiet, "web")}) for at in range(40)]
    folder = with_alerts(quiet, tmp_path / "r", *lines)
    first, second = (list(replay_lines(Recording(folder), with_timeline=True)) for _ in range(2))
    assert first == second
    assert len(first) > 2


def test_an_alert_before_the_cluster_was_listed_waits_for_that(quiet: Path, tmp_path: Path) -> None:
    pod = {"namespace": "shop", "pod": pod_of(quiet, "cart")}
    (incident,) = played(with_alerts(quiet, tmp_path / "r", told(-3600, pod)))
    assert incident["entity"]["name"] == "cart"
    assert seconds(incident["opened_at"]) >= -1


def test_alerts_alone_are_a_recording_too(quiet: Path, tmp_path: Path) -> None:
    lines = [
        told(at, {"namespace": "shop"}, status=how) for at, how in ((5, "firing"), (9, "resolved"))
    ]
    header = f"name: alerts\nend: {(START + dt.timedelta(hours=1)).isoformat()}\n"
    (incident,) = played(with_alerts(quiet, tmp_path / "r", *lines, header=header))
    assert (seconds(incident["opened_at"]), seconds(incident["resolved_at"])) == (5, 69)


def test_an_alert_of_which_nothing_more_is_heard_ends_as_in_life(
    quiet: Path, tmp_path: Path
) -> None:
    header = f"name: alerts\nend: {(START + dt.timedelta(days=1)).isoformat()}\n"
    folder = with_alerts(quiet, tmp_path / "r", told(0, {"namespace": "shop"}), header=header)
    (incident,) = played(folder)
    cleared = next(e["at"] for e in incident["timeline"] if e["kind"] == "alert_cleared")
    assert seconds(cleared) == SILENCE.total_seconds()


def test_alerts_of_a_cluster_that_was_never_listed_whole_are_told_at_the_end(
    quiet: Path, tmp_path: Path
) -> None:
    folder = with_alerts(quiet, tmp_path / "r", told(0, {"namespace": "shop"}))
    objects = (folder / OBJECTS_FILE).read_bytes().splitlines(keepends=True)
    (folder / OBJECTS_FILE).write_bytes(b"".join(x for x in objects if b'"SYNCED"' not in x))
    assert len(played(folder)) == 1


def test_more_alerts_than_may_wait_do_not_wait_and_more_than_are_kept_are_said(
    quiet: Path, tmp_path: Path
) -> None:
    many = [{"namespace": f"n{number}"} for number in range(1000)]
    lines = [
        told(-3600, *(each | {"part": str(part)} for each in many))
        for part in range(WAITING_MAX // 1000)
    ]
    said: list[str] = []
    incidents = played(with_alerts(quiet, tmp_path / "r", *lines), said)
    assert len(incidents) == OPEN_MAX
    assert {seconds(each["opened_at"]) for each in incidents} == {-3600}
    assert said == [f"{WAITING_MAX - OPEN_MAX} alerts were left out: more than {OPEN_MAX} at once"]


HOSTILE = {
    "no json": b"{\n",
    "no stamp": b'{"webhook": {"version": "4", "alerts": []}}\n',
    "no webhook": b'{"ts": "2026-01-05T00:00:00Z"}\n',
    "another version": told(0, version="3"),
    "too many alerts": told(0, *[{"n": str(number)} for number in range(1001)]),
    "no text": b'{"ts": "2026-01-05T00:00:00Z", "webhook": "\xff"}\n',
    "no alerts": b'{"ts": "2026-01-05T00:00:00Z", "webhook": []}\n',
    "a date before time": told(0).replace(b"2026", b"0000"),
    "deep": b'{"ts": "2026-01-05T00:00:00Z", "webhook": ' + b"[" * 100_000 + b"\n",
    "deep in a label": told(0, {"x": "y"}).replace(b'"y"', b"[" * 5000 + b"]" * 5000),
    "long": b'{"ts": "' + b"x" * LINE_BYTES_MAX + b"\n",
}


def ran(folder: Path) -> tuple[int, list[str], list[str]]:
    ended = CliRunner().invoke(app, ["replay", str(folder)])
    return ended.exit_code, ended.stdout.splitlines(), ended.stderr.splitlines()


@pytest.mark.parametrize("hostile", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_line_is_counted_and_its_neighbours_are_played(
    hostile: bytes, quiet: Path, tmp_path: Path
) -> None:
    good = told(10, {"namespace": "shop"})
    code, out, err = ran(with_alerts(quiet, tmp_path / "r", hostile, good))
    assert code == 0
    assert len(out) == 1
    assert err[0].startswith("alerts.jsonl: line 1 skipped: ")
    assert err[1:] == ["alerts.jsonl: 1 of 2 lines could not be read"]


def test_a_recording_is_played_up_to_where_it_was_cut_off(quiet: Path, tmp_path: Path) -> None:
    good = told(10, {"namespace": "shop"})
    for cut in range(1, len(good) - 2, 17):
        folder = with_alerts(quiet, tmp_path / str(cut), good, good[:cut])
        assert len(played(folder)) == 1
        code, _, err = ran(folder)
        assert (code, err[-1]) == (0, "alerts.jsonl: 1 of 2 lines could not be read")


def test_what_is_not_played_is_named(quiet: Path, tmp_path: Path) -> None:
    folder = with_alerts(quiet, tmp_path / "r")
    (folder / "logs").mkdir()
    (folder / "metrics.om").write_text("# EOF\n")
    assert ran(folder) == (
        0,
        [],
        ["not played, only objects, alerts and calls are: logs, metrics.om"],
    )


def test_compressed_alerts_are_refused_with_what_to_do(quiet: Path, tmp_path: Path) -> None:
    folder = with_alerts(quiet, tmp_path / "r")
    (folder / ALERTS_FILE).rename(folder / f"{ALERTS_FILE}.zst")
    ended = CliRunner().invoke(app, ["replay", str(folder)])
    assert "unpack it with `zstd -d`" in str(ended.exception)


def test_of_more_lines_than_are_read_it_is_said(quiet: Path, tmp_path: Path) -> None:
    folder = with_alerts(quiet, tmp_path / "r", *[told(10, {"namespace": "shop"})] * 3)
    recording = Recording(folder, lines_max=2)
    assert len(list(recording.notices())) == 2
    assert recording.alerts_report.is_cut
