"""The rollout undo: rehearse it on the server, and write it.

Theory. The template of the stored revision is absolute, so writing it twice leaves what writing it once
leaves. A rehearsal reads the Deployment and the revision and lets the server itself apply the change
without keeping it (dry run), with defaults and admission. The difference between what was read and what
the server would keep is what people are shown, and what must come out again before the write.
"""

import json
from dataclasses import dataclass

from opsagent.guard.catalogue import CATALOGUE
from opsagent.guard.diff import ACTION_ID_ANNOTATION, Difference, difference, out_of_scope
from opsagent.guard.plan import Binding
from opsagent.model.canonical import digest
from opsagent.model.entity import Entity
from opsagent.model.kube import entity_of
from opsagent.model.plan import RolloutUndo
from opsagent.ports import (
    ClusterWriter,
    Conflict,
    Forbidden,
    NotFound,
    RawDeployment,
    Terminal,
    Transient,
)
from opsagent.signals.secrets import scrub

REHEARSALS_MAX = 3


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What was read, what would be written, and what the server would make of it."""

    current: RawDeployment
    template_json: str
    result_digest: str
    difference: Difference

    @property
    def binding(self) -> Binding:
        """What a plan made from this rehearsal is bound to."""
        return Binding(
            uid=self.current.decoded.meta.uid,
            template_digest=template_digest(self.current),
            touched_digest=self.difference.touched_digest,
        )


def template_digest(raw: RawDeployment) -> str:
    """Return the SHA-256 over the canonical pod template."""
    return digest(raw.template_json)


def is_marked(raw: RawDeployment, action_id: str) -> bool:
    """Return whether the last of our writes on this object was that of ``action_id``."""
    return raw.decoded.meta.annotations.get(ACTION_ID_ANNOTATION) == action_id


def change_problem(action: RolloutUndo, rehearsal: Rehearsal) -> str:
    """Return why the rehearsed change may not be proposed, '' if it may."""
    changes = rehearsal.difference.changes
    if rehearsal.binding.uid != action.target.uid:
        return "the object was created anew while the plan was made"
    if not changes:
        return "nothing would change: the template is already that of the revision"
    outside = out_of_scope(changes, CATALOGUE[action.type].scope)
    if outside:
        return f"the server would change more than the pod template: {', '.join(outside[:5])}"
    return ""


class UndoTool:
    """The executor's hands for this action."""

    def __init__(self, writer: ClusterWriter) -> None:
        self._writer = writer

    async def read(self, target: Entity) -> RawDeployment:
        """Read the Deployment; raises as ``ports.ClusterWriter``."""
        return await self._writer.read_deployment(target)

    async def rehearse(self, action: RolloutUndo, action_id: str) -> Rehearsal | str:
        """Return the rehearsal, or why the server or we refuse it.

        Raises:
            Transient: the server cannot be asked, or the object changes faster than it can be read.
        """
        target = action.target
        for _ in range(REHEARSALS_MAX):
            try:
                current = await self._writer.read_deployment(target.entity)
                template_json = await self._writer.template_of_revision(
                    target.entity, target.uid, action.to_revision
                )
                answer = await self._write(
                    current, template_json, action_id=action_id, is_dry_run=True
                )
            except Conflict:
                continue
            except (NotFound, Forbidden, Terminal) as error:
                return f"the dry run was refused: {error}"
            found = difference(
                json.loads(current.object_json), json.loads(answer.object_json), scrub
            )
            if isinstance(found, str):
                return found
            return Rehearsal(current, template_json, template_digest(answer), found)
        raise Transient(f"{target.entity} changes faster than it can be rehearsed")

    async def write(
        self, current: RawDeployment, template_json: str, action_id: str
    ) -> RawDeployment:
        """Put ``template_json`` on the object as it was read; raises as ``ports.ClusterWriter``."""
        return await self._write(current, template_json, action_id=action_id, is_dry_run=False)

    async def _write(
        self, current: RawDeployment, template_json: str, *, action_id: str, is_dry_run: bool
    ) -> RawDeployment:
        return await self._writer.replace_template(
            entity_of(current.decoded),
            template_json=template_json,
            resource_version=current.decoded.meta.resource_version,
            action_id=action_id,
            is_dry_run=is_dry_run,
        )
