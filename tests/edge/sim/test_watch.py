"""A watch by hand: pulled, never waiting, ended by time, by trouble, or by history that is gone."""

import datetime as dt
import json

from tests.edge.sim.hand import DEPLOYMENTS, LEASES, WEB, Hand

LEASE = {"metadata": {"name": "a"}, "spec": {"holderIdentity": "x"}}


def version(hand: Hand) -> str:
    return str(hand.cluster.store.version)


def test_it_gives_each_change_once() -> None:
    hand = Hand()
    watch = hand.watch(LEASES, resourceVersion=version(hand))
    assert hand.told(watch) == []
    hand.create(LEASES, LEASE)
    hand.patch(WEB, {"spec": {"replicas": 2}})
    assert hand.told(watch) == [("ADDED", "a")]
    assert hand.told(watch) == []


def test_version_zero_means_whatever_is_there() -> None:
    hand = Hand()
    assert hand.told(hand.watch(DEPLOYMENTS, resourceVersion="0")) == [
        ("ADDED", "cart"),
        ("ADDED", "web"),
    ]


def test_it_ends_after_its_time_with_a_last_bookmark() -> None:
    hand = Hand()
    watch = hand.watch(
        LEASES, resourceVersion=version(hand), timeoutSeconds="90", allowWatchBookmarks="true"
    )
    assert watch.next_due() == hand.cluster.now + dt.timedelta(seconds=60)
    hand.wait(60)
    assert hand.told(watch) == [("BOOKMARK", "")]
    assert not watch.is_over
    hand.wait(30)
    assert hand.told(watch) == [("BOOKMARK", "")]
    assert watch.is_over
    assert watch.take(hand.cluster.now) == b""


def test_without_bookmarks_it_only_looks_at_its_end() -> None:
    hand = Hand()
    watch = hand.watch(LEASES, resourceVersion=version(hand))
    assert watch.next_due() == hand.cluster.now + dt.timedelta(minutes=45)


def test_one_that_fell_behind_the_history_is_told_so() -> None:
    hand = Hand()
    watch = hand.watch(LEASES, resourceVersion=version(hand))
    hand.create(LEASES, LEASE)
    hand.cluster.compact()
    event = json.loads(watch.take(hand.cluster.now))
    assert (event["type"], event["object"]["code"]) == ("ERROR", 410)
    assert watch.is_over


def test_one_that_kept_up_survives_compaction() -> None:
    hand = Hand()
    watch = hand.watch(LEASES, resourceVersion=version(hand))
    hand.cluster.compact()
    hand.create(LEASES, LEASE)
    assert hand.told(watch) == [("ADDED", "a")]


def test_all_watches_can_be_cut() -> None:
    hand = Hand()
    watch = hand.watch(LEASES, resourceVersion=version(hand))
    hand.create(LEASES, LEASE)
    hand.cluster.cut_watches()
    assert (watch.take(hand.cluster.now), watch.is_over) == (b"", True)
