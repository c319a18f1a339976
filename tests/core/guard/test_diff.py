"""A difference is exact for the machine, readable and without secrets for people."""

import json

import pytest
from hypothesis import given, strategies as st

from opsagent.guard import diff
from opsagent.guard.diff import LINES_MAX, Difference, out_of_scope
from opsagent.model.canonical import canonical
from opsagent.model.plan import FieldChange
from opsagent.signals.secrets import scrub


def difference(old: object, new: object) -> Difference | str:
    return diff.difference(old, new, scrub)


def changes(old: object, new: object) -> list[tuple[str, str, str]]:
    found = difference(old, new)
    assert isinstance(found, Difference)
    return [(item.path, item.old, item.new) for item in found.changes]


@pytest.mark.parametrize(
    ("old", "new", "lines"),
    [
        ({"a": 1}, {"a": 1}, []),
        ({"a": 1}, {"a": 2}, [("/a", "1", "2")]),
        ({"a": 1}, {}, [("/a", "1", "")]),
        ({}, {"a": {"b": ["x"], "c": {}}}, [("/a/b/0", "", '"x"'), ("/a/c", "", "{}")]),
        ({"a": [1, 2]}, {"a": [1, 3, 4]}, [("/a/1", "2", "3"), ("/a/2", "", "4")]),
        ({"a/b": {"m~n": 1}}, {"a/b": {"m~n": 2}}, [("/a~1b/m~0n", "1", "2")]),
        ({"a": 1}, {"a": True}, [("/a", "1", "true")]),
        ({"a": None}, {"a": ""}, [("/a", "null", '""')]),
        ({"a": [1]}, {"a": {"0": 1}}, [("/a/0", "1", ""), ("/a/0", "", "1")]),
        ({"a": {"b": 1}}, {"a": "b"}, [("/a/b", "1", ""), ("/a", "", '"b"')]),
        ({"a": "b"}, {"a": []}, [("/a", '"b"', ""), ("/a", "", "[]")]),
    ],
)
def test_lines_are_pointers_to_leaves(old, new, lines):
    assert changes(old, new) == lines


def test_list_positions_are_in_the_order_of_the_list():
    old, new = {"a": list(range(12))}, {"a": list(range(1, 13))}
    assert [path for path, _, _ in changes(old, new)] == [f"/a/{index}" for index in range(12)]


def test_what_the_server_keeps_for_itself_and_our_own_mark_are_left_out():
    old = {"metadata": {"name": "cart"}, "spec": {"replicas": 1}}
    new = {
        "metadata": {
            "name": "cart",
            "generation": 5,
            "resourceVersion": "9",
            "managedFields": [{"manager": "x"}],
            "annotations": {"opsagent.io/action-id": "pln_1"},
        },
        "spec": {"replicas": 1},
        "status": {"replicas": 1},
    }
    assert changes(old, new) == []
    new["metadata"]["annotations"]["team"] = "a"
    assert changes(old, new) == [("/metadata/annotations/team", "", '"a"')]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (
            {"env": [{"name": "A", "value": "hunter2"}]},
            {"env": [{"name": "A", "value": "hunter3"}]},
        ),
        ({"env": [{"name": "A", "value": "hunter2"}]}, {"env": []}),
        ({}, {"env": [{"name": "A", "value": "hunter2"}]}),
        ({"env": None}, {"env": [{"name": "A", "value": "hunter2"}]}),
    ],
)
def test_the_literal_value_of_a_variable_is_never_shown(old, new):
    containers = ({"spec": {"containers": [item]}} for item in (old, new))
    found = difference(*containers)
    assert isinstance(found, Difference)
    assert "hunter" not in repr(found)
    assert any("***" in (item.old, item.new) for item in found.changes)


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ({"command": ["/bin/app"]}, ("/command/0", '"/bin/app"')),
        ({"args": ["serve"]}, ("/args/0", '"***"')),
        ({"args": ["--verbose"]}, ("/args/0", '"--verbose"')),
        ({"args": ["--password=hunter2"]}, ("/args/0", '"--password=***"')),
        ({"args": ["-phunter2 -x=1"]}, ("/args/0", '"***"')),
        ({"args": ['{"password": "hunter2"}']}, ("/args/0", '"***"')),
        ({"annotations": {"a": '{"password": "hunter2"}'}}, ("/annotations/a", "[redacted]")),
        ({"note": "postgres://cart:hunter2@db:5432/cart"}, ("/note", "[redacted]@db:5432/cart")),
    ],
)
def test_of_a_command_line_names_are_shown_and_of_other_texts_no_secret(path, shown):
    ((pointer, old, new),) = changes({}, path)
    assert (pointer, old) == (shown[0], "")
    assert shown[1] in new
    assert "hunter" not in new


def test_two_secrets_look_the_same_and_are_told_apart():
    def to(value: str) -> Difference | str:
        return difference(
            {"env": [{"name": "A", "value": "old"}]}, {"env": [{"name": "A", "value": value}]}
        )

    first, second = to("one"), to("two")
    assert first.changes == second.changes
    assert first.touched_digest != second.touched_digest


def test_a_long_value_is_cut_for_people_only():
    first, second = (difference({"a": "x"}, {"a": "x" * 900 + end}) for end in "12")
    assert first.changes == second.changes
    assert first.changes[0].new.endswith("... (903 characters)")
    assert first.touched_digest != second.touched_digest


def test_a_change_that_nobody_would_read_to_the_end_is_refused():
    full = {str(number): 0 for number in range(LINES_MAX)}
    assert isinstance(difference({}, full), Difference)
    assert difference({}, full | {"more": 1}) == "the change has more than 200 lines"


def test_what_leaves_the_scope_is_named():
    lines = [
        FieldChange(path, "1", "2")
        for path in ("/spec/template/spec/x", "/spec/template", "/spec/templates", "/spec/replicas")
    ]
    assert out_of_scope(lines, "/spec/template") == ("/spec/templates", "/spec/replicas")


values = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["", "a"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ab01"), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(values, values)
def test_no_difference_is_missed_and_none_is_invented(old, new):
    assert (changes(old, new) == []) is (canonical(old) == canonical(new))


@given(values, values)
def test_the_other_direction_is_the_mirror(old, new):
    forward, back = changes(old, new), changes(new, old)
    assert sorted(forward) == sorted((path, after, before) for path, before, after in back)


@given(values, values)
def test_every_shown_value_is_json_or_absent(old, new):
    for _, before, after in changes(old, new):
        assert all(text == "" or json.loads(text) is not ... for text in (before, after))
