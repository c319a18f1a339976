"""What every store promises: the same suite runs on the SQLite file and on the fake in memory."""

import datetime as dt
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import pytest
import pytest_asyncio

from opsagent.clients.kube_wire import decode_object
from opsagent.model.alert import Alert, AlertState, Evidence, EvidenceKind, Severity, fingerprint
from opsagent.model.canonical import canonical, content_id
from opsagent.model.entity import Entity, Kind
from opsagent.model.incident import (
    Cause,
    Diagnosis,
    EntryKind,
    Incident,
    IncidentState,
    TimelineEntry,
)
from opsagent.model.kube import (
    Condition,
    Container,
    ContainerState,
    ContainerStatus,
    Deployment,
    EnvVar,
    FieldManager,
    KubeEvent,
    KubeObject,
    Namespace,
    Node,
    ObjectMeta,
    OwnerRef,
    Phase,
    Pod,
    ReplicaSet,
    kind_of,
)
from opsagent.model.notification import Notification, NotificationReason
from opsagent.model.signal import Change, ChangeType, RawRow, RowType
from opsagent.ports import Batch, Snapshot, Store, Terminal
from opsagent.store.daemon import SqliteStore
from opsagent_memory.fact import fact
from tests.fakes import wire_kinds
from tests.fakes.store import MemoryStore

T0 = dt.datetime(2026, 1, 5, 3, 4, 5, 678901, tzinfo=dt.UTC)
CART = Entity(Kind.DEPLOYMENT, "shop", "cart")


class Home(Protocol):
    """A place where a store's state survives its process."""

    async def start(self) -> Store: ...


class SqliteHome:
    def __init__(self, folder: Path) -> None:
        self._path = folder / "daemon.db"

    async def start(self) -> Store:
        return await SqliteStore.open(self._path)


class MemoryHome:
    def __init__(self) -> None:
        self._store = MemoryStore()

    async def start(self) -> Store:
        return self._store


@pytest.fixture(params=["sqlite", "memory"])
def home(request: pytest.FixtureRequest, tmp_path: Path) -> Home:
    return SqliteHome(tmp_path) if request.param == "sqlite" else MemoryHome()


@pytest_asyncio.fixture
async def store(home: Home) -> AsyncIterator[Store]:
    opened = await home.start()
    yield opened
    await opened.aclose()


def at(seconds: float) -> dt.datetime:
    return T0 + dt.timedelta(seconds=seconds)


def pod(name: str, version: str = "1") -> Pod:
    return Pod(ObjectMeta("shop", name, f"uid-{name}", version), phase="Running")


def row(
    seq: int, item: KubeObject | None, type_: RowType = RowType.ADDED, seconds: float = 0
) -> RawRow:
    return RawRow(seq, at(seconds), type_, Kind.POD if item is None else kind_of(item), item)


def change(name: str, seconds: float = 0) -> Change:
    return Change(
        f"chg_{name}", at(seconds), CART, ChangeType.ROLLOUT, "spec", "v1", "v2", "kubectl", 2, "raw:1"
    )  # fmt: skip


def alert(name: str, state: AlertState = AlertState.FIRING, seconds: float = 0) -> Alert:
    labels = {"alertname": "ContainerCrashLooping", "pod": name}
    return Alert(
        fingerprint=fingerprint(labels),
        name="ContainerCrashLooping",
        entity=CART,
        severity=Severity.CRITICAL,
        state=state,
        starts_at=at(0),
        ends_at=at(seconds) if state is AlertState.RESOLVED else None,
        labels=labels,
        annotations={"summary": "restarts ✗ 'quoted\"; --"},
        evidence=(Evidence(EvidenceKind.OBJECT, "v1/Pod/shop/a", "exit 1", at(0), "raw:1"),),
    )


