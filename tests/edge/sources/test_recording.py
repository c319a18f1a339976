"""Recordings: written line by line, read back as observations; what is broken is counted under its number."""

import datetime as dt
import json
from pathlib import Path

import pytest

from opsagent.model.entity import Entity, Kind
from opsagent.model.signal import RowType
from opsagent.ports import Terminal
from opsagent.sources.recording import (
    CALLS_BYTES_MAX,
    CALLS_FILE,
    LINE_BYTES_MAX,
    Header,
    Observation,
    Recording,
)
from opsagent.sources.recording_writer import LAST_APPLIED, RecordingWriter
from tests.fakes import wire

AT = dt.datetime(2026, 1, 5, tzinfo=dt.UTC)
STAMP = "2026-01-05T00:00:00Z"


def folder(path: Path, *lines: bytes, header: str = "name: test\n") -> Path:
    (path / "recording.yaml").write_text(header)
    (path / "kube.jsonl").write_bytes(b"\n".join(lines) + b"\n")
    return path


def line(content: object, row_type: str = "ADDED", ts: str = STAMP) -> bytes:
    return json.dumps({"ts": ts, "type": row_type, "object": content}).encode()


def read(path: Path) -> tuple[list[Observation], Recording]:
    opened = Recording(path)
    return list(opened.observations()), opened


def test_observations_come_in_file_order_with_their_own_stamps(tmp_path: Path):
    lines = [
        line(wire.pod("a")),
        line(wire.deployment(), "MODIFIED", "2026-01-05T01:00:01+01:00"),
        line(wire.pod("a"), "DELETED", "2026-01-04T00:00:00Z"),
    ]
    found, opened = read(folder(tmp_path, *lines))
    assert [(each.at - AT, each.type, each.kind) for each in found] == [
        (dt.timedelta(0), RowType.ADDED, Kind.POD),
        (dt.timedelta(seconds=1), RowType.MODIFIED, Kind.DEPLOYMENT),
        (dt.timedelta(days=-1), RowType.DELETED, Kind.POD),
    ]
    assert found[1].item is not None
    assert found[1].item.meta.name == "web"
    assert opened.report.bad_lines_total == 0


def test_synced_closes_its_kind_or_all_kinds(tmp_path: Path):
    lines = [
        line({"kind": "Pod", "apiVersion": "v1"}, "SYNCED"),
        line({}, "SYNCED"),
        b'{"ts": "2026-01-05T00:00:00Z", "type": "SYNCED"}',
    ]
    found, _ = read(folder(tmp_path, *lines))
    assert [each.kind for each in found] == [Kind.POD, *Kind, *Kind]
    assert {(each.type, each.item) for each in found} == {(RowType.SYNCED, None)}


def test_kinds_that_are_not_read_are_counted(tmp_path: Path):
    lines = [
        line({"kind": "Secret", "apiVersion": "v1", "metadata": {"name": "s"}}),
        line({"kind": "Event", "apiVersion": "events.k8s.io/v1", "metadata": {"name": "e"}}),
        line({"kind": "Gateway", "apiVersion": "gateway.networking.k8s.io/v1"}, "SYNCED"),
        line({"kind": "Pod", "metadata": {"name": "without-version"}}),
    ]
    found, opened = read(folder(tmp_path, *lines))
    assert [each.kind for each in found] == [Kind.POD]
    assert opened.report.other_kinds == {
        "v1/Secret": 1,
        "events.k8s.io/v1/Event": 1,
        "gateway.networking.k8s.io/v1/Gateway": 1,
    }


HOSTILE = {
    "no json": b"{",
    "no object": b"[]",
    "no stamp": json.dumps({"type": "ADDED", "object": wire.pod()}).encode(),
    "a stamp without a zone": line(wire.pod(), ts="2026-01-05T00:00:00"),
    "a stamp beyond the calendar": line(wire.pod(), ts="9999-12-31T23:59:59-12:00"),
    "an unknown type": line(wire.pod(), "EXPLODED"),
    "no kind": line({"metadata": {"name": "a"}}),
    "no name": line({"kind": "Pod", "apiVersion": "v1", "metadata": {}}),
    "a wrong type": line({"kind": "Pod", "apiVersion": "v1", "metadata": 5}),
    "no utf-8": b'{"ts": "\xff"}',
    "an abyss": b'{"ts":"2026-01-05T00:00:00Z","type":"ADDED","object":' + b"[" * 100_000,
    "a deep object": line(wire.pod()).replace(
        b'"spec"', b'"x": ' + b"[" * 50_000 + b"]" * 50_000 + b', "spec"'
    ),
    "too long": b'{"ts": "' + b"x" * LINE_BYTES_MAX + b'"}',
    "far too long": b"x" * (2 * LINE_BYTES_MAX + 10),
}


