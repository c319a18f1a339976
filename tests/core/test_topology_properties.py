"""However objects come, change and go, the topology is that of the objects that are there now."""

from collections.abc import Iterable

from hypothesis import given, strategies as st

from opsagent.model import kube
from opsagent.model.entity import Entity, Kind
from opsagent.model.topology import (
    NOT_NEEDED,
    Edge,
    EdgeType,
    Neighbourhood,
    TopologySize,
    Vertex,
)
from opsagent.signals.joins import Joins
from opsagent.signals.topology import SHARED, Topology
from tests.fakes.joined_shop import SHOP, box, env, owner, topology_of
from tests.fakes.objects import meta

NAMES = st.sampled_from(["a", "b", "c"])
SPACES = st.sampled_from(["shop", "bank"])
LABELS = st.dictionaries(st.sampled_from(["app", "tier"]), st.sampled_from("xyz"), max_size=2)
NO_LABELS: st.SearchStrategy[dict[str, str]] = st.just({})
EXPRESSIONS = st.builds(
    kube.Requirement,
    st.sampled_from(["app", "tier"]),
    st.sampled_from(["In", "NotIn", "Exists", "DoesNotExist"]),
    st.just(("x", "y")),
)
SELECTORS = st.builds(kube.LabelSelector, LABELS, st.lists(EXPRESSIONS, max_size=1).map(tuple))
HOSTS = st.sampled_from(["a", "b.bank", "http://c.shop.svc:80", "hmac:0123456789abcdef"])
SPECS = st.builds(
    kube.PodSpec,
    service_account=st.sampled_from(["", "a"]),
    volumes=st.lists(
        st.builds(
            kube.Volume,
            st.just("v"),
            st.sampled_from(["persistentVolumeClaim", "configMap", "secret", "emptyDir"]),
            NAMES,
            st.booleans(),
        ),
        max_size=2,
    ).map(tuple),
)
BOXES = HOSTS.map(lambda host: (box(*env(HOST=host)),))


@st.composite
def metas(draw: st.DrawFn, labels: st.SearchStrategy[dict[str, str]] = NO_LABELS) -> kube.ObjectMeta:  # fmt: skip
    kind = draw(st.sampled_from(["Deployment", "ReplicaSet", "Service", "Rollout", "Node"]))
    owned = draw(st.none() | NAMES.map(lambda name: owner(kind, name)))
    name = draw(NAMES)
    return meta(name, namespace=draw(SPACES), labels=draw(labels), owner=owned)


OBJECTS: st.SearchStrategy[kube.KubeObject] = st.one_of(
    st.builds(
        kube.Pod,
        metas(LABELS),
        node_name=st.sampled_from(["", "a"]),
        containers=BOXES,
        phase=st.sampled_from(["Running", "Succeeded"]),
        spec=SPECS,
    ),
    st.builds(
        kube.Deployment,
        metas(),
        containers=BOXES,
        template=st.builds(kube.PodTemplate, spec=SPECS),
    ),
    st.builds(kube.ReplicaSet, metas()),
    st.builds(kube.Service, metas(), selector=LABELS, external_name=st.just("") | HOSTS),
    st.builds(kube.PodDisruptionBudget, metas(), selector=st.none() | SELECTORS),
    st.builds(kube.NetworkPolicy, metas(), selector=SELECTORS),
    st.builds(
        kube.EndpointSlice,
        metas(),
        service_name=NAMES,
        endpoints=NAMES.map(lambda n: (kube.Endpoint((), target_kind="Pod", target_name=n),)),
    ),
    st.builds(
        kube.PersistentVolumeClaim,
        metas(),
        volume_name=st.sampled_from(["", "a"]),
        storage_class=NAMES,
    ),
    st.builds(kube.ConfigMap, metas()),
)
# (object, whether it goes instead of coming)
NEWS = st.lists(st.tuples(OBJECTS, st.booleans()), max_size=30)


def folded(news: Iterable[tuple[kube.KubeObject, bool]]) -> tuple[Topology, list[kube.KubeObject]]:
    """Return a topology that saw all news, and the objects that are left."""
    made = topology_of()
    there: dict[Entity, kube.KubeObject] = {}
    for item, is_end in news:
        if is_end:
            made.remove(item)
            there.pop(kube.entity_of(item), None)
        else:
            made.update(item)
            there[kube.entity_of(item)] = item
    return made, list(there.values())


