"""What a folder of runbooks has to look like, and how a mistake in one is told."""

import datetime as dt
from pathlib import Path

import pytest

from opsagent.model.incident import Cause
from opsagent.model.plan import ActionType, VerifySpec
from opsagent.ports import Terminal
from opsagent.responder.library import FILE_BYTES_MAX, FolderLibrary, parse_duration, shipped_folder
from opsagent.runbook import RevisionChoice, Runbook, RunbookAction

SKILL = """---
name: {name}
description: What it is for.
---

# Text for people
"""
MACHINE = """
causes: [bad_rollout]
confidence_min: 0.6
change_within: 30m
action: {type: rollout_undo, to_revision: last_healthy}
verify: {window: 2m, samples_min: 3}
"""
HEADINGS = ("Meaning", "Impact", "Diagnosis", "Decision table", "Mitigation", "Escalate when")


def write(root: Path, name: str, skill: str = SKILL, machine: str = MACHINE) -> Path:
    folder = root / name
    folder.mkdir(parents=True)
    (folder / "SKILL.md").write_text(skill.replace("{name}", name))
    (folder / "runbook.yaml").write_text(machine)
    return folder


def test_a_folder_becomes_values_by_name(tmp_path: Path) -> None:
    write(tmp_path, "second")
    write(tmp_path, "first", machine=MACHINE.replace("30m", "2h"))
    first, second = FolderLibrary([tmp_path]).runbooks()
    assert second == Runbook(
        name="second",
        description="What it is for.",
        causes=frozenset({Cause.BAD_ROLLOUT}),
        confidence_min=0.6,
        change_within=dt.timedelta(minutes=30),
        action=RunbookAction(ActionType.ROLLOUT_UNDO, RevisionChoice.LAST_HEALTHY),
        verify=VerifySpec(120, 3),
    )
    assert (first.name, first.change_within) == ("first", dt.timedelta(hours=2))


def test_a_later_folder_overrides_by_name(tmp_path: Path) -> None:
    write(tmp_path / "shipped", "one")
    write(tmp_path / "shipped", "two")
    write(tmp_path / "team", "two", machine=MACHINE.replace("0.6", "0.9"))
    write(tmp_path / "team", "three")
    books = FolderLibrary([tmp_path / "shipped", tmp_path / "team"]).runbooks()
    assert [(book.name, book.confidence_min) for book in books] == [
        ("one", 0.6),
        ("three", 0.6),
        ("two", 0.9),
    ]


def test_no_folder_gives_no_runbook() -> None:
    assert FolderLibrary([]).runbooks() == ()


def test_loose_files_and_dotted_names_are_no_runbooks(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("about these")
    (tmp_path / ".git").mkdir()
    assert FolderLibrary([tmp_path]).runbooks() == ()


def test_what_is_shipped_can_be_read_and_is_whole() -> None:
    books = FolderLibrary([shipped_folder()]).runbooks()
    assert [book.name for book in books] == ["bad-rollout"]
    for book in books:
        text = (shipped_folder() / book.name / "SKILL.md").read_text()
        titles = [line[3:] for line in text.splitlines() if line.startswith("## ")]
        assert tuple(titles) == HEADINGS
        assert len(text.splitlines()) < 500


def test_a_mounted_config_map_is_read_through_its_links(tmp_path: Path) -> None:
    write(tmp_path / "..2026_01_05", "one")
    (tmp_path / "..data").symlink_to("..2026_01_05")
    (tmp_path / "one").symlink_to("..data/one")
    assert [book.name for book in FolderLibrary([tmp_path]).runbooks()] == ["one"]


def test_a_link_that_leaves_the_folder_is_refused(tmp_path: Path) -> None:
    secret = tmp_path / "secret.yaml"
    secret.write_text(MACHINE)
    folder = write(tmp_path / "books", "one")
    (folder / "runbook.yaml").unlink()
    (folder / "runbook.yaml").symlink_to(secret)
    with pytest.raises(Terminal, match=r"one/runbook\.yaml: leads out of .*books"):
        FolderLibrary([tmp_path / "books"])


def test_a_linked_folder_that_leaves_the_library_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "elsewhere", "one")
    (tmp_path / "books").mkdir()
    (tmp_path / "books" / "one").symlink_to(tmp_path / "elsewhere" / "one")
    with pytest.raises(Terminal, match="leads out of"):
        FolderLibrary([tmp_path / "books"])


def test_links_that_run_in_a_circle_are_refused(tmp_path: Path) -> None:
    folder = write(tmp_path, "one")
    (folder / "runbook.yaml").unlink()
    (folder / "runbook.yaml").symlink_to("runbook.yaml")
    with pytest.raises(Terminal, match=r"runbook\.yaml: cannot be read"):
        FolderLibrary([tmp_path])


