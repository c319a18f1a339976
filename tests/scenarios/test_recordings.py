"""What a real API server said during a bad rollout and its rollback replays to one incident with its cause.

The recordings are made by ``python -m tests.lab.recordings``; no cluster is needed to read them.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from opsagent.replay import replay_lines
from opsagent.sources.recording import Recording

FOLDER = Path(__file__).parents[1] / "recordings"
BYTES_MAX = 300_000  # of one file: they are kept with the sources
EXPECTED = {
    "crash_loop": ("critical", "is crash looping"),
    "never_ready": ("warning", "does not become ready"),
}


def replayed(name: str) -> list[Any]:
    recording = Recording(FOLDER / name)
    incidents = [json.loads(line) for line in replay_lines(recording)]
    assert recording.report.bad_lines_total == 0
    return incidents


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_a_real_server_s_words_become_one_incident_with_its_cause(name: str) -> None:
    severity, words = EXPECTED[name]
    (incident,) = replayed(name)
    assert (incident["severity"], incident["entity"]["name"]) == (severity, "web")
    assert words in incident["title"]
    assert incident["diagnoses"][0]["cause"] == "bad_rollout"
    texts = [evidence["text"] for evidence in incident["diagnoses"][0]["evidence"]]
    assert any("shop/web:v1 -> shop/web:v2-" in text for text in texts)
    assert incident["state"] == "mitigated"  # the rollback is in the recording too


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_a_replay_gives_the_same_bytes_each_time(name: str) -> None:
    first, second = (
        list(replay_lines(Recording(FOLDER / name), with_timeline=True)) for _ in range(2)
    )
    assert first == second


def test_every_recording_is_small_and_used() -> None:
    names = {path.name for path in FOLDER.iterdir()}
    assert names == set(EXPECTED)
    for path in FOLDER.rglob("*"):
        assert path.stat().st_size <= BYTES_MAX
