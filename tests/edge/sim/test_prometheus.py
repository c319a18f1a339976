"""The simulated Prometheus by itself: scrapes that nobody waits for, staleness, retention, spelling.

That its answers are a real one's is shown by the contract suite of metrics.
"""

import datetime as dt
import json

from opsagent.clients.prometheus_remote import READ, question
from opsagent.clients.prometheus_selections import Comparison, Matcher, matchers
from opsagent.clients.prometheus_series import milliseconds
from opsagent.clients.prometheus_templates import expression
from opsagent.model.metrics import MetricArguments, MetricTemplate
from opsagent.model.series import Selection
from opsagent.sim import Fault, fault_patch
from opsagent.sim.ownership import Write
from opsagent.sim.prometheus import PENDING_MAX, Prometheus
from opsagent.sim.resources import NODES
from opsagent.sim.tsdb import LOOKBACK_MS, Tsdb, sample
from tests.edge.sim.hand import WEB, Hand

READY = expression(
    MetricTemplate.DEPLOYMENT_REPLICAS_READY, MetricArguments(namespace="shop", deployment="web")
)


def ask(prometheus: Prometheus, hand: Hand, **query: str):
    answer = prometheus.handle("/api/v1/query", query, hand.cluster.now)
    return answer.status, json.loads(answer.body)


def test_an_unknown_expression_is_a_bad_request():
    hand = Hand()
    prometheus = Prometheus(hand.cluster)
    for text in ("up", "", READY.replace("max", "min")):
        status, body = ask(prometheus, hand, query=text)
        assert (status, body["errorType"]) == (400, "bad_data")


def test_an_unknown_path_is_not_found():
    hand = Hand()
    assert Prometheus(hand.cluster).handle("/api/v1/write", {}, hand.cluster.now).status == 404


def test_too_many_points_are_a_bad_request():
    hand = Hand()
    query = {"query": READY, "start": "0", "end": "11000", "step": "1"}
    answer = Prometheus(hand.cluster).handle("/api/v1/query_range", query, hand.cluster.now)
    assert answer.status == 400


def test_how_often_it_is_asked_changes_nothing():
    often, seldom = Hand(), Hand()
    asked, quiet = Prometheus(often.cluster), Prometheus(seldom.cluster)
    for hand in (often, seldom):
        hand.patch(WEB, fault_patch(Fault.CRASH_LOOP))
    for _ in range(60):
        often.wait(7)
        ask(asked, often, query=READY)
    seldom.wait(420)
    assert "".join(asked.openmetrics(often.cluster.now)) == "".join(
        quiet.openmetrics(seldom.cluster.now)
    )


def test_three_quiet_days_cost_one_retention_of_scrapes():
    hand = Hand()
    prometheus = Prometheus(hand.cluster)
    hand.wait(3 * 86_400)
    status, body = ask(prometheus, hand, query=READY)
    assert status == 200
    assert body["data"]["result"][0]["value"][1] == "3.0"
    stamps = {line.rpartition(" ")[2] for line in prometheus.openmetrics(hand.cluster.now)}
    assert 200 < len(stamps) < 250


def test_changes_that_nobody_asks_about_are_kept_within_bounds():
    hand = Hand()
    prometheus = Prometheus(hand.cluster)
    node = hand.cluster.store.get(NODES, "", "node-1")
    for number in range(PENDING_MAX + 100):
        at = hand.cluster.now + dt.timedelta(milliseconds=10 * number)
        changed = node["metadata"] | {"labels": {"number": str(number)}}
        node = hand.cluster.store.update(NODES, node | {"metadata": changed}, Write("tester", at))
    assert len(prometheus._pending) < PENDING_MAX


def test_remote_read_answers_selections_alone():
    hand = Hand()
    prometheus = Prometheus(hand.cluster)
    hand.wait(60)

    def status(body: bytes) -> int:
        return prometheus.handle(READ, {}, hand.cluster.now, body).status

    anything = (Matcher("__name__", Comparison.MATCHES, ".+"),)
    now_ms = milliseconds(hand.cluster.now)
    assert status(question(matchers(Selection.TARGETS_UP), 0, now_ms)) == 200
    assert status(question(anything, 0, now_ms)) == 400
    assert status(b"junk") == 400
    prometheus.has_remote_read = False
    assert status(question(matchers(Selection.TARGETS_UP), 0, now_ms)) == 404


MINUTE = 60_000


def test_a_series_that_a_scrape_misses_is_stale_at_once():
    db = Tsdb(60 * MINUTE)
    db.append(0, [sample("m", 1.0, a="1"), sample("m", 2.0, a="2")])
    db.append(MINUTE, [sample("m", 3.0, a="1")])
    assert [(dict(labels), value) for labels, _, value in db.instant("m", MINUTE, {})] == [
        ({"a": "1"}, 3.0)
    ]
    assert len(list(db.instant("m", MINUTE - 1, {}))) == 2
    assert [found for _, found in db.window("m", MINUTE, MINUTE, {"a": "2"})] == [[(0, 2.0)]]


def test_a_series_without_a_mark_is_seen_for_the_lookback():
    db = Tsdb(60 * MINUTE)
    db.append(0, [sample("m", 1.0)])
    assert list(db.instant("m", LOOKBACK_MS, {}))
    assert not list(db.instant("m", LOOKBACK_MS + 1, {}))
    assert not list(db.instant("m", -1, {}))


def test_samples_beyond_the_retention_are_dropped():
    db = Tsdb(10 * MINUTE)
    db.append(0, [sample("gone", 1.0), sample("kept", 1.0)])
    for minute in range(1, 100):
        db.append(minute * MINUTE, [sample("kept", 1.0)])
    kept = {metric: samples for metric, _, samples in db.everything()}
    assert kept.keys() == {"kept"}
    assert len(kept["kept"]) <= 21


def test_a_series_that_comes_back_is_one_series():
    db = Tsdb(60 * MINUTE)
    db.append(0, [sample("m", 1.0)])
    db.append(1, [])
    db.append(2, [])
    db.append(3, [sample("m", 2.0)])
    assert [samples for _, _, samples in db.everything()] == [[(0, 1.0), (1, None), (3, 2.0)]]
