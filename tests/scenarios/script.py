"""A scenario file as values, and the judgement of what happened against it."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from opsagent.model.entity import Kind
from opsagent.model.incident import EntryKind, Incident

FOLDER = Path(__file__).parent


def _seconds(text: object) -> object:
    return float(text[:-1]) if isinstance(text, str) and text.endswith("s") else text


Seconds = Annotated[float, BeforeValidator(_seconds)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class Workload(_Part):
    replicas: int
    image: str


class Given(_Part):
    deployments: dict[str, Workload]


class Act(_Part):
    """When something is in the timeline, and so long after: change a deployment, decide as a person."""

    at: Seconds | None = None
    deployment: str = ""
    image: str = ""
    cpu_request: str = ""
    upon: EntryKind | None = None
    approve_as: str = ""
    deny_as: str = ""


class Expected(_Part):
    step: EntryKind
    within: Seconds | None = None
    after: EntryKind | Literal["first_bad_status"] | None = None
    one_of: tuple[str, ...] = ()
    to_revision: int | None = None
    by: str = ""
    text: str = ""


class Final(_Part):
    incidents: int = 1
    deployment: str = ""
    state: str = "resolved"
    writes: int = 0
    writes_before_approval: int = 0
    image: str = ""
    ready: int | None = None
    notifications: tuple[str, ...] = ()


class Scenario(_Part):
    name: str
    given: Given
    when: tuple[Act, ...]
    then: tuple[Expected, ...]
    final: Final = Field(alias="finally")


@dataclass(frozen=True)
class Seen:
    """One thing that happened."""

    at: dt.datetime
    step: str
    actor: str = ""
    text: str = ""


@dataclass(frozen=True)
class Ending:
    """How the world looks when the scenario is over."""

    incidents: Sequence[Incident]
    writes: Sequence[dt.datetime]
    image: str
    ready: int
    notifications: Sequence[str]


def load(name: str) -> Scenario:
    """Read ``<folder>/<name>.yaml``."""
    return Scenario.model_validate(yaml.safe_load((FOLDER / f"{name}.yaml").read_text()))


def check(scenario: Scenario, seen: Sequence[Seen], ending: Ending) -> None:
    """Assert that everything expected happened, in order, in time, and nothing else was written."""
    story = "\n".join(
        f"{entry.at:%H:%M:%S.%f} {entry.step} {entry.actor} {entry.text}" for entry in seen
    )
    at: dict[str, dt.datetime] = {}
    for entry in seen:
        at.setdefault(entry.step, entry.at)
    position = 0
    for expected in scenario.then:
        position = _find(expected, seen, position, story)
        if expected.within is not None:
            took = (at[expected.step] - at[str(expected.after)]).total_seconds()
            assert took <= expected.within, f"{expected.step} took {took:.1f} s\n{story}"
    final = scenario.final
    assert len(ending.incidents) == final.incidents, story
    for incident in ending.incidents:
        assert (incident.entity.kind, incident.entity.name) == (Kind.DEPLOYMENT, final.deployment)
        assert incident.state == final.state, story
    assert len(ending.writes) == final.writes, story
    early = [when for when in ending.writes if "approved" not in at or when < at["approved"]]
    assert len(early) == final.writes_before_approval
    assert (ending.image, ending.ready) == (final.image, final.ready)
    assert [n for n in ending.notifications if n != "worse"] == list(final.notifications)


def _find(expected: Expected, seen: Sequence[Seen], start: int, story: str) -> int:
    for index in range(start, len(seen)):
        entry = seen[index]
        if entry.step == expected.step and _fits(expected, entry):
            return index
    raise AssertionError(f"did not happen: {expected!r}\n{story}")


def _fits(expected: Expected, entry: Seen) -> bool:
    words = [expected.text]
    if expected.to_revision is not None:
        words.append(f"revision {expected.to_revision}")
    return (
        all(word in entry.text for word in words if word)
        and (not expected.by or expected.by in entry.actor)
        and (not expected.one_of or any(cause in entry.text for cause in expected.one_of))
    )
