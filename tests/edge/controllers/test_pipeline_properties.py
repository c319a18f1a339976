"""What holds for every story: time never stands still, the same story ends the same, a restart changes nothing."""

import datetime as dt
from collections.abc import Iterator

from hypothesis import given, strategies as st

from opsagent.controllers.pipeline import Pipeline, Step
from opsagent.model.canonical import canonical
from opsagent.ports import Snapshot
from tests.fakes.objects import T0
from tests.fakes.store import MemoryStore
from tests.fakes.stories import START, SYNCS, Story, stories
from tests.fakes.virtual_time import run

KEY = b"k" * 32
TICKS_MAX = 100  # between two rows; many more than anything may ask for


def ticks(pipeline: Pipeline, until: dt.datetime) -> Iterator[Step]:
    """Let time pass, waking the pipeline whenever it asked to be woken."""
    for _ in range(TICKS_MAX):
        due = pipeline.next_due()
        if due is None or due > until:
            return
        yield pipeline.tick(due)
        again = pipeline.next_due()
        assert again is None or again > due, "it asked to be woken for nothing"
    raise AssertionError("it never comes to rest")


async def told(story: Story, cut: int = 0, *, is_restarted: bool = False) -> MemoryStore:
    """Fold ``story`` into a store, and two quiet days after it.

    Before the act number ``cut`` everything is listed once more; if ``is_restarted``, to a new pipeline that
    took over from the store.
    """
    store = MemoryStore()
    pipeline, now = Pipeline(Snapshot(), KEY), T0
    for number, (seconds, act) in enumerate([*START, *story, (0, SYNCS[0])]):
        now += dt.timedelta(seconds=seconds)
        for step in ticks(pipeline, now):
            await store.commit(step.batch)
        if number == cut + len(START):
            if is_restarted:
                pipeline = Pipeline(await store.load(), KEY)
            for synced in SYNCS:
                await store.commit(synced(pipeline, now).batch)
        await store.commit(act(pipeline, now).batch)
    for step in ticks(pipeline, now + dt.timedelta(days=2)):
        await store.commit(step.batch)
    return store


def beliefs(store: MemoryStore) -> dict[str, bytes]:
    """Return everything that was concluded, in canonical bytes."""
    state = store._state
    return {
        "incidents": canonical(state.incidents),
        "alerts": canonical(state.alerts),
        "facts": canonical(state.facts),
        "notifications": canonical(state.notifications),
        "changes": canonical(state.changes),
    }


@given(stories)
def test_a_tick_at_the_due_time_is_never_due_again_at_once(story: Story) -> None:
    run(told(story))  # ``ticks`` watches


@given(stories)
def test_the_same_story_twice_gives_the_same_bytes(story: Story) -> None:
    first, second = run(told(story)), run(told(story))
    assert canonical(first.commits) == canonical(second.commits)


@given(stories.flatmap(lambda story: st.tuples(st.just(story), st.integers(0, len(story)))))
def test_a_restart_anywhere_ends_in_the_same_beliefs(story_and_cut: tuple[Story, int]) -> None:
    story, cut = story_and_cut
    through, restarted = run(told(story, cut)), run(told(story, cut, is_restarted=True))
    assert beliefs(restarted) == beliefs(through)