def picture(
    made: Topology,
) -> tuple[TopologySize, tuple[Vertex, ...], set[Edge], dict[Vertex, tuple[Neighbourhood, ...]]]:
    """Return everything that can be asked of it, from everywhere."""
    kinds = (*Kind, "Secret", "Rollout")
    names = [Vertex(k, s, n) for k in kinds for s in ("shop", "bank", "") for n in ("a", "b", "c")]
    edges = {edge for name in names for edge in made.edges(name)}
    walks = {
        name: (
            made.neighbours(name, 2, limit=4),
            made.neighbours(name, 2, ends=SHARED, is_whole=True),
        )
        for name in names
        if made.edges(name)
    }
    return made.size(), made.dangling(), edges, walks


@given(NEWS, st.randoms(use_true_random=False))
def test_it_is_that_of_the_objects_there_are_in_whatever_order_they_come(
    news: list[tuple[kube.KubeObject, bool]], shuffler: object
) -> None:
    made, there = folded(news)
    shuffler.shuffle(there)  # type: ignore[attr-defined] # a Random
    assert picture(made) == picture(topology_of(*there))


@given(NEWS)
def test_when_all_objects_are_gone_nothing_is_left(news: list[tuple[kube.KubeObject, bool]]) -> None:  # fmt: skip
    made, there = folded(news)
    for item in there:
        made.remove(item)
    assert made.size() == TopologySize(0, 0, 0)
    assert kept(made) == kept(topology_of())


def kept(thing: object) -> object:
    """Return all that an object of ours holds, but for what is known of templates, which is bounded by itself."""
    if type(thing).__module__.startswith("opsagent.signals") and not isinstance(thing, Joins):
        return {name: kept(value) for name, value in vars(thing).items()}
    return thing if isinstance(thing, dict | set | int) else None


@given(NEWS)
def test_who_selects_whom_is_as_if_each_selector_were_tried_on_each_pod(
    news: list[tuple[kube.KubeObject, bool]],
) -> None:
    made, there = folded(news)
    tried = set()
    for one in there:
        selector = _selector(one)
        for pod in there:
            if (
                isinstance(pod, kube.Pod)
                and selector is not None
                and pod.phase == "Running"
                and pod.meta.namespace == one.meta.namespace
                and selector.selects(pod.meta.labels)
            ):
                tried.add((Vertex.of(kube.entity_of(one)), Vertex.of(kube.entity_of(pod))))
    found = {
        (edge.source, edge.target)
        for each in there
        for edge in made.edges(Vertex.of(kube.entity_of(each)))
        if edge.type is EdgeType.SELECTS and made.item(edge.target) is not None
    }
    assert found == tried


def _selector(item: kube.KubeObject) -> kube.LabelSelector | None:
    match item:
        case kube.Service(selector=labels) if labels:
            return kube.LabelSelector(labels)
        case kube.PodDisruptionBudget(selector=found) | kube.NetworkPolicy(selector=found):
            return found
        case _:
            return None


@given(NEWS)
def test_what_dangles_is_what_is_needed_and_not_there(news: list[tuple[kube.KubeObject, bool]]) -> None:  # fmt: skip
    made, there = folded(news)
    edges = {edge for each in there for edge in made.edges(Vertex.of(kube.entity_of(each)))}
    needed = {edge.target for edge in edges if edge.type not in NOT_NEEDED}
    known = {kind.value for kind in Kind}
    # Every namespace is either seen or, since no Namespace is there, gone.
    absent = {each for each in needed if made.item(each) is None and each.kind in known}
    assert set(made.dangling()) == absent


@given(st.permutations(SHOP))
def test_a_whole_shop_listed_in_any_order_hangs_together_alike(shop: list[kube.KubeObject]) -> None:  # fmt: skip
    start = Vertex("Deployment", "shop", "web")
    found = topology_of(*shop).neighbours(start, 4)
    assert found == topology_of(*SHOP).neighbours(start, 4)
    assert list(found.hops) == list(topology_of(*SHOP).neighbours(start, 4).hops)
