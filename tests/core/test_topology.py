"""The topology: which edges objects say, what is absent, what lies near, and that all of it goes with the objects."""

import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from types import FrameType

import pytest

from opsagent.model import kube
from opsagent.model.entity import Entity, Kind
from opsagent.model.topology import Edge, EdgeType, Presence, TopologySize, Vertex
from opsagent.signals import graph, topology as topology_module
from opsagent.signals.topology import SHARED, Topology
from tests.fakes.joined_shop import (
    CART,
    SHOP,
    WEB,
    a_pod,
    a_service,
    box,
    env,
    owner,
    told,
    topology_of,
    vertex,
)
from tests.fakes.objects import after, event, meta

POD = vertex("Pod", "web-1-a")
NODE = vertex("Node", "node-1", "")


# What hangs together


def test_a_pod_hangs_together_with_all_that_it_needs_and_all_that_looks_after_it() -> None:
    assert told(topology_of(*SHOP), POD) == [
        "NetworkPolicy/deny selects Pod/web-1-a",
        "Pod/web-1-a addresses Service/cart",
        "Pod/web-1-a may_use ConfigMap/extra",
        "Pod/web-1-a owned_by ReplicaSet/web-1",
        "Pod/web-1-a runs_on Node/node-1",
        "Pod/web-1-a uses ConfigMap/common",
        "Pod/web-1-a uses ConfigMap/levels",
        "Pod/web-1-a uses ConfigMap/settings",
        "Pod/web-1-a uses PersistentVolumeClaim/data",
        "Pod/web-1-a uses Secret/db",
        "Pod/web-1-a uses Secret/keys",
        "Pod/web-1-a uses Secret/registry",
        "Pod/web-1-a uses Secret/tls",
        "Pod/web-1-a uses ServiceAccount/web",
        "PodDisruptionBudget/web selects Pod/web-1-a",
        "Service/web selects Pod/web-1-a",
    ]


def test_a_workload_needs_what_its_template_needs_also_without_a_pod() -> None:
    shop = [item for item in SHOP if not isinstance(item, kube.Pod | kube.ReplicaSet)]
    assert told(topology_of(*shop), WEB) == [
        "Deployment/web addresses Service/cart",
        "Deployment/web may_use ConfigMap/extra",
        "Deployment/web uses ConfigMap/common",
        "Deployment/web uses ConfigMap/levels",
        "Deployment/web uses ConfigMap/settings",
        "Deployment/web uses PersistentVolumeClaim/data",
        "Deployment/web uses Secret/db",
        "Deployment/web uses Secret/keys",
        "Deployment/web uses Secret/registry",
        "Deployment/web uses Secret/tls",
        "Deployment/web uses ServiceAccount/web",
        "HorizontalPodAutoscaler/web scales Deployment/web",
    ]


@pytest.mark.parametrize(
    ("about", "edges"),
    [
        (
            vertex("Service", "cart"),
            [
                "Deployment/web addresses Service/cart",
                "EndpointSlice/cart-x backs Service/cart",
                "EndpointSlice/cart-x owned_by Service/cart",
                "Pod/web-1-a addresses Service/cart",
                "Service/cart selects Pod/cart-1-a",
            ],
        ),
        (
            vertex("Service", "web"),
            [
                "Ingress/front routes_to Service/web",
                "Service/web selects Pod/web-1-a",
                "ValidatingWebhookConfiguration/checks asks Service/web",
            ],
        ),
        (
            vertex("EndpointSlice", "cart-x"),
            [
                "EndpointSlice/cart-x backs Service/cart",
                "EndpointSlice/cart-x lists Pod/cart-1-a",
                "EndpointSlice/cart-x owned_by Service/cart",
            ],
        ),
        (vertex("ReplicaSet", "cart-1"), ["Pod/cart-1-a owned_by ReplicaSet/cart-1", "ReplicaSet/cart-1 owned_by Deployment/cart"]),
        (vertex("Secret", "front-tls"), ["Ingress/front uses Secret/front-tls"]),
        (vertex("StatefulSet", "db"), ["StatefulSet/db named_by Service/db"]),
        (
            vertex("PersistentVolume", "pv-1", ""),
            [
                "PersistentVolume/pv-1 bound_to PersistentVolumeClaim/data",
                "PersistentVolume/pv-1 of_class StorageClass/fast",
                "PersistentVolumeClaim/data bound_to PersistentVolume/pv-1",
            ],
        ),
        (
            vertex("ServiceAccount", "web"),
            [
                "Deployment/web uses ServiceAccount/web",
                "Pod/web-1-a uses ServiceAccount/web",
                "ServiceAccount/web may_use Secret/registry",
            ],
        ),
    ],
)  # fmt: skip
def test_the_rest_of_the_shop_says_what_it_means(about: Vertex, edges: list[str]) -> None:
    assert told(topology_of(*SHOP), about) == edges