@pytest.mark.parametrize("bad", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_bad_line_is_counted_under_its_number_and_skipped(tmp_path: Path, bad: bytes):
    found, opened = read(folder(tmp_path, line(wire.pod("a")), bad, line(wire.pod("b"))))
    assert [each.item and each.item.meta.name for each in found] == ["a", "b"]
    assert opened.report.lines_total == 3
    assert opened.report.bad_lines_total == 1
    ((number, reason),) = opened.report.bad_lines
    assert number == 2
    assert 0 < len(reason) < 500


@pytest.mark.parametrize("cut", [1, 50, 200])
def test_a_file_cut_off_in_the_last_line_loses_only_that_line(tmp_path: Path, cut: int):
    content = line(wire.pod("a")) + b"\n" + line(wire.pod("b"))
    folder(tmp_path)
    (tmp_path / "kube.jsonl").write_bytes(content[:-cut])
    found, opened = read(tmp_path)
    assert [each.item and each.item.meta.name for each in found] == ["a"]
    assert opened.report.bad_lines[0][0] == 2


def test_a_last_line_without_its_end_counts_and_blank_lines_do_not(tmp_path: Path):
    folder(tmp_path)
    (tmp_path / "kube.jsonl").write_bytes(b"\n \n" + line(wire.pod("a")))
    found, opened = read(tmp_path)
    assert len(found) == 1
    assert opened.report.bad_lines_total == 0


def test_of_many_bad_lines_the_first_hundred_are_kept(tmp_path: Path):
    _, opened = read(folder(tmp_path, *[b"{"] * 150))
    assert opened.report.bad_lines_total == 150
    assert [number for number, _ in opened.report.bad_lines] == list(range(1, 101))


def test_reading_stops_at_the_largest_number_of_lines(tmp_path: Path):
    opened = Recording(folder(tmp_path, *[line(wire.pod())] * 5), lines_max=3)
    assert len(list(opened.observations())) == 3
    assert opened.report.is_cut


def test_without_objects_there_is_nothing_to_see(tmp_path: Path):
    (tmp_path / "recording.yaml").write_text("name: empty")
    assert read(tmp_path)[0] == []


def test_a_compressed_file_is_named_with_what_to_do(tmp_path: Path):
    (tmp_path / "recording.yaml").write_text("name: packed")
    (tmp_path / "kube.jsonl.zst").write_bytes(b"")
    with pytest.raises(Terminal, match=r"kube\.jsonl\.zst is compressed.*zstd -d"):
        read(tmp_path)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path):
    (tmp_path / "recording.yaml").write_text("name: odd")
    (tmp_path / "kube.jsonl").mkdir()
    with pytest.raises(Terminal, match=r"kube\.jsonl cannot be read"):
        read(tmp_path)


def test_the_header_is_read_whole(tmp_path: Path):
    header = """
name: slow checkout
cluster: shop
start: 2026-01-05T00:00:00Z
end: '2026-01-05T02:00:00+01:00'
namespaces: [shop, db]
query:
notes: from the lab
origin: unknown keys are others' business
"""
    opened = Recording(folder(tmp_path, header=header)).header
    assert opened == Header(
        "slow checkout",
        "shop",
        AT,
        opened.end,
        ("shop", "db"),
        notes="from the lab",
    )
    assert opened.end == AT + dt.timedelta(hours=1)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "[]",
        "name: 5",
        "cluster: x",
        "name: a\nstart: 2026-01-05",
        "{",
        "name: a\nnamespaces: shop",
        "\x00",
    ],
)
def test_a_header_that_is_none_is_named(tmp_path: Path, header: str):
    with pytest.raises(Terminal, match=r"recording\.yaml is no recording's header"):
        Recording(folder(tmp_path, header=header))


def test_a_folder_without_a_header_is_no_recording(tmp_path: Path):
    with pytest.raises(Terminal, match=r"recording\.yaml cannot be read: No such file"):
        Recording(tmp_path)


