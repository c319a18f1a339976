"""One eventful half hour of the simulated shop, with everything that a named expression can be about.

Minutes: 0 quiet; 5 ``web`` gets a release that crashes; 11 it is rolled back by hand; 19 ``cart`` gets
one that needs too much memory; 25 the end. ``batch`` needs twice the cpu that its limit gives it.
"""

import datetime as dt

from opsagent.clients.prometheus_templates import places
from opsagent.model.metrics import MetricArguments, MetricTemplate
from opsagent.sim import Fault, fault_patch, shop, template_patch
from opsagent.sim.images import BY_TAG_ENDING, ImageBehaviour, ImageRegistry
from opsagent.sim.prometheus import Prometheus
from opsagent.sim.shop import deployment
from tests.edge.sim.hand import DEPLOYMENTS, PODS, WEB, Hand
from tests.fakes.virtual_time import EPOCH

CART = f"{DEPLOYMENTS}/cart"
WINDOW = dt.timedelta(minutes=2)
BATCH = ImageBehaviour(cpu_cores=0.5, log_lines=("counting",))
LENGTH_SECONDS = 1500


def half_hour() -> tuple[Hand, Prometheus]:
    registry = ImageRegistry(
        images={"shop/batch:v1": BATCH},
        repositories=frozenset({"shop/web", "shop/cart"}),
        by_tag_ending=BY_TAG_ENDING,
    )
    hand = Hand(shop(EPOCH, registry=registry))
    prometheus = Prometheus(hand.cluster)
    batch = deployment("batch", "shop/batch:v1", 1)
    container = batch["spec"]["template"]["spec"]["containers"][0]
    container["resources"] = {"limits": {"cpu": "250m"}}
    hand.create(DEPLOYMENTS, batch)
    hand.wait(300)
    hand.patch(WEB, fault_patch(Fault.CRASH_LOOP))
    hand.wait(360)
    hand.patch(WEB, template_patch({"name": "web", "image": "shop/web:v1"}))
    hand.wait(480)
    hand.patch(CART, fault_patch(Fault.OOM_KILLED, container="cart", image="shop/cart:v2"))
    hand.wait(360)
    return hand, prometheus


def questions(hand: Hand) -> list[tuple[MetricTemplate, MetricArguments]]:
    """Return every template about everything that it could be about."""
    pods = [
        (item["metadata"]["name"], item["spec"]["containers"][0]["name"])
        for item in hand.items(PODS)
    ]
    subjects = {
        "deployment": ["web", "cart", "batch", "nobody"],
        "node": ["node-1", "node-2", "node-3", "nowhere"],
    }
    found = []
    for template in MetricTemplate:
        taken = places(template)
        common: dict[str, object] = {}
        if "namespace" in taken:
            common["namespace"] = "shop"
        if "window" in taken:
            common["window"] = WINDOW
        if "pod" in taken:
            each = [{"pod": pod, "container": container} for pod, container in pods]
        else:
            each = [{key: name} for key in taken & subjects.keys() for name in subjects[key]]
        found += [(template, MetricArguments(**common, **one)) for one in each or [{}]]
    return found