def test_other_workloads_say_what_their_templates_say() -> None:
    template = kube.PodTemplate(spec=kube.PodSpec(service_account="robot"))
    made = topology_of(
        kube.DaemonSet(meta("agent"), template=template),
        kube.CronJob(meta("nightly"), template=template),
        kube.Job(meta("nightly-1", owner=owner("CronJob", "nightly")), template=template),
        kube.Job(meta("done"), template=template, completed_at=after(1)),
        kube.Job(meta("failed"), template=template, conditions=(kube.Condition("Failed", "True"),)),
        kube.ReplicaSet(meta("bare"), template=template),
        kube.ReplicaSet(meta("old", owner=owner("Deployment", "web")), template=template),
    )
    assert told(made, vertex("ServiceAccount", "robot")) == [
        "CronJob/nightly uses ServiceAccount/robot",
        "DaemonSet/agent uses ServiceAccount/robot",
        "Job/nightly-1 uses ServiceAccount/robot",
        "ReplicaSet/bare uses ServiceAccount/robot",
    ]


def test_an_owner_of_a_foreign_kind_is_a_vertex_that_nobody_can_look_at() -> None:
    made = topology_of(a_pod("p", owner=owner("Rollout", "canary")))
    canary = vertex("Rollout", "canary")
    assert told(made, canary) == ["Pod/p owned_by Rollout/canary"]
    assert made.presence(canary) is Presence.UNKNOWN
    assert str(canary) == "Rollout/shop/canary"
    assert canary.entity is None
    assert made.size().dangling == 0


def test_the_mirror_of_a_static_pod_runs_on_its_node_and_is_no_part_of_it() -> None:
    made = topology_of(a_pod("static", owner=owner("Node", "node-1"), node_name="node-1"))
    assert told(made, NODE) == ["Pod/static runs_on Node/node-1"]


def test_what_refers_to_itself_says_nothing() -> None:
    made = topology_of(
        kube.Service(meta("loop", owner=owner("Service", "loop")), external_name="loop.shop.svc")
    )
    assert made.size() == TopologySize(1, 0, 0)


def test_what_joins_nothing_is_no_part_of_it() -> None:
    made = topology_of(
        event(a_pod("p"), "BackOff", "x", at=after(1)),
        kube.ResourceQuota(meta("q")),
        kube.Lease(meta("l")),
    )
    assert made.size() == TopologySize(0, 0, 0)
    made.remove(kube.ResourceQuota(meta("q")))


# Addresses


CALLER = a_pod("caller", containers=(box(*env(CART_URL="http://cart:80", OTHER="hmac:01")),))
TO_CART = "Pod/caller addresses Service/cart"


def test_an_address_is_an_edge_only_while_there_is_such_a_service() -> None:
    made = topology_of(CALLER)
    assert told(made, vertex("Service", "cart")) == []
    assert made.size() == TopologySize(1, 0, 0)
    made.update(a_service("cart"))
    assert told(made, vertex("Service", "cart")) == [TO_CART]
    made.remove(a_service("cart"))
    assert told(made, vertex("Service", "cart")) == []
    assert made.size() == TopologySize(1, 0, 0)