def test_what_was_written_is_read_back(tmp_path: Path):
    header = Header("demo", "shop", AT, namespaces=("shop",), query="it is slow", notes="é")
    with RecordingWriter(tmp_path / "new", header, b"k" * 32) as writer:
        writer.write(AT, RowType.ADDED, wire.pod("a"))
        writer.synced(AT, Kind.POD)
        writer.write(AT + dt.timedelta(seconds=1), RowType.DELETED, wire.pod("a"))
        assert len(read(tmp_path / "new")[0]) == 3  # already on its way to disk
        writer.end(AT + dt.timedelta(hours=1))
    found, opened = read(tmp_path / "new")
    assert [(each.type, each.kind) for each in found] == [
        (RowType.ADDED, Kind.POD),
        (RowType.SYNCED, Kind.POD),
        (RowType.DELETED, Kind.POD),
    ]
    assert opened.header == Header(
        "demo", "shop", AT, AT + dt.timedelta(hours=1), ("shop",), "it is slow", "é"
    )
    assert writer.written_total == 3


def test_no_secret_and_no_value_of_a_config_map_is_written(tmp_path: Path):
    annotations = {LAST_APPLIED: '{"data": {"level": "sesame"}}', "team": "ops"}
    config_map = {
        "kind": "ConfigMap",
        "apiVersion": "v1",
        "metadata": wire.metadata("web", annotations=annotations),
        "data": {"level": "sesame", "other": "sesame"},
        "binaryData": {"blob": "c2VzYW1l"},
    }
    bare = {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "bare"}, "data": None}
    secret = {"kind": "Secret", "apiVersion": "v1", "metadata": {"name": "s"}, "data": {"a": "x"}}
    texts = []
    for number, key in enumerate((b"a" * 32, b"b" * 32)):
        with RecordingWriter(tmp_path / str(number), Header("x"), key) as writer:
            writer.write(AT, RowType.ADDED, config_map)
            writer.write(AT, RowType.ADDED, bare)
            writer.write(AT, RowType.ADDED, secret)
        assert (writer.written_total, writer.secrets_dropped_total) == (2, 1)
        texts.append((tmp_path / str(number) / "kube.jsonl").read_text())
    for text in texts:
        assert "sesame" not in text
        assert "c2VzYW1l" not in text
        assert "Secret" not in text
    written = json.loads(texts[0].splitlines()[0])["object"]
    assert written["metadata"]["annotations"] == {"team": "ops"}
    assert written["data"]["level"] == written["data"]["other"]  # equal values stay equal
    assert texts[0] != texts[1]  # of one install only


def test_who_calls_whom_is_written_whole_each_time_and_read_back(tmp_path: Path):
    web, cart, db = (Entity(Kind.DEPLOYMENT, "shop", name) for name in ("web", "cart", "db"))
    with RecordingWriter(tmp_path, Header("test"), b"k" * 16) as writer:
        writer.write_calls([])
        assert json.loads((tmp_path / CALLS_FILE).read_text()) == []
        writer.write_calls([(web, cart), (cart, db)])
    reference = "apps/v1/Deployment/shop/"
    told = [(f"{reference}cart", f"{reference}db"), (f"{reference}web", f"{reference}cart")]
    assert list(Recording(tmp_path).calls()) == told
    assert not [path.name for path in tmp_path.iterdir() if path.suffix == ".new"]


@pytest.mark.parametrize(
    ("text", "calls", "bad"),
    [
        (
            '[["a", "b"], ["a"], "ab", [1, 2], null, {}, ["a", "b", "c"], ["c", "d"]]',
            2,
            [2, 3, 4, 5, 6, 7],
        ),
        ("", 0, [1]),
        ('[["a", "b"], ["c"', 0, [1]),
        ('{"a": "b"}', 0, [1]),
        ("[" * 100_000, 0, [1]),
        ('["\udc80"]', 0, [1]),
    ],
    ids=["some", "empty", "cut", "other", "deep", "no text"],
)
def test_a_bad_call_is_counted_and_skipped(tmp_path: Path, text: str, calls: int, bad: list[int]):
    recording = Recording(folder(tmp_path))
    (tmp_path / CALLS_FILE).write_bytes(text.encode("utf-8", "surrogateescape"))
    assert len(list(recording.calls())) == calls
    report = recording.calls_report
    assert [number for number, _ in report.bad_lines] == bad
    assert report.bad_lines_total == len(bad)


def test_a_file_of_calls_that_is_too_long_is_not_read(tmp_path: Path):
    recording = Recording(folder(tmp_path))
    (tmp_path / CALLS_FILE).write_bytes(b" " * CALLS_BYTES_MAX + b"[]")
    assert list(recording.calls()) == []
    assert recording.calls_report.bad_lines == [(1, f"longer than {CALLS_BYTES_MAX} bytes")]


def test_a_recording_is_never_written_over(tmp_path: Path):
    folder(tmp_path, line(wire.pod()))
    with pytest.raises(FileExistsError):
        RecordingWriter(tmp_path, Header("again"), b"k" * 32)
