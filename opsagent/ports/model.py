"""Who looks into an incident: runbooks, a language model, its tools, its transcript."""

import datetime as dt
from dataclasses import dataclass
from typing import Protocol

from opsagent.model.incident import Incident
from opsagent.model.plan import Proposal
from opsagent.model.transcript import Entry, Prompt, ToolResult, ToolSpec, Turn
from opsagent.model.workload import Workload
from opsagent.runbook import Runbook


class RunbookLibrary(Protocol):
    """The team's runbooks."""

    def runbooks(self) -> tuple[Runbook, ...]:
        """Return all active runbooks, by name."""
        ...


@dataclass(frozen=True, slots=True)
class Advice:
    """What an investigator has to say: a proposal, else the reason why there is none.

    ``notes`` tell people how it came about, one line each; ``investigation_id`` names the transcript.
    """

    proposal: Proposal | None
    reason: str = ""
    notes: tuple[str, ...] = ()
    investigation_id: str = ""


class Investigator(Protocol):
    """Finds a remedy for an incident: by runbooks, or by a model that falls back to them."""

    async def investigate(self, incident: Incident, workload: Workload, now: dt.datetime) -> Advice:
        """Return a proposal, or in words why there is none. Raises Transient: try again later."""
        ...


class Model(Protocol):
    """A language model behind a server.

    Raises: Transient (no answer, not in time, or cut short), Terminal (the server refuses the request,
    or its answer breaks a bound).
    """

    @property
    def name(self) -> str:
        """The model's name, as its server knows it."""
        ...

    async def complete(self, prompt: Prompt) -> Turn:
        """Return one whole turn. Whether its calls make sense is not judged here."""
        ...


@dataclass(frozen=True, slots=True)
class ServedModel:
    """A model that a server offers. ``context_tokens``: of question and answer together, None if it does not say."""

    name: str
    context_tokens: int | None = None


class ModelServer(Protocol):
    """The server of a model, asked what it offers."""

    async def served(self) -> tuple[ServedModel, ...]:
        """Return what it offers. Raises: Transient (no answer now), Forbidden, Terminal (it will never say)."""
        ...


@dataclass(frozen=True, slots=True)
class Case:
    """What an investigation is about, as it is now."""

    incident: Incident
    workload: Workload
    now: dt.datetime


class Tool(Protocol):
    """One thing that a model may do: read, or propose. None of them writes to a cluster.

    Raises: Transient, NotFound, Forbidden, Terminal: the world could not be read.
    """

    @property
    def spec(self) -> ToolSpec:
        """What the model is told."""
        ...

    async def run(self, arguments: str, case: Case) -> ToolResult:
        """Return the result; arguments that break the schema are an error in words, for the model."""
        ...


class TranscriptStore(Protocol):
    """Transcripts of investigations: entries are added and never changed.

    Raises: Terminal if the disk is full or the file corrupt, with the path in the message.
    """

    async def entries(self, investigation_id: str) -> tuple[Entry, ...]:
        """Return all entries, oldest first; none if it was never opened."""
        ...

    async def append(self, investigation_id: str, entry: Entry) -> None:
        """Add ``entry`` behind the others; it is durable when this returns."""
        ...
