"""Who looks at a page learns that something changed, whatever order the change and the question come in."""

import asyncio
import dataclasses

from opsagent.controllers.news import INCIDENTS_MAX, News
from opsagent.controllers.pipeline import Step
from opsagent.ports import Batch
from tests.fakes.incidents import PLAIN
from tests.fakes.virtual_time import run


def changed(*incident_ids: str) -> Step:
    incidents = (dataclasses.replace(PLAIN, incident_id=each) for each in incident_ids)
    return Step(Batch(incidents=tuple(incidents)))


def test_before_the_first_change_the_number_is_nought() -> None:
    news = News()
    assert (news.newest(), news.newest("inc_a")) == (0, 0)
    news.notice(Step(wants_plan=("inc_a",)))
    assert news.newest() == 0


def test_each_incident_has_the_number_of_its_own_newest_change() -> None:
    news = News()
    news.notice(changed("inc_a"))
    news.notice(changed("inc_b", "inc_a"))
    assert (news.newest(), news.newest("inc_a"), news.newest("inc_b")) == (3, 3, 2)


def test_only_the_incidents_that_changed_last_are_remembered_by_name() -> None:
    news = News()
    news.notice(changed("inc_old"))
    news.notice(changed("inc_kept"))
    for number in range(INCIDENTS_MAX - 1):
        news.notice(changed(f"inc_{number}"))
        news.notice(changed("inc_kept"))
    assert news.newest("inc_old") == 0
    assert news.newest("inc_kept") == news.newest() == 2 * INCIDENTS_MAX


def test_a_change_that_came_before_the_question_is_told_at_once() -> None:
    async def scene() -> None:
        news = News()
        news.notice(changed("inc_a"))
        assert await news.wait(0) == 1
        assert await news.wait(0, "inc_a") == 1

    run(scene())


def test_who_waits_for_one_incident_is_not_told_of_another() -> None:
    async def scene() -> None:
        news = News()
        async with asyncio.TaskGroup() as group:
            anything = group.create_task(news.wait(0))
            mine = group.create_task(news.wait(0, "inc_mine"))
            await asyncio.sleep(1)
            news.notice(changed("inc_other"))
            await asyncio.sleep(1)
            assert anything.result() == 1
            assert not mine.done()
            news.notice(changed("inc_mine"))
        assert mine.result() == 2

    run(scene())


def test_the_end_lets_go_of_all_who_wait_and_of_who_comes_later() -> None:
    async def scene() -> None:
        news = News()
        async with asyncio.TaskGroup() as group:
            waiting = [group.create_task(news.wait(0, name)) for name in ("", "inc_a", "inc_b")]
            await asyncio.sleep(1)
            news.close()
        assert [each.result() for each in waiting] == [None, None, None]
        assert await news.wait(0) is None

    run(scene())
