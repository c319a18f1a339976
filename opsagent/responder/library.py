"""The runbook library: folders of ``<name>/SKILL.md`` (for people) and ``<name>/runbook.yaml`` (for the machine).

Theory of operation. All folders are read once, at start, so that a mistake stops the daemon with the
file and the field in the message instead of surfacing in the middle of an incident. Later folders win
over earlier ones by name: a team overrides a shipped runbook by giving one of the same name.

What it refuses, each with ``Terminal``: an unknown key, a duration it cannot read, a name that is not
its folder's, a file that is too large, and a path that leaves the folder through a link. Links inside
a folder are followed, because that is how a mounted ConfigMap lays out its files; names that begin
with a dot are not runbooks.

Source: agentskills.io specification (front matter keys and limits).
"""

import datetime as dt
import importlib.resources
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, TypeVar

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from opsagent.model.incident import Cause
from opsagent.model.plan import ActionType, VerifySpec
from opsagent.ports import Terminal
from opsagent.runbook import RevisionChoice, Runbook, RunbookAction

FILE_BYTES_MAX = 256 * 1024  # a page of 500 lines has about 40 KiB
UNIT_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}

Form = TypeVar("Form", bound=BaseModel)


def parse_duration(text: object) -> dt.timedelta:
    """Return ``30m`` as a timedelta: a whole number and one of s, m, h, d.

    Raises:
        ValueError: the text is something else.
    """
    match = re.fullmatch(r"([0-9]{1,6})([smhd])", text) if isinstance(text, str) else None
    if match is None:
        raise ValueError("give a whole number and a unit, for example 90s, 30m, 2h or 1d")
    return dt.timedelta(seconds=int(match[1]) * UNIT_SECONDS[match[2]])


Duration = Annotated[dt.timedelta, BeforeValidator(parse_duration)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _FrontMatter(_Strict):
    """The head of SKILL.md, as other readers of skills accept it."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=64)]
    description: Annotated[str, Field(min_length=1, max_length=1024)]
    license: str = ""
    compatibility: str = ""
    metadata: dict[str, str] = {}
    allowed_tools: Annotated[str, Field(alias="allowed-tools")] = ""


class _Action(_Strict):
    type: ActionType
    to_revision: RevisionChoice


class _Verify(_Strict):
    """Bounds: three samples are the least that can show a flap; an hour is the longest plan kept open."""

    window: Annotated[Duration, Field(ge=dt.timedelta(seconds=10), le=dt.timedelta(hours=1))]
    samples_min: Annotated[int, Field(ge=3, le=100)]


class _Machine(_Strict):
    """The whole of runbook.yaml."""

    causes: Annotated[frozenset[Cause], Field(min_length=1)]
    confidence_min: Annotated[float, Field(ge=0, le=1)]
    change_within: Annotated[Duration, Field(gt=dt.timedelta(0), le=dt.timedelta(days=7))]
    action: _Action
    verify: _Verify


class FolderLibrary:
    """``ports.RunbookLibrary`` over folders on disk; the last folder that has a name wins.

    Raises:
        Terminal: a folder or a runbook cannot be used; the message names the file and the field.
    """

    def __init__(self, folders: Sequence[Path]) -> None:
        books = {book.name: book for folder in folders for book in _read_folder(folder)}
        self._books = tuple(books[name] for name in sorted(books))

    def runbooks(self) -> tuple[Runbook, ...]:
        """Return all runbooks, by name."""
        return self._books


def shipped_folder() -> Path:
    """Return the folder of the runbooks that come with opsagent: in the installed package, else in the source tree."""
    package = Path(str(importlib.resources.files("opsagent")))
    installed = package / "runbooks"
    return installed if installed.is_dir() else package.parent / "runbooks"


def _read_folder(root: Path) -> list[Runbook]:
    try:
        names = sorted(entry.name for entry in root.iterdir() if entry.is_dir())
    except OSError as error:
        raise Terminal(f"{root}: the runbook folder cannot be read: {error.strerror}") from error
    return [_read_runbook(root, name) for name in names if not name.startswith(".")]


def _read_runbook(root: Path, name: str) -> Runbook:
    skill, machine = root / name / "SKILL.md", root / name / "runbook.yaml"
    head = _validated(_FrontMatter, _front_matter(skill, _read_text(root, skill)), skill)
    if head.name != name:
        raise Terminal(f"{skill}: name: is {head.name!r}, but the folder is called {name!r}")
    form = _validated(_Machine, _parsed(_read_text(root, machine), machine), machine)
    return Runbook(
        name=name,
        description=head.description.strip(),
        causes=form.causes,
        confidence_min=form.confidence_min,
        change_within=form.change_within,
        action=RunbookAction(form.action.type, form.action.to_revision),
        verify=VerifySpec(int(form.verify.window.total_seconds()), form.verify.samples_min),
    )


def _read_text(root: Path, path: Path) -> str:
    try:
        real = path.resolve(strict=True)
        if not real.is_relative_to(root.resolve()):
            raise Terminal(f"{path}: leads out of {root} through a link, which is refused")
        with real.open("rb") as stream:
            content = stream.read(FILE_BYTES_MAX + 1)
        if len(content) > FILE_BYTES_MAX:
            raise Terminal(f"{path}: is larger than {FILE_BYTES_MAX} bytes")
        return content.decode()
    except (OSError, RuntimeError) as error:  # RuntimeError: a loop of links, before Python 3.13
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise Terminal(f"{path}: cannot be read: {reason}") from error
    except UnicodeDecodeError as error:
        raise Terminal(f"{path}: is not UTF-8 text") from error


def _front_matter(path: Path, text: str) -> object:
    lines = text.splitlines()
    if not lines or lines[0] != "---" or "---" not in lines[1:]:
        raise Terminal(f"{path}: has to begin with front matter between two lines of ---")
    return _parsed("\n".join(lines[1 : lines.index("---", 1)]), path)


def _parsed(text: str, path: Path) -> object:
    try:
        value: object = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = "" if mark is None else f" at line {mark.line + 1}"
        raise Terminal(f"{path}: is not YAML{where}") from error
    except RecursionError as error:
        raise Terminal(f"{path}: is nested too deeply") from error
    return value


def _validated(form: type[Form], value: object, path: Path) -> Form:
    try:
        return form.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(str(part) for part in first["loc"]) or "the whole file"
        raise Terminal(f"{path}: {field}: {first['msg']}") from error
