"""The commands that look before anything runs, and the text they print, called in this process."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from opsagent.cli import app
from opsagent.ports import Terminal
from opsagent.settings import Settings
from opsagent.terminal import Exit, finding_lines, seconds

RECORDINGS = Path(__file__).parents[2] / "recordings"


def invoke(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_a_valid_file_is_said_to_be_valid(tmp_path: Path) -> None:
    path = tmp_path / "opsagent.yaml"
    path.write_text("cluster: staging\n")
    for named in ([path], ["--config", path], ["-c", path]):
        done = invoke("config", "validate", *named)
        assert (done.exit_code, done.stdout) == (Exit.DONE, f"{path} is valid\n")


@pytest.mark.parametrize("named", [[], ["a.yaml", "--config", "b.yaml"]])
def test_one_file_has_to_be_named(named: list[str]) -> None:
    done = invoke("config", "validate", *named)
    assert done.exit_code == Exit.USAGE
    assert "name one file" in done.stderr


def test_the_schema_is_json() -> None:
    done = invoke("config", "schema")
    assert json.loads(done.stdout) == Settings.model_json_schema()


@pytest.mark.parametrize("as_json", [False, True])
def test_doctor_says_what_fails_and_ends_with_its_code(as_json: bool, tmp_path: Path) -> None:
    path = tmp_path / "opsagent.yaml"
    path.write_text("polcy: {}\n")
    done = invoke("doctor", "--config", path, *(["--json"] if as_json else []))
    assert done.exit_code == Exit.FINDINGS
    if as_json:
        (finding,) = [json.loads(line) for line in done.stdout.splitlines()]
        assert (finding["check"], finding["verdict"]) == ("config", "fail")
    else:
        first, fault, advice = done.stdout.splitlines()
        assert first.startswith("fail  config: ")
        assert "polcy: unknown key" in fault
        assert advice.startswith("      -> correct the file")


def test_a_finding_cannot_play_tricks_on_the_terminal() -> None:
    finding = {"check": "c", "verdict": "ok", "text": "a\x1b[2Jb\nc\u202ed", "advice": ""}
    lines = list(finding_lines(finding))
    assert len(lines) == 2
    assert not any("\x1b" in line or "\u202e" in line for line in lines)


def test_replay_prints_incidents_and_nothing_else() -> None:
    done = invoke("replay", RECORDINGS / "crash_loop")
    assert done.exit_code == Exit.DONE
    assert [json.loads(line)["entity"]["name"] for line in done.stdout.splitlines()] == ["web"]
    told = invoke("replay", RECORDINGS / "crash_loop", "--timeline")
    assert len(told.stdout.splitlines()) > 3


def test_a_recording_needs_a_cluster(tmp_path: Path) -> None:
    done = invoke("record", tmp_path / "out", "--kubeconfig", tmp_path / "nowhere", "-n", "shop")
    assert isinstance(done.exception, Terminal)
    assert "nowhere cannot be read" in str(done.exception)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("text", "value"), [("90s", 90), ("10m", 600), ("2h", 7200), ("1d", 86400)]
)
def test_durations_are_a_number_and_a_unit(text: str, value: float) -> None:
    assert seconds(text) == value


@pytest.mark.parametrize(
    "text", ["", "10", "m", "-1m", "1.5h", "10 m", "1w", "1m\n", "9" * 20 + "s"]
)
def test_other_durations_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="90s, 10m, 2h, 1d"):
        seconds(text)