def incident(name: str, seconds: float = 0, state: IncidentState = IncidentState.OPEN) -> Incident:
    return Incident(
        incident_id=f"inc_{name}",
        entity=CART,
        severity=Severity.CRITICAL,
        state=state,
        title="shop/cart: crash loop",
        opened_at=at(seconds),
        updated_at=at(seconds),
        resolved_at=None,
        firing=("alr_1",),
        cleared=(),
        diagnoses=(Diagnosis(CART, Cause.BAD_ROLLOUT, 0.875, "after a rollout"),),
        timeline=(TimelineEntry(at(seconds), "opsagent", EntryKind.OPENED, "opened", "raw:1"),),
        plan_ids=("pln_1",),
        waiting_for="approval",
    )


def note(name: str, seconds: float = 0) -> Notification:
    return Notification(
        content_id("ntf", name),
        "inc_a",
        NotificationReason.OPENED,
        Severity.CRITICAL,
        f"title {name}",
        ("line",),
        at(seconds),
    )


async def test_a_new_state_is_empty(store: Store) -> None:
    assert await store.load() == Snapshot()
    assert await store.incidents() == ()
    assert await store.incident("inc_none") is None
    assert await store.facts() == ()
    assert await store.undelivered() == ()
    assert await store.row(1) is None
    tables = ("rows", "live", "changes", "alerts", "incidents", "facts", "notifications")
    assert await store.counts() == dict.fromkeys(tables, 0)


async def test_a_commit_is_what_is_loaded(store: Store) -> None:
    batch = Batch(
        rows=(row(1, pod("a")), row(2, pod("b"))),
        changes=(change("1"),),
        alerts=(alert("a"),),
        incidents=(incident("a"),),
        facts=(fact(at(0), str(CART), "image", "v1 -> v2", ("raw:1",)),),
        notifications=(note("1"),),
    )
    await store.commit(batch)
    assert await store.load() == Snapshot(
        2, batch.rows, batch.changes, batch.alerts, batch.incidents
    )
    assert await store.incident("inc_a") == incident("a")
    assert await store.facts() == batch.facts
    assert await store.undelivered() == batch.notifications


async def test_resuming_gives_the_same_snapshot_to_the_byte(home: Home) -> None:
    first = await home.start()
    await first.commit(Batch((row(1, pod("a")), row(2, pod("b"))), (change("1"),), (alert("a"),)))
    await first.commit(
        Batch((row(3, pod("a", "2"), RowType.MODIFIED),), incidents=(incident("a"),))
    )
    before = await first.load()
    await first.aclose()
    second = await home.start()
    after = await second.load()
    await second.aclose()
    assert after == before
    assert canonical(after) == canonical(before)
    assert [item.seq for item in after.rows] == [2, 3]


WHOLE_META = ObjectMeta(
    namespace="shop",
    name="whole",
    uid="u",
    resource_version="7",
    generation=3,
    created_at=at(1),
    deleted_at=at(2),
    labels={"b": "2", "a": "1"},
    annotations={"note": "ünïcode \u202e ✓"},
    owner=OwnerRef("ReplicaSet", "cart-1", "u2"),
    managers=(FieldManager("kubectl", "Update", at(3)), FieldManager("x", "Apply", None, "status")),
)
CONTAINER = Container("web", "shop/cart:v1", (EnvVar("A", "hmac:1"),), {"cpu": "500m"}, {})
STATE = ContainerState(Phase.TERMINATED, "OOMKilled", "", 137, at(1), at(2))
OBJECTS: tuple[KubeObject, ...] = (
    Namespace(WHOLE_META, "Terminating"),
    Node(WHOLE_META, True, (Condition("Ready", "False", "x", "y", at(4)),)),
    Pod(
        WHOLE_META,
        "n1",
        (CONTAINER,),
        "Failed",
        "Evicted",
        (Condition("Ready", "False"),),
        (ContainerStatus("web", False, 4, ContainerState(Phase.WAITING), STATE),),
    ),
    ReplicaSet(WHOLE_META, 2, 3, 2, 1, (CONTAINER,), "d" * 64),
    Deployment(WHOLE_META, 2, 3, True, 20, {"app": "cart"}, (CONTAINER,), "d" * 64, 3, 3, 2, 1, 1),
    KubeEvent(WHOLE_META, "Pod", "shop", "a", "u", "Warning", "BackOff", "m", 5, at(1), at(2), "k"),
    *(
        decode_object(Kind(each["kind"]), json.dumps(each).encode())
        for each in wire_kinds.everything()
    ),
)