MISTAKES = {
    "unknown key": ("confidence_min:", "confidense: 1\nconfidence_min:", "confidense: Extra inputs"),
    "key left out": ("confidence_min: 0.6", "", "confidence_min: Field required"),
    "unknown cause": ("bad_rollout", "bad_luck", "causes.0: Input should be"),
    "no cause": ("[bad_rollout]", "[]", "causes: "),
    "too sure": ("0.6", "1.6", "confidence_min: Input should be less"),
    "duration without unit": ("30m", "30", "change_within: Value error, give a whole number and a unit"),
    "duration in words": ("30m", "soon", "change_within: Value error"),
    "no duration at all": ("30m", "0s", "change_within: Input should be greater"),
    "a week and more": ("30m", "8d", "change_within: Input should be less"),
    "unknown action": ("rollout_undo", "delete", "action.type: Input should be"),
    "free revision": ("last_healthy", "7", "action.to_revision: Input should be"),
    "no window": ("2m", "9s", "verify.window: Input should be greater"),
    "two samples": ("samples_min: 3", "samples_min: 2", "verify.samples_min: Input should be greater"),
    "not YAML": ("[bad_rollout]", "[bad_rollout", "is not YAML at line 3"),
    "a list": (MACHINE, "- a", "the whole file: Input should be"),
    "nothing": (MACHINE, "", "the whole file: Input should be"),
    "too deep": (MACHINE, "[" * 5000, "is nested too deeply"),
    "a control character": (MACHINE, "a: \x01", "is not YAML"),
    "too large": (MACHINE, "#" * (FILE_BYTES_MAX + 1), "is larger than 262144 bytes"),
}  # fmt: skip


@pytest.mark.parametrize(("old", "new", "words"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_in_the_machines_part_names_file_and_field(
    tmp_path: Path, old: str, new: str, words: str
) -> None:
    folder = write(tmp_path, "one", machine=MACHINE.replace(old, new))
    with pytest.raises(Terminal) as caught:
        FolderLibrary([tmp_path])
    assert str(caught.value).startswith(f"{folder / 'runbook.yaml'}: {words}")


HEADS = {
    "another name": ("name: {name}", "name: other", "name: is 'other', but the folder is called 'one'"),
    "a name with capitals": ("name: {name}", "name: One", "name: String should match"),
    "no description": ("description: What it is for.", "", "description: Field required"),
    "a long description": ("What it is for.", "x" * 1025, "description: String should have at most 1024"),
    "an unknown key": ("name:", "tool: x\nname:", "tool: Extra inputs"),
    "no front matter": ("---\nname", "name", "has to begin with front matter"),
    "no end of it": ("---\n\n#", "\n#", "has to begin with front matter"),
    "nothing": (SKILL, "", "has to begin with front matter"),
}  # fmt: skip


@pytest.mark.parametrize(("old", "new", "words"), HEADS.values(), ids=HEADS)
def test_a_mistake_in_the_peoples_part_names_file_and_field(
    tmp_path: Path, old: str, new: str, words: str
) -> None:
    folder = write(tmp_path, "one", skill=SKILL.replace(old, new))
    with pytest.raises(Terminal) as caught:
        FolderLibrary([tmp_path])
    assert str(caught.value).startswith(f"{folder / 'SKILL.md'}: {words}")


@pytest.mark.parametrize("missing", ["SKILL.md", "runbook.yaml"])
def test_a_runbook_has_both_parts(tmp_path: Path, missing: str) -> None:
    (write(tmp_path, "one") / missing).unlink()
    with pytest.raises(Terminal, match=f"{missing}: cannot be read: No such file"):
        FolderLibrary([tmp_path])


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(Terminal, match="nowhere: the runbook folder cannot be read"):
        FolderLibrary([tmp_path / "nowhere"])


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    (write(tmp_path, "one") / "runbook.yaml").write_bytes(b"\xff\xfe")
    with pytest.raises(Terminal, match="is not UTF-8 text"):
        FolderLibrary([tmp_path])


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("30m", 1800), ("2h", 7200), ("1d", 86400), ("0s", 0)]
)
def test_durations(text: str, seconds: int) -> None:
    assert parse_duration(text) == dt.timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "text", [30, None, "", "30", "m", "-1m", "1.5h", "1h30m", "1M", "٣m", "9999999s"]
)
def test_other_durations_are_refused(text: object) -> None:
    with pytest.raises(ValueError, match="whole number and a unit"):
        parse_duration(text)