def test_a_changed_address_leads_elsewhere() -> None:
    made = topology_of(CALLER, a_service("cart"), a_service("basket"))
    made.update(replace(CALLER, containers=(box(*env(CART_URL="http://basket:80")),)))
    assert told(made, vertex("Service", "cart")) == []
    assert told(made, vertex("Service", "basket")) == ["Pod/caller addresses Service/basket"]
    made.remove(CALLER)
    assert told(made, vertex("Service", "basket")) == []


def test_a_service_may_be_another_name_for_one_and_a_webhook_ask_one_by_url() -> None:
    made = topology_of(
        a_service("alias", type="ExternalName", external_name="cart.shop.svc.cluster.local"),
        kube.MutatingWebhookConfiguration(
            meta("inject", namespace=""),
            webhooks=(kube.Webhook("w", url="https://cart.shop.svc:443/hmac:01"),),
        ),
        a_service("cart"),
    )
    assert told(made, vertex("Service", "cart")) == [
        "MutatingWebhookConfiguration/inject addresses Service/cart",
        "Service/alias addresses Service/cart",
    ]


# What is not there


def test_what_is_needed_and_not_there_dangles_once_its_kind_is_listed() -> None:
    made = topology_of(*SHOP, listed=())
    assert made.dangling() == ()
    assert made.presence(vertex("Service", "db")) is Presence.UNKNOWN
    made.listed(Kind.SERVICE)
    assert made.dangling() == (vertex("Service", "db"),)
    assert made.presence(vertex("Service", "db")) is Presence.ABSENT
    assert made.presence(vertex("Service", "web")) is Presence.PRESENT


def test_in_a_namespace_that_is_not_watched_nothing_is_known_to_be_absent() -> None:
    asks = kube.ValidatingWebhookConfiguration(
        meta("checks", namespace=""),
        webhooks=(kube.Webhook("a", service_namespace="tools", service_name="checker"),),
    )
    checker, tools = (
        vertex("Service", "checker", "tools"),
        kube.Namespace(meta("tools", namespace="")),
    )
    made = topology_of(asks, tools)
    assert made.presence(checker) is Presence.UNKNOWN, "it is there, but nothing of it is seen"
    assert made.dangling() == ()
    made.update(kube.ConfigMap(meta("any", namespace="tools")))
    assert made.dangling() == (checker,)
    made.remove(kube.ConfigMap(meta("any", namespace="tools")))
    made.remove(tools)
    assert made.presence(checker) is Presence.ABSENT, "the whole namespace is gone"
    assert topology_of(asks, listed=[Kind.SERVICE]).presence(checker) is Presence.UNKNOWN


def test_a_missing_claim_dangles_until_it_comes_and_again_when_it_goes() -> None:
    claim = kube.PersistentVolumeClaim(meta("data"))
    spec = kube.PodSpec(volumes=(kube.Volume("d", "persistentVolumeClaim", "data"),))
    made = topology_of(a_pod("p", spec=spec))
    absent = vertex("PersistentVolumeClaim", "data")
    assert made.dangling() == (absent,)
    made.update(claim)
    assert made.dangling() == ()
    assert made.item(absent) == claim
    made.remove(claim)
    assert made.dangling() == (absent,)
    made.remove(a_pod("p"))
    assert made.size() == TopologySize(0, 0, 0)


def test_what_may_be_missing_does_not_dangle_and_a_secret_is_never_known() -> None:
    spec = kube.PodSpec(
        volumes=(kube.Volume("c", "configMap", "extra", is_optional=True),),
        image_pull_secrets=("registry",),
    )
    made = topology_of(a_pod("p", spec=spec))
    assert made.dangling() == ()
    assert made.presence(vertex("ConfigMap", "extra")) is Presence.ABSENT
    assert made.presence(vertex("Secret", "registry")) is Presence.UNKNOWN


def test_a_claim_needs_its_class_until_it_is_bound() -> None:
    waiting = kube.PersistentVolumeClaim(meta("data"), storage_class="manual")
    made = topology_of(waiting)
    assert made.dangling() == (vertex("StorageClass", "manual", ""),)
    made.update(replace(waiting, volume_name="pv-1"))
    made.update(kube.PersistentVolume(meta("pv-1", namespace=""), storage_class="manual"))
    assert made.dangling() == ()