@pytest.mark.parametrize("item", OBJECTS, ids=lambda item: type(item).__name__)
async def test_every_kind_survives_whole(store: Store, item: KubeObject) -> None:
    await store.commit(Batch((row(1, item),)))
    assert await store.row(1) == row(1, item)
    assert (await store.load()).rows == (row(1, item),)


async def test_only_the_newest_row_of_an_object_is_live(store: Store) -> None:
    await store.commit(
        Batch((row(1, pod("a")), row(2, pod("b")), row(3, pod("a", "2"), RowType.MODIFIED)))
    )
    assert [item.seq for item in (await store.load()).rows] == [2, 3]


async def test_a_deletion_ends_the_life_but_keeps_the_row(store: Store) -> None:
    await store.commit(Batch((row(1, pod("a")), row(2, pod("a", "2"), RowType.DELETED))))
    assert (await store.load()).rows == ()
    assert await store.row(1) == row(1, pod("a"))
    assert await store.row(2) == row(2, pod("a", "2"), RowType.DELETED)


async def test_within_a_batch_the_last_word_about_an_object_counts(store: Store) -> None:
    rows = (
        row(1, pod("a")),
        row(2, pod("a", "2"), RowType.DELETED),
        row(3, pod("a", "3")),
        row(4, pod("b")),
        row(5, pod("b", "2"), RowType.DELETED),
    )
    await store.commit(Batch(rows))
    assert (await store.load()).rows == (rows[2],)


async def test_the_end_of_a_list_is_a_row_without_an_object(store: Store) -> None:
    await store.commit(Batch((row(1, None, RowType.SYNCED),)))
    assert await store.row(1) == row(1, None, RowType.SYNCED)
    assert await store.load() == Snapshot(seq=1)


async def test_a_batch_that_fails_leaves_nothing(store: Store) -> None:
    await store.commit(Batch((row(1, pod("a")),)))
    before = await store.load()
    broken = Batch(
        rows=(row(2, pod("b")), row(4, pod("c"))),  # 3 is missing
        incidents=(incident("a"),),
        notifications=(note("1"),),
    )
    with pytest.raises(Terminal, match="row 4 cannot follow row 2"):
        await store.commit(broken)
    assert await store.load() == before
    assert await store.row(2) is None
    assert await store.undelivered() == ()
    assert await store.incidents() == ()


async def test_a_number_used_before_is_refused(store: Store) -> None:
    await store.commit(Batch((row(1, pod("a")),)))
    with pytest.raises(Terminal, match="row 1 cannot follow row 1"):
        await store.commit(Batch((row(1, pod("b")),)))


async def test_a_notification_known_by_id_is_told_once(store: Store) -> None:
    await store.commit(Batch(notifications=(note("1"),)))
    await store.commit(Batch(notifications=(note("1"), replace(note("1"), title="other"))))
    assert await store.undelivered() == (note("1"),)
    await store.mark_delivered(note("1").notification_id, at(5))
    await store.commit(Batch(notifications=(note("1"),)))
    assert await store.undelivered() == ()


async def test_undelivered_comes_oldest_first_and_bounded(store: Store) -> None:
    notes = (note("late", 9), note("early", 1), note("same", 1))
    await store.commit(Batch(notifications=notes))
    assert await store.undelivered() == (notes[1], notes[2], notes[0])
    assert await store.undelivered(limit=1) == (notes[1],)
    assert await store.undelivered(limit=0) == ()


