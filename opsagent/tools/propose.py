"""The tool ``propose_plan``: a model asks for one typed action, and nothing that it wrote can become part of it.

Theory of operation. The action is a member of the catalogue, the revision a number, and the target has to
be the incident's own workload: its name is only compared, the reference in the action is the inventory's.
The one free text, the reason, is shown to people as the model's words and goes nowhere else. Whether
the action makes sense is judged by the rule that ``propose`` is; the desk then judges it like any other.

It refuses every other target, whatever a log line may have asked for.
"""

from collections.abc import Callable
from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from opsagent.model.entity import Entity, Kind
from opsagent.model.kube import entity_of
from opsagent.model.plan import Proposal
from opsagent.model.transcript import ToolResult
from opsagent.ports import Case
from opsagent.signals.redaction import redact_text
from opsagent.tools.arguments import Arguments, Name, Namespace, parsed, spec

REVISION_MAX = 2**31 - 1
WORDS_MAX = 400

Propose: TypeAlias = Callable[[Case, int, str], Proposal | str]
"""(case, revision to go back to, the model's words) -> the proposal, or why it is refused."""


class PlanArguments(Arguments):
    """Propose to roll the incident's own Deployment back to an older revision. A person decides; this ends your investigation."""

    action: Literal["rollout_undo"]
    kind: Literal["Deployment"]
    namespace: Namespace
    name: Name
    to_revision: Annotated[int, Field(ge=1, le=REVISION_MAX)]
    reason: Annotated[
        str, Field(min_length=1, max_length=WORDS_MAX, description="for the person who decides")
    ]


class ProposePlan:
    """``ports.Tool``."""

    def __init__(self, propose: Propose) -> None:
        self.spec = spec("propose_plan", PlanArguments)
        self._propose = propose

    async def run(self, arguments: str, case: Case) -> ToolResult:
        """Return the proposal, or why it is refused."""
        wanted = parsed(PlanArguments, arguments)
        if isinstance(wanted, ToolResult):
            return wanted
        own = entity_of(case.workload.deployment)
        if Entity(Kind(wanted.kind), wanted.namespace, wanted.name) != own:
            text = f"Refused: this incident is about {own}, and only that may be changed for it."
            return ToolResult(text, is_error=True)
        found = self._propose(case, wanted.to_revision, _words(wanted.reason))
        if isinstance(found, str):
            return ToolResult(f"Refused: {found}", is_error=True)
        return ToolResult("A person will be asked to approve this.", proposal=found)


def _words(reason: str) -> str:
    """Return the model's words as one harmless line in quotation marks, marked as its own."""
    readable = "".join(mark if mark.isprintable() else " " for mark in redact_text(reason))
    line = " ".join(readable.replace('"', "'").split())
    return f'The model says: "{line}"'
