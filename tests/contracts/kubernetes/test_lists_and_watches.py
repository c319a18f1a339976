"""Lists in pages, watches that go on where a list ended, bookmarks, and history that is gone."""

from typing import Any

from tests.contracts.kubernetes.environment import World, everywhere, simulated
from tests.contracts.kubernetes.shapes import event, lease


def told(events: list[Any]) -> list[tuple[str, str]]:
    return [
        (event["type"], event["object"]["metadata"]["name"])
        for event in events
        if event["type"] != "BOOKMARK"
    ]


@everywhere
async def test_a_list_comes_in_pages_that_show_one_moment(world: World) -> None:
    for name in "abcde":
        await world.admin.create(world.path("leases"), lease(name))
    page = await world.admin.get(world.path("leases"), limit="2")
    version, names = page["metadata"]["resourceVersion"], []
    await world.admin.create(world.path("leases"), lease("bb"))
    while True:
        assert len(page["items"]) <= 2
        names += [item["metadata"]["name"] for item in page["items"]]
        assert page["metadata"]["resourceVersion"] == version
        token = page["metadata"].get("continue", "")
        if not token:
            break
        page = await world.admin.get(world.path("leases"), limit="2", **{"continue": token})
    assert names == ["a", "b", "c", "d", "e"]


@everywhere
async def test_a_list_is_narrowed_by_labels_and_fields(world: World) -> None:
    await world.admin.create(world.path("leases"), lease("a", team="red"))
    await world.admin.create(world.path("leases"), lease("b", team="blue"))

    async def names(**query: str) -> list[str]:
        found = await world.admin.get(world.path("leases"), **query)
        return [item["metadata"]["name"] for item in found["items"]]

    assert await names(labelSelector="team=red") == ["a"]
    assert await names(labelSelector="team!=red") == ["b"]
    assert await names(labelSelector="team in (red, blue)") == ["a", "b"]
    assert await names(labelSelector="!team") == []
    assert await names(fieldSelector="metadata.name=b") == ["b"]


@everywhere
async def test_a_watch_goes_on_where_the_list_ended(world: World) -> None:
    await world.admin.create(world.path("leases"), lease("a"))
    listed = await world.admin.get(world.path("leases"))
    created = await world.admin.create(world.path("leases"), lease("b"))
    patch = [{"op": "replace", "path": "/spec/holderIdentity", "value": "z"}]
    await world.admin.patch(world.path("leases", "a"), patch)
    await world.admin.send("DELETE", world.path("leases", "b"))
    version = listed["metadata"]["resourceVersion"]
    events = await world.admin.watched(world.path("leases"), 2, resourceVersion=version)
    assert told(events) == [("ADDED", "b"), ("MODIFIED", "a"), ("DELETED", "b")]
    assert events[0]["object"] == created
    versions = [int(event["object"]["metadata"]["resourceVersion"]) for event in events]
    assert versions == sorted(set(versions))


@everywhere
async def test_a_watch_without_a_version_begins_with_what_is_there(world: World) -> None:
    await world.admin.create(world.path("leases"), lease("a"))
    events = await world.admin.watched(world.path("leases"), 2)
    assert told(events) == [("ADDED", "a")]


@everywhere
async def test_a_narrowed_watch_sees_objects_come_and_go(world: World) -> None:
    """An object that no longer fits is deleted to this watch, though it lives."""
    listed = await world.admin.get(world.path("leases"))
    await world.admin.create(world.path("leases"), lease("a", team="red"))
    path = world.path("leases", "a")
    for team in ("blue", "red"):
        await world.admin.patch(
            path, [{"op": "replace", "path": "/metadata/labels/team", "value": team}]
        )
    version = listed["metadata"]["resourceVersion"]
    events = await world.admin.watched(
        world.path("leases"), 2, resourceVersion=version, labelSelector="team=red"
    )
    assert told(events) == [("ADDED", "a"), ("DELETED", "a"), ("ADDED", "a")]


@everywhere
async def test_a_quiet_watch_sends_a_bookmark(world: World) -> None:
    """It has a version to go on from, and nothing else to say."""
    await world.admin.create(world.path("leases"), lease("a"))
    listed = await world.admin.get(world.path("leases"))
    version = listed["metadata"]["resourceVersion"]
    events = await world.admin.watched(
        world.path("leases"), 10, resourceVersion=version, allowWatchBookmarks="true"
    )
    assert {event["type"] for event in events} == {"BOOKMARK"}
    meta = events[-1]["object"]["metadata"]
    assert not meta.get("name")
    assert int(meta["resourceVersion"]) >= int(version)
    again = await world.admin.watched(
        world.path("leases"), 1, resourceVersion=meta["resourceVersion"]
    )
    assert told(again) == []


@simulated
async def test_bookmarks_come_every_minute_when_asked_for(world: World) -> None:
    version = (await world.admin.get(world.path("leases")))["metadata"]["resourceVersion"]
    events = await world.admin.watched(
        world.path("leases"), 70, resourceVersion=version, allowWatchBookmarks="true"
    )
    assert [event["type"] for event in events] == ["BOOKMARK"] * 2
    assert await world.admin.watched(world.path("leases"), 10, resourceVersion=version) == []


@everywhere
async def test_a_watch_from_before_the_history_is_gone(world: World) -> None:
    """Events, for a real API server has no memory of its own for them. Of Pods: tests/lab/storms."""
    listed = await world.admin.get(world.path("events"))
    for name in "ab":  # the state after the listed one is the first that a watch would tell
        await world.admin.create(world.path("events"), event(world, name))
    world.compact()
    version = listed["metadata"]["resourceVersion"]
    events = await world.admin.watched(world.path("events"), 5, resourceVersion=version)
    assert [event["type"] for event in events] == ["ERROR"]
    assert (events[0]["object"]["code"], events[0]["object"]["reason"]) == (410, "Expired")
    fresh = await world.admin.get(world.path("events"))
    version = fresh["metadata"]["resourceVersion"]
    assert await world.admin.watched(world.path("events"), 1, resourceVersion=version) == []


@everywhere
async def test_a_page_from_before_the_history_is_gone(world: World) -> None:
    for name in "abc":
        await world.admin.create(world.path("events"), event(world, name))
    page = await world.admin.get(world.path("events"), limit="2")
    await world.admin.create(world.path("events"), event(world, "d"))
    world.compact()
    token = page["metadata"]["continue"]
    status, refusal = await world.admin.send(
        "GET", world.path("events"), limit="2", **{"continue": token}
    )
    assert (status, refusal.get("reason")) == (410, "Expired")
    assert refusal["message"].startswith("The provided continue parameter is too old")
