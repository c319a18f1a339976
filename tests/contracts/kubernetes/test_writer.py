"""The executor's client against every API server: a write is whole, conditional and marked, a dry run is none."""

import json

import pytest

from opsagent.clients.kube_write import FIELD_MANAGER, KubeWriter
from opsagent.model.entity import Entity, Kind
from opsagent.ports import Conflict, NotFound, RawDeployment, Terminal
from opsagent.sim import Fault, fault_patch
from tests.contracts.kubernetes.environment import World, everywhere
from tests.contracts.kubernetes.shapes import running_web

MARK = "opsagent.io/action-id"


def target(world: World) -> Entity:
    return Entity(Kind.DEPLOYMENT, world.namespace, "web")


def image(raw: RawDeployment) -> str:
    found: str = json.loads(raw.template_json)["spec"]["containers"][0]["image"]
    return found


async def broken(world: World) -> tuple[KubeWriter, RawDeployment]:
    """Run web, break it by a second revision, and return a writer with its view of it."""
    await running_web(world)
    patch = fault_patch(Fault.MISSING_IMAGE)
    status, _ = await world.admin.patch(world.path("deployments", "web"), patch)
    assert status == 200
    writer = KubeWriter(world.admin.transport)

    async def second_revision() -> RawDeployment | None:
        raw = await writer.read_deployment(target(world))
        return raw if raw.decoded.revision == 2 else None

    return writer, await world.eventually(second_revision, "revision 2")


async def settled(
    world: World, writer: KubeWriter, raw: RawDeployment, *, is_dry_run: bool
) -> tuple[RawDeployment, RawDeployment]:
    """Put revision 1 back on whatever version is current; return what was read and what was answered."""
    entity, uid = target(world), raw.decoded.meta.uid
    template_json = await writer.template_of_revision(entity, uid, 1)

    async def attempt() -> tuple[RawDeployment, RawDeployment] | None:
        current = await writer.read_deployment(entity)
        try:
            answer = await writer.replace_template(
                entity,
                template_json=template_json,
                resource_version=current.decoded.meta.resource_version,
                action_id="pln_1",
                is_dry_run=is_dry_run,
            )
        except Conflict:  # the controllers write, too
            return None
        return current, answer

    return await world.eventually(attempt, "a write without conflict")


async def the_template_of_a_revision_is_that_of_its_replica_set(world: World) -> None:
    """The template of a stored revision is the one that was written, without the controller's label."""
    writer, raw = await broken(world)
    entity, uid = target(world), raw.decoded.meta.uid
    template = json.loads(await writer.template_of_revision(entity, uid, 1))
    assert template["spec"]["containers"][0]["image"] == "shop/web:v1"
    assert template["metadata"]["labels"] == {"app": "web"}
    assert await writer.template_of_revision(entity, uid, 2) == raw.template_json
    for wrong_uid, revision in ((uid, 3), ("another", 1)):
        with pytest.raises(NotFound):
            await writer.template_of_revision(entity, wrong_uid, revision)


async def a_dry_run_answers_with_the_result_and_changes_nothing(world: World) -> None:
    """A dry run shows the object as it would be; the object stays as it is."""
    writer, raw = await broken(world)
    before, answer = await settled(world, writer, raw, is_dry_run=True)
    assert image(before) == image(raw) != image(answer) == "shop/web:v1"
    assert answer.decoded.meta.annotations[MARK] == "pln_1"
    after = await writer.read_deployment(target(world))
    assert after.template_json == before.template_json
    assert MARK not in after.decoded.meta.annotations


async def a_write_replaces_the_template_and_leaves_its_mark(world: World) -> None:
    """A write puts the old template back under our field manager, with the action id on the object."""
    writer, raw = await broken(world)
    before, answer = await settled(world, writer, raw, is_dry_run=False)
    after = await writer.read_deployment(target(world))
    assert image(answer) == image(after) == "shop/web:v1"
    assert after.decoded.meta.annotations[MARK] == "pln_1"
    assert after.decoded.meta.generation > before.decoded.meta.generation
    assert FIELD_MANAGER in {item.manager for item in after.decoded.meta.managers}


async def a_stale_version_is_a_conflict_and_nothing_is_written(world: World) -> None:
    """Who read before somebody else wrote does not write, not even in a dry run."""
    writer, raw = await broken(world)
    labels = {"metadata": {"labels": {"touched": "yes"}}}
    await world.admin.patch(world.path("deployments", "web"), labels)
    for is_dry_run in (True, False):
        with pytest.raises(Conflict):
            await writer.replace_template(
                target(world),
                template_json=await writer.template_of_revision(
                    target(world), raw.decoded.meta.uid, 1
                ),
                resource_version=raw.decoded.meta.resource_version,
                action_id="pln_1",
                is_dry_run=is_dry_run,
            )
    after = await writer.read_deployment(target(world))
    assert after.template_json == raw.template_json
    assert MARK not in after.decoded.meta.annotations


async def an_invalid_template_is_refused_for_good(world: World) -> None:
    """A template that the server calls invalid is Terminal, and nothing is written."""
    writer, raw = await broken(world)

    async def attempt() -> bool:
        current = await writer.read_deployment(target(world))
        try:
            await writer.replace_template(
                target(world),
                template_json='{"metadata":{"labels":{"app":"other"}},"spec":{"containers":[]}}',
                resource_version=current.decoded.meta.resource_version,
                action_id="pln_1",
                is_dry_run=False,
            )
        except Conflict:
            return False
        except Terminal:
            return True
        pytest.fail("an invalid template was accepted")

    await world.eventually(attempt, "the refusal")
    assert image(await writer.read_deployment(target(world))) == image(raw)


async def what_is_not_there_is_not_found(world: World) -> None:
    """Reading and writing a Deployment that does not exist is NotFound."""
    writer = KubeWriter(world.admin.transport)
    with pytest.raises(NotFound):
        await writer.read_deployment(target(world))
    with pytest.raises(NotFound):
        await writer.replace_template(
            target(world),
            template_json="{}",
            resource_version="1",
            action_id="pln_1",
            is_dry_run=True,
        )


test_template_of_revision = everywhere(the_template_of_a_revision_is_that_of_its_replica_set)
test_dry_run = everywhere(a_dry_run_answers_with_the_result_and_changes_nothing)
test_write = everywhere(a_write_replaces_the_template_and_leaves_its_mark)
test_stale = everywhere(a_stale_version_is_a_conflict_and_nothing_is_written)
test_invalid = everywhere(an_invalid_template_is_refused_for_good)
test_not_there = everywhere(what_is_not_there_is_not_found)