def test_a_selector_that_meets_nobody_is_found_by_its_text() -> None:
    made = topology_of(
        a_service("cart", {"tier": "back", "app": "cart"}),
        kube.NetworkPolicy(meta("deny")),
        kube.PodDisruptionBudget(
            meta("odd"), selector=kube.LabelSelector({}, (kube.Requirement("a", "In", ("b", "c")),))
        ),
    )
    names = [each.name for each in made.dangling()]
    assert names == ["(any)", "a In (b|c)", "app=cart, tier=back"]
    pod = a_pod("cart-1", {"app": "cart", "tier": "back"})
    made.update(pod)
    assert [each.name for each in made.dangling()] == ["a In (b|c)"]
    made.remove(pod)
    assert [each.name for each in made.dangling()] == names


def test_what_has_no_selector_selects_nobody_and_says_so_by_nothing() -> None:
    made = topology_of(
        a_pod("p", {"app": "web"}), a_service("bare"), kube.PodDisruptionBudget(meta("none"))
    )
    assert made.size() == TopologySize(3, 0, 0)


def test_selectors_follow_labels_and_stay_in_their_namespace() -> None:
    pod = a_pod("p", {"app": "web"})
    made = topology_of(
        a_service("web", {"app": "web"}),
        a_service("cart", {"app": "cart"}),
        pod,
        a_pod("p", {"app": "web"}, namespace="other"),
    )
    assert told(made, vertex("Service", "web")) == ["Service/web selects Pod/p"]
    made.update(replace(pod, meta=replace(pod.meta, labels={"app": "cart"})))
    assert told(made, vertex("Service", "web")) == ["Service/web selects Pod/app=web"]
    assert told(made, vertex("Service", "cart")) == ["Service/cart selects Pod/p"]
    made.update(a_service("cart", {"app": "basket"}))
    assert told(made, vertex("Service", "cart")) == ["Service/cart selects Pod/app=basket"]


def test_a_finished_pod_needs_nothing_and_is_selected_by_nobody() -> None:
    made = topology_of(*SHOP)
    pod = next(item for item in SHOP if item.meta.name == "web-1-a")
    assert isinstance(pod, kube.Pod)
    made.update(replace(pod, phase="Succeeded"))
    assert told(made, POD) == [
        "Pod/web-1-a owned_by ReplicaSet/web-1",
        "Pod/web-1-a runs_on Node/node-1",
    ]


# Lives


def test_the_end_of_an_earlier_life_changes_nothing() -> None:
    made = topology_of(a_pod("p", node_name="node-1", uid="second"))
    made.remove(a_pod("p", uid="first"))
    made.remove(a_pod("ghost"))
    assert made.size() == TopologySize(1, 1, 1)


def test_a_pod_whose_status_alone_is_news_keeps_its_edges_and_shows_its_new_state() -> None:
    pod = next(item for item in SHOP if item.meta.name == "web-1-a")
    assert isinstance(pod, kube.Pod)
    made = topology_of(*SHOP)
    before = made.size()
    made.update(replace(pod, reason="Evicted"))
    assert made.size() == before
    assert made.item(POD) == replace(pod, reason="Evicted")


def test_an_endpoint_whose_readiness_alone_is_news_keeps_its_edges_and_one_that_moves_does_not() -> None:  # fmt: skip
    listed = next(item for item in SHOP if isinstance(item, kube.EndpointSlice))
    made = topology_of(*SHOP)
    before = told(made, vertex("EndpointSlice", "cart-x"))
    made.update(replace(listed, endpoints=(replace(listed.endpoints[0], is_ready=False),)))
    assert told(made, vertex("EndpointSlice", "cart-x")) == before
    made.update(replace(listed, endpoints=(replace(listed.endpoints[0], target_name="web-1-a"),)))
    assert "EndpointSlice/cart-x lists Pod/web-1-a" in told(made, POD)


