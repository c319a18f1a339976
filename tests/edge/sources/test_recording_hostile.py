"""A recording made to hurt: it is refused or skipped under its number, in bounded time and memory, and never left."""

import os
import time
import tracemalloc
from pathlib import Path

import pytest

from opsagent.ports import Terminal
from opsagent.replay import replay_lines
from opsagent.sources.recording import HEADER_BYTES_MAX, Recording
from tests.edge.sources.test_recording import folder, line, read
from tests.fakes import wire

BOMB = "\n".join(
    (
        "name: bomb",
        "a0: &a0 {k: v}",
        *(f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 10)}]}}" for n in range(1, 30)),
    )
)


@pytest.mark.parametrize(
    "header",
    [
        BOMB,
        "name: self\nnotes: &a [*a]",
        "name: &a x\ncluster: *a",
        "name: deep\nnotes: " + "[" * 60_000,
        "name: x\nother: !!python/object/apply:os.system [ls]",
        "name: x\nother: !" + "!" * 60_000,
        "name: x\n" + "#" * HEADER_BYTES_MAX,
    ],
    ids=["bomb", "self", "alias", "deep", "code", "long tag", "too long"],
)
def test_a_header_that_is_a_trap_is_refused_at_once_and_in_a_few_words(tmp_path: Path, header: str):
    began = time.process_time()
    with pytest.raises(Terminal, match=r"recording\.yaml is no recording's header") as refused:
        Recording(folder(tmp_path, header=header))
    # The deepest takes a second, more where it is traced; the bomb would take years.
    assert time.process_time() - began < 30.0
    assert len(str(refused.value)) < 1000


@pytest.mark.parametrize("name", ["recording.yaml", "kube.jsonl", "alerts.jsonl", "topology.json"])
@pytest.mark.parametrize("kind", ["elsewhere", "nowhere", "endless", "pipe", "folder"])
def test_what_is_no_plain_file_is_never_opened(tmp_path: Path, name: str, kind: str):
    folder(tmp_path)
    path = tmp_path / name
    path.unlink(missing_ok=True)
    if kind == "pipe":
        os.mkfifo(path)  # opening it would wait for ever
    elif kind == "folder":
        path.mkdir()
    else:
        there = tmp_path / "there"
        there.write_text("sesame")
        path.symlink_to({"elsewhere": there, "nowhere": "../nowhere", "endless": "/dev/zero"}[kind])
    with pytest.raises(Terminal, match=f"{name} cannot be read: it is no plain file") as refused:
        list(replay_lines(Recording(tmp_path)))
    assert "sesame" not in str(refused.value)


@pytest.mark.parametrize("name", ["kube.jsonl", "alerts.jsonl", "topology.json"])
@pytest.mark.parametrize(
    ("ending", "tool"), [(".gz", "gzip"), (".zst", "zstd"), (".xz", "xz"), (".bz2", "bzip2")]
)
def test_what_is_packed_is_never_unpacked_and_never_taken_for_absent(
    tmp_path: Path, name: str, ending: str, tool: str
):
    folder(tmp_path)
    (tmp_path / "kube.jsonl").unlink()
    (tmp_path / f"{name}{ending}").write_bytes(b"\x1f\x8b")
    with pytest.raises(Terminal, match=rf"{name}\{ending} is compressed.*`{tool} -d`"):
        list(replay_lines(Recording(tmp_path)))


def test_cut_off_at_any_byte_of_its_tail_only_the_last_line_is_lost(tmp_path: Path):
    whole, tail = line(wire.pod("a")) + b"\n", line(wire.pod("b"))
    folder(tmp_path)
    for kept in range(len(tail) + 1):
        (tmp_path / "kube.jsonl").write_bytes(whole + tail[:kept])
        found, opened = read(tmp_path)
        names = [each.item and each.item.meta.name for each in found]
        assert names == (["a", "b"] if kept == len(tail) else ["a"])
        assert opened.report.bad_lines_total == (0 < kept < len(tail))
        assert opened.report.lines_total == 1 + (kept > 0)


def test_a_line_of_100_megabytes_is_counted_and_never_held(tmp_path: Path):
    folder(tmp_path)
    with (tmp_path / "kube.jsonl").open("wb") as file:
        file.write(line(wire.pod("a")) + b"\n")
        for _ in range(100):
            file.write(b"x" * 1_000_000)
        file.write(b"\n" + line(wire.pod("b")) + b"\n")
    tracemalloc.start()
    found, opened = read(tmp_path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [each.item and each.item.meta.name for each in found] == ["a", "b"]
    assert opened.report.bad_lines == [(2, "longer than 8388608 bytes")]
    assert (
        peak < 28 * 2**20
    )  # three times the longest line: its parts are joined before the one before goes


NAMES = ("../../etc/passwd", "/etc/passwd", "..", "a/../../b", "\x1b[2J", "", " ", "a" * 10_000)


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_a_text_and_never_a_path(tmp_path: Path, name: str):
    kept = tmp_path / "recording"
    kept.mkdir()
    folder(kept, line(wire.pod(name)), line(wire.pod("b"), "DELETED"), line({}, "SYNCED"))
    before = sorted(tmp_path.rglob("*"))
    recording = Recording(kept)
    assert list(replay_lines(recording)) == []
    assert recording.report.bad_lines_total == (name == "")
    assert sorted(tmp_path.rglob("*")) == before
