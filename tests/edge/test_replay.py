"""A recording is played by the production pipeline on the data's own clock: same recording, same bytes, anywhere."""

import asyncio
import datetime as dt
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from opsagent.cli import app
from opsagent.replay import replay_lines
from opsagent.sim import Fault, fault_patch
from opsagent.sources.recording import HEADER_FILE, OBJECTS_FILE, Recording
from tests.edge.test_record import Box, in_box

HEALED = {"spec": {"template": {"spec": {"containers": [{"name": "web", "image": "shop/web:v1"}]}}}}


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a recording of a bad rollout that somebody undoes; it ends before all is quiet."""

    async def scene(box: Box) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(box.record(70))
            await asyncio.sleep(5)
            await box.patch(fault_patch(Fault.MISSING_IMAGE))
            await asyncio.sleep(40)
            await box.patch(HEALED)

    return in_box(tmp_path_factory.mktemp("replay"), scene).folder


def copy_of(recorded: Path, folder: Path, lines: list[bytes], **header: object) -> Path:
    """Write a recording with other lines and another header."""
    folder.mkdir()
    tree = yaml.safe_load((recorded / HEADER_FILE).read_text()) | header
    given = {key: value for key, value in tree.items() if value is not None}
    (folder / HEADER_FILE).write_text(yaml.safe_dump(given))
    (folder / OBJECTS_FILE).write_bytes(b"".join(lines))
    return folder


def lines_of(recorded: Path) -> list[bytes]:
    return (recorded / OBJECTS_FILE).read_bytes().splitlines(keepends=True)


def replayed(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in replay_lines(Recording(folder))]


def shifted(line: bytes, by: dt.timedelta) -> bytes:
    content = json.loads(line)
    at = dt.datetime.fromisoformat(content["ts"]) + by
    return json.dumps(content | {"ts": at.isoformat()}).encode() + b"\n"


def test_the_same_recording_gives_the_same_bytes(recorded: Path) -> None:
    first = list(replay_lines(Recording(recorded), with_timeline=True))
    assert first == list(replay_lines(Recording(recorded), with_timeline=True))
    assert len(first) > 3


async def test_processes_that_hash_otherwise_give_the_same_bytes(recorded: Path) -> None:
    async def played(seed: str) -> bytes:
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "opsagent", "replay", str(recorded), "--timeline",
            stdout=asyncio.subprocess.PIPE,
            env=os.environ | {"PYTHONHASHSEED": seed},  # noqa: TID251 - the child's own
        )  # fmt: skip
        out, _ = await child.communicate()
        assert child.returncode == 0
        return out

    here = "".join(f"{line}\n" for line in replay_lines(Recording(recorded), with_timeline=True))
    assert [await played(seed) for seed in ("1", "2")] == [here.encode()] * 2


def test_each_incident_is_told_as_it_stands_at_the_end(recorded: Path) -> None:
    (incident,) = replayed(recorded)
    assert incident["entity"] == {"kind": "Deployment", "namespace": "shop", "name": "web"}
    assert incident["diagnoses"][0]["cause"] == "incorrect_image_reference"
    assert incident["state"] == "mitigated"
    assert incident["plan_ids"] == []


def test_the_timeline_comes_before_its_incident(recorded: Path) -> None:
    *entries, last = map(json.loads, replay_lines(Recording(recorded), with_timeline=True))
    assert {entry["incident_id"] for entry in entries} == {last["incident_id"]}
    assert [entry["entry"] for entry in entries] == last["timeline"]


def test_time_goes_on_to_the_recordings_end(recorded: Path, tmp_path: Path) -> None:
    header = Recording(recorded).header
    assert header.end is not None
    later = (header.end + dt.timedelta(hours=1)).isoformat()
    (incident,) = replayed(copy_of(recorded, tmp_path / "later", lines_of(recorded), end=later))
    assert incident["state"] == "resolved"
    cleared = next(e["at"] for e in incident["timeline"] if e["kind"] == "alert_cleared")
    quiet = dt.datetime.fromisoformat(incident["resolved_at"]) - dt.datetime.fromisoformat(cleared)
    assert quiet == dt.timedelta(seconds=60), "as in life, not at the end"


def test_time_goes_on_between_two_lines_too(recorded: Path, tmp_path: Path) -> None:
    *lines, last = lines_of(recorded)
    lines.append(shifted(last, dt.timedelta(minutes=10)))
    (incident,) = replayed(copy_of(recorded, tmp_path / "gap", lines, end=None))
    assert incident["state"] == "resolved"


def test_a_recording_without_an_end_ends_with_its_last_line(recorded: Path, tmp_path: Path) -> None:
    (incident,) = replayed(copy_of(recorded, tmp_path / "open", lines_of(recorded), end=None))
    assert incident["state"] == "mitigated"


def test_a_clock_that_stepped_back_does_not_step_back_here(recorded: Path, tmp_path: Path) -> None:
    lines = lines_of(recorded)
    half = len(lines) // 2
    lines[half:] = [shifted(line, -dt.timedelta(hours=1)) for line in lines[half:]]
    for incident in replayed(copy_of(recorded, tmp_path / "back", lines)):
        stamps = [entry["at"] for entry in incident["timeline"]]
        assert stamps == sorted(stamps)
        assert stamps[0] >= json.loads(lines[0])["ts"][:19]


def test_an_empty_recording_is_of_a_quiet_cluster(recorded: Path, tmp_path: Path) -> None:
    assert replayed(copy_of(recorded, tmp_path / "empty", [])) == []


def test_the_command_names_the_lines_that_it_skipped(recorded: Path, tmp_path: Path) -> None:
    lines = [*lines_of(recorded), b"{\n", b'{"ts": "never"}\n']
    folder = copy_of(recorded, tmp_path / "bad", lines)
    ended = CliRunner().invoke(app, ["replay", str(folder)])
    assert ended.exit_code == 0
    assert len(ended.stdout.splitlines()) == 1
    *skipped, total = ended.stderr.splitlines()
    numbers = [line.split(" ")[1] for line in skipped]
    assert numbers == [str(len(lines) - 1), str(len(lines))]
    assert total == f"2 of {len(lines)} lines could not be read"


def test_the_command_is_silent_about_a_sound_recording(recorded: Path) -> None:
    ended = CliRunner().invoke(app, ["replay", str(recorded), "--timeline"])
    assert ended.stderr == ""
    assert len(ended.stdout.splitlines()) > 3