def test_many_templates_are_said_right_also_when_what_is_known_of_them_is_forgotten() -> None:
    made = topology_of()
    for number in range(2_100):
        spec = kube.PodSpec(service_account=f"sa-{number % 3}")
        made.update(a_pod(f"p-{number}", spec=spec))
    assert len(told(made, vertex("ServiceAccount", "sa-1"))) == 700


# Calls


def test_known_calls_replace_those_known_before() -> None:
    web, cart = Entity(Kind.DEPLOYMENT, "shop", "web"), Entity(Kind.DEPLOYMENT, "shop", "cart")
    bank = Entity(Kind.DEPLOYMENT, "bank", "payments")
    made = topology_of()
    made.set_calls([(web, cart), (web, cart), (cart, bank), (cart, cart)])
    assert told(made, CART) == [
        "Deployment/cart calls Deployment/payments",
        "Deployment/web calls Deployment/cart",
    ]
    made.set_calls([(cart, bank)])
    assert told(made, CART) == ["Deployment/cart calls Deployment/payments"]
    assert made.size() == TopologySize(0, 1, 0), "that somebody unseen is called is no fault"
    assert made.calls_left_out == 0


def test_calls_are_bounded_and_what_is_left_out_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(topology_module, "CALLS_MAX", 2)
    made = topology_of()
    names = [Entity(Kind.DEPLOYMENT, "shop", f"d{n}") for n in range(4)]
    made.set_calls([(a, b) for a in names for b in names])
    assert made.calls_left_out == 10
    assert made.size().edges == 2


# What lies near


def hops(made: Topology, start: Vertex, far: int, **how: object) -> dict[str, int]:
    found = made.neighbours(start, far, **how)  # type: ignore[arg-type] # as the test says
    return {f"{each.kind}/{each.name}": hop for each, hop in found.hops.items()}


def test_neighbours_come_nearest_first_then_by_name() -> None:
    made = topology_of(*SHOP)
    assert hops(made, CART, 3) == {
        "ReplicaSet/cart-1": 1,
        "Pod/cart-1-a": 2,
        "EndpointSlice/cart-x": 3,
        "NetworkPolicy/deny": 3,
        "Node/node-1": 3,
        "Service/cart": 3,
    }
    order = list(made.neighbours(CART, 3).hops)
    assert order[2:] == sorted(order[2:])
    assert hops(made, CART, 0) == {}


def test_a_thing_can_be_one_with_all_that_it_owns() -> None:
    made = topology_of(*SHOP)
    whole = hops(made, CART, 2, is_whole=True, ends=SHARED)
    assert whole == {
        "NetworkPolicy/deny": 1,
        "Node/node-1": 1,
        "Service/cart": 1,
        "Deployment/web": 2,
    }
    found = made.neighbours(CART, 1, is_whole=True, ends=SHARED)
    service = vertex("Service", "cart")
    assert Edge(service, EdgeType.SELECTS, CART) in found.edges
    assert Edge(service, EdgeType.LISTS, CART) in found.edges, "its EndpointSlice is a part of it"
    assert made.neighbours(vertex("Pod", "cart-1-a"), 1, is_whole=True).hops == {
        vertex(*name.split("/"), namespace="" if name.startswith("Node") else "shop"): hop
        for name, hop in hops(made, CART, 1, is_whole=True).items()
    }


def test_what_everybody_shares_is_reached_and_not_left_unless_it_was_asked_about() -> None:
    made = topology_of(
        a_pod("a", node_name="node-1"), a_pod("b", node_name="node-1"), a_pod("c", node_name="n-2")
    )
    assert hops(made, vertex("Pod", "a"), 5, ends=SHARED) == {"Node/node-1": 1}
    assert hops(made, vertex("Pod", "a"), 5) == {"Node/node-1": 1, "Pod/b": 2}
    assert hops(made, NODE, 5, ends=SHARED) == {"Pod/a": 1, "Pod/b": 1}