async def test_what_was_given_up_no_longer_stands_in_the_way(store: Store) -> None:
    await store.commit(Batch(notifications=(note("1", 1), note("2", 2))))
    await store.mark_given_up(note("1").notification_id, at(5))
    assert await store.undelivered(limit=1) == (note("2", 2),)
    assert (await store.counts())["notifications"] == 2


async def test_incidents_come_newest_first_and_in_their_last_form(store: Store) -> None:
    await store.commit(Batch(incidents=(incident("a", 1), incident("b", 2))))
    await store.commit(Batch(incidents=(replace(incident("a", 1), title="later"),)))
    assert [item.incident_id for item in await store.incidents()] == ["inc_b", "inc_a"]
    assert [item.title for item in await store.incidents()][1] == "later"
    assert len(await store.incidents(limit=1)) == 1


async def test_closed_incidents_and_resolved_alerts_are_not_resumed(store: Store) -> None:
    await store.commit(
        Batch(
            alerts=(alert("a"), alert("b", AlertState.RESOLVED, 1), alert("c", AlertState.PENDING)),
            incidents=(
                incident("a", state=IncidentState.CLOSED),
                incident("b", state=IncidentState.RESOLVED),
            ),
        )
    )
    snapshot = await store.load()
    assert {item.state for item in snapshot.alerts} == {AlertState.FIRING, AlertState.PENDING}
    assert [item.incident_id for item in snapshot.incidents] == ["inc_b"]
    assert len(await store.incidents()) == 2


async def test_facts_are_told_once_oldest_first_and_a_pin_stays(store: Store) -> None:
    late, early = (fact(at(s), str(CART), "image", f"at {s}", ("raw:1",)) for s in (9, 1))
    pinned = replace(late, is_pinned=True)
    await store.commit(Batch(facts=(late, early)))
    await store.commit(Batch(facts=(pinned,)))
    await store.commit(Batch(facts=(late,)))
    assert await store.facts() == (early, pinned)
    assert await store.facts(limit=1) == (pinned,)


async def test_changes_come_back_oldest_first_and_once(store: Store) -> None:
    await store.commit(Batch(changes=(change("b", 2), change("a", 1))))
    await store.commit(Batch(changes=(change("a", 1),)))
    assert (await store.load()).changes == (change("a", 1), change("b", 2))


async def test_retention_keeps_what_lives_however_old(store: Store) -> None:
    await store.commit(
        Batch(
            rows=(
                row(1, pod("lives"), seconds=0),
                row(2, pod("changed"), seconds=0),
                row(3, pod("changed", "2"), RowType.MODIFIED, 10),
                row(4, pod("dead"), seconds=0),
                row(5, pod("dead", "2"), RowType.DELETED, 1),
                row(6, None, RowType.SYNCED, 1),
            ),
            changes=(change("old", 0), change("new", 10)),
            alerts=(alert("old", AlertState.RESOLVED, 1), alert("new", AlertState.RESOLVED, 10)),
            incidents=(incident("a"),),
        )
    )
    assert await store.retain(at(5)) == 4
    assert [await store.row(seq) is not None for seq in range(1, 7)] == [
        True, False, True, False, False, False,
    ]  # fmt: skip
    counts = await store.counts()
    assert (counts["rows"], counts["changes"], counts["alerts"], counts["incidents"]) == (
        2,
        1,
        1,
        1,
    )
    assert await store.retain(at(5)) == 0


async def test_numbers_go_on_after_retention_dropped_the_last_row(home: Home) -> None:
    first = await home.start()
    await first.commit(Batch((row(1, pod("a")), row(2, None, RowType.SYNCED))))
    await first.retain(at(5))
    await first.aclose()
    second = await home.start()
    assert (await second.load()).seq == 2
    await second.commit(Batch((row(3, pod("b")),)))
    await second.aclose()


async def test_a_pointer_opens_its_row(store: Store) -> None:
    await store.commit(Batch((row(1, pod("a")),), (change("1"),)))
    seq = int((await store.load()).changes[0].pointer.removeprefix("raw:"))
    assert await store.row(seq) == row(1, pod("a"))
