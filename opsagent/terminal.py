"""Text for a terminal: what the daemon said, made safe and readable. Pure.

Everything that came from a cluster is untrusted: control characters, escape sequences and bidirectional
overrides never reach the terminal, and nothing is longer than a screen line or two.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from enum import IntEnum
from typing import TypeAlias, cast

from opsagent.model.canonical import JsonValue
from opsagent.model.printable import printable

Tree: TypeAlias = Mapping[str, JsonValue]

LENGTH_MAX = 300
LINES_MAX = 20  # of one text in a transcript
TEXT_MAX = 2000  # of a finding, which lists all that is missing
_DURATION = re.compile(r"([0-9]{1,9})(s|m|h|d)")
_UNIT_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


class Exit(IntEnum):
    """Exit codes; ``docs/cli.md`` says what each means."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    FINDINGS = 3
    REFUSED = 4
    TOO_LATE = 5
    NO_MODEL = 6
    INTERRUPTED = 130  # 128 + SIGINT, as shells count


def seconds(text: str) -> float:
    """Return the seconds of ``10m``, ``90s``, ``2h`` or ``1d``.

    Raises:
        ValueError: it is none of these.
    """
    found = _DURATION.fullmatch(text)
    if found is None:
        raise ValueError("give a whole number and a unit: 90s, 10m, 2h, 1d")
    return float(int(found[1]) * _UNIT_SECONDS[found[2]])


def safe(value: JsonValue, length_max: int = LENGTH_MAX) -> str:
    """Return ``value`` as one harmless line of at most ``length_max`` characters."""
    text = printable(str(value))
    return text if len(text) <= length_max else text[: length_max - 1] + "\N{HORIZONTAL ELLIPSIS}"


def tree_lines(tree: Tree, indent: str = "") -> Iterator[str]:
    """Yield nested mappings as indented ``key: value`` lines."""
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield f"{indent}{safe(key)}:"
            yield from tree_lines(value, indent + "  ")
        else:
            yield f"{indent}{safe(key)}: {safe(value)}"


def incident_line(incident: Tree) -> str:
    """Return one incident as one row: id, severity, state, title, what it waits for."""
    waiting = f"  (waits for {safe(incident['waiting_for'])})" if incident["waiting_for"] else ""
    return (
        f"{safe(incident['incident_id'])}  {safe(incident['severity']):<8}  "
        f"{safe(incident['state']):<9}  {safe(incident['title'])}{waiting}"
    )


def incident_lines(incident: Tree) -> Iterator[str]:
    """Yield one incident whole: head, causes with evidence, timeline."""
    yield incident_line(incident)
    for diagnosis in _trees(incident["diagnoses"]):
        confidence = float(cast("float", diagnosis["confidence"]))
        yield f"  cause {safe(diagnosis['cause'])} ({confidence:.0%}): {safe(diagnosis['reason'])}"
        for evidence in _trees(diagnosis["evidence"]):
            yield f"    {safe(evidence['kind'])} {safe(evidence['pointer'])}: {safe(evidence['text'])}"
    for entry in _trees(incident["timeline"]):
        yield (
            f"  {safe(entry['at'])}  {safe(entry['actor']):<12}  "
            f"{safe(entry['kind'])}: {safe(entry['text'])}"
        )


def investigation_lines(investigation: Tree) -> Iterator[str]:
    """Yield what a model did, step by step; what others wrote stands behind a bar, each text cut after some lines."""
    yield f"{safe(investigation['investigation_id'])}: {safe(investigation['summary'])}"
    for row in _trees(investigation["rows"]):
        yield f"{safe(row['at'])}  {safe(row['head'])}"
        for said in _trees(row["said"]):
            yield f"  {safe(said['label'])}:"
            lines = str(said["text"]).splitlines()
            yield from (f"    | {safe(line)}" for line in lines[:LINES_MAX])
            if len(lines) > LINES_MAX:
                yield f"    ({len(lines) - LINES_MAX} more lines; --json has them)"


def finding_lines(finding: Tree) -> Iterator[str]:
    """Yield one check of ``opsagent doctor``: verdict, what it looked at, what it found; what to do."""
    first, *more = str(finding["text"]).splitlines()
    yield f"{safe(finding['verdict']):<5} {safe(finding['check'])}: {safe(first, TEXT_MAX)}"
    for line in more:
        yield f"      {safe(line, TEXT_MAX)}"
    if finding["advice"]:
        yield f"      -> {safe(finding['advice'])}"


def approval_lines(approval: Tree) -> Iterator[str]:
    """Yield a waiting plan in the order in which a person decides: change, object, reach, undo, measure, expiry, who."""
    for change in _trees(approval["diff"]):
        yield f"  {safe(change['path'])}"
        yield f"    - {safe(change['old']) or '(absent)'}"
        yield f"    + {safe(change['new']) or '(absent)'}"
    for label, key in (
        ("on", "target"),
        ("action", "action"),
        ("class", "action_class"),
        ("undone by", "undo"),
        ("success means", "success"),
        ("expires", "expires_at"),
        ("because", "reason"),
        ("incident", "incident_id"),
        ("plan", "plan_id"),
    ):
        yield f"  {label}: {safe(approval[key])}"


def _trees(value: JsonValue) -> Sequence[Tree]:
    return cast("Sequence[Tree]", value)