def test_no_more_are_told_than_were_asked_for_and_the_rest_is_counted() -> None:
    made = topology_of(*(a_pod(f"p-{n:02}", node_name="node-1") for n in range(20)))
    found = made.neighbours(NODE, 2, limit=3)
    assert [each.name for each in found.hops] == ["p-00", "p-01", "p-02"]
    assert (found.left_out, found.unwalked) == (17, 0)
    assert len(found.edges) == 3
    assert hops(made, vertex("Pod", "p-19"), 2, limit=1) == {"Node/node-1": 1}


def test_a_walk_looks_at_a_bounded_number_of_edges_and_vertices(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(graph, "WALK_MAX", 5)
    made = topology_of(*(a_pod(f"p-{n}", node_name="node-1") for n in range(6)))
    found = made.neighbours(vertex("Pod", "p-0"), 2)
    assert dict(found.hops) == {NODE: 1}
    assert found.unwalked == 1
    assert made.distance(vertex("Pod", "p-0"), vertex("Pod", "p-1"), 9) is None


@pytest.mark.parametrize(
    ("one", "other", "raw", "whole"),
    [
        (WEB, WEB, 0, 0),
        (WEB, POD, 2, 0),
        (WEB, vertex("Service", "cart"), 1, 1),
        (WEB, CART, 4, 2),
        (vertex("Ingress", "front"), CART, 6, 4),
        (vertex("StorageClass", "fast", ""), WEB, 2, 2),
        (WEB, vertex("Service", "db"), None, None),
        (vertex("Pod", "ghost"), WEB, None, None),
    ],
)
def test_how_far_things_are_apart_is_the_same_both_ways(
    one: Vertex, other: Vertex, raw: int | None, whole: int | None
) -> None:
    made = topology_of(*SHOP)
    for a, b in ((one, other), (other, one)):
        assert made.distance(a, b, 9, ends=SHARED) == raw
        assert made.distance(a, b, 9, ends=SHARED, is_whole=True) == whole


def test_farther_than_asked_is_unknown() -> None:
    made = topology_of(*SHOP)
    assert made.distance(WEB, CART, 3, ends=SHARED) is None


def test_owners_that_go_round_in_circles_hold_nobody_up() -> None:
    made = topology_of(
        *(
            kube.ReplicaSet(meta(name, owner=owner("ReplicaSet", above)))
            for name, above in (("a", "b"), ("b", "c"), ("c", "a"))
        )
    )
    start = vertex("ReplicaSet", "a")
    assert sorted(each.name for each in made.parts(start)) == ["a", "b", "c"]
    assert made.neighbours(start, 3, is_whole=True).left_out == 0
    assert set(hops(made, start, 3)) == {"ReplicaSet/b", "ReplicaSet/c"}


# Cost


def steps_of(work: Callable[[], None]) -> int:
    """Return how many functions of ours are called or gone on with, which is the same on every machine."""
    calls = 0

    def count(frame: FrameType, *_: object) -> None:
        nonlocal calls
        calls += "signals" in frame.f_code.co_filename

    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(None)
    return calls


def crowd(pods: int) -> Topology:
    """Return a namespace of so many pods in workloads of ten, each with its Service."""
    made = topology_of()
    for number in range(pods):
        app = f"app-{number % (pods // 10)}"
        labels = {"app": app, "release": "prod"}
        made.update(a_pod(f"p-{number}", labels, owner=owner("ReplicaSet", app), node_name="n"))
        made.update(a_service(app, labels))
    return made


def test_an_update_costs_what_the_object_joins_however_many_others_there_are() -> None:
    costs = []
    for pods in (100, 2_000):
        made = crowd(pods)
        new = a_pod("new", {"app": "app-1", "release": "prod"}, node_name="n")
        costs.append(
            [
                steps_of(partial(made.update, new)),
                steps_of(partial(made.update, replace(new, reason="x"))),
                steps_of(partial(made.update, replace(new, node_name="m"))),
                steps_of(partial(made.remove, new)),
                steps_of(partial(made.remove, a_service("app-1"))),
                steps_of(partial(made.update, a_service("app-1", {"app": "app-1"}))),
            ]
        )
    few, many = costs
    assert many == few
