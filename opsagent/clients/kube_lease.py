"""``ports.Leadership`` on one coordination.k8s.io/v1 Lease.

Theory. Whoever's name stands in the Lease leads. All changes are compare-and-swap on the resource
version, so of two who try at once one gets a conflict. The holder renews; another may take over when
it has seen the same record unchanged for the whole lease duration *by its own monotonic clock*: the
stamps in the record come from a stranger's wall clock and are only for people.

Safety is a gap in time: a holder counts itself out after ``RENEW_DEADLINE_SECONDS`` without a renewal,
counted from before the request was sent, and cancels ``lead``; nobody else may count it out before
``LEASE_SECONDS``. :attr:`KubeLease.is_leader` compares times when it is asked, so even an event loop
that stalled past the deadline answers correctly. ``leaseTransitions`` grows with each change of hands.

``lead`` that crashes releases the Lease and its error leaves :meth:`KubeLease.run`: a holder that
renews while its work is dead would be worse than none. Interoperates with client-go's LeaseLock.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated

import msgspec
import structlog

from opsagent.clients.kube_path import segment
from opsagent.clients.kube_status import raise_for_status
from opsagent.model.canonical import instant
from opsagent.ports import (
    Chance,
    Clock,
    Conflict,
    Forbidden,
    KubeTransport,
    NotFound,
    Terminal,
    Transient,
)

LEASE_SECONDS = 30
RENEW_SECONDS = 10.0
RENEW_DEADLINE_SECONDS = 20.0
RETRY_SECONDS = 2.0
RELEASE_SECONDS = 5.0
JITTER = 0.2  # waits vary by this share, so that replicas do not ask in step
_PASSING = (Transient, Conflict)
_REFUSALS = (*_PASSING, Forbidden, NotFound, Terminal)
_log = structlog.get_logger(__name__)


class _Spec(msgspec.Struct, rename="camel", omit_defaults=True):
    holder_identity: str | None = None
    lease_duration_seconds: Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)] | None = None
    acquire_time: str | None = None
    renew_time: str | None = None
    lease_transitions: Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)] | None = None


class _Lease(msgspec.Struct, rename="camel"):
    """The whole metadata is kept, so that a write loses nobody's labels."""

    metadata: dict[str, object]
    spec: _Spec = msgspec.field(default_factory=_Spec)
    api_version: str = "coordination.k8s.io/v1"
    kind: str = "Lease"


class _Lost(Exception):  # noqa: N818 - leaves this module never
    """The Lease is no longer ours."""


class KubeLease:
    """One candidate. ``identity`` must be this process's alone.

    A Lease that already names ``identity`` is taken up at once: a process that was killed and
    started again under its old name need not wait for itself.
    """

    def __init__(
        self,
        transport: KubeTransport,
        *,
        namespace: str,
        name: str,
        identity: str,
        clock: Clock,
        chance: Chance,
    ) -> None:
        self._transport = transport
        self._collection = f"/apis/coordination.k8s.io/v1/namespaces/{segment(namespace)}/leases"
        self._name = segment(name)
        self._identity = identity
        self._clock = clock
        self._chance = chance
        self._held: _Lease | None = None
        self._renewed_at = 0.0
        self._seen: tuple[_Spec, float] | None = None
        self._waits_out: tuple[type[Exception], ...] = _PASSING
        self._problem = ""

    @property
    def is_leader(self) -> bool:
        """Whether the Lease is held now and was renewed in time."""
        return self._held is not None and _now() < self._renewed_at + RENEW_DEADLINE_SECONDS

    @property
    def problem(self) -> str:
        """Why the Lease could not be read or written when it was last tried; empty if it could."""
        return self._problem

    @property
    def transitions(self) -> int:
        """How often the Lease changed hands when it was last taken: grows, so later leaders have more."""
        return (self._held and self._held.spec.lease_transitions) or 0

    async def run(self, lead: Callable[[], Awaitable[None]]) -> None:
        """Wait for the Lease, lead, and begin again when it is lost; until cancelled or ``lead`` returns.

        Raises:
            Forbidden, NotFound, Terminal: the Lease cannot be used at all (no right, no namespace). Only
                before the first term: who has led once waits for a revoked token or right to come back.
            Whatever ``lead`` raised; the Lease has been released.
        """
        is_over = False
        while not is_over:
            await self._acquire()
            self._waits_out = _REFUSALS
            _log.info("lease.acquired", lease=self._name, transitions=self.transitions)
            try:
                is_over = await self._lead_while_held(lead)
            finally:
                await self._release()

    async def _acquire(self) -> None:
        while not await self._try_to_acquire():  # noqa: ASYNC110 - the event is in another process
            await asyncio.sleep(self._jittered(RETRY_SECONDS))

    async def _try_to_acquire(self) -> bool:
        try:
            lease = await self._read()
            if lease is None:
                await self._write(self._claimed(_Lease({"name": self._name})), is_new=True)
            elif self._may_take(lease.spec):
                await self._write(self._claimed(lease))
            self._problem = ""
        except self._waits_out as error:
            # A conflict is no problem: somebody else was quicker.
            problem = "" if isinstance(error, Conflict) else str(error)
            if problem != self._problem or not problem:  # it is tried every two seconds
                _log.warning("lease.not_acquired", lease=self._name, reason=str(error))
            self._problem = problem
        return self._held is not None

    def _may_take(self, spec: _Spec) -> bool:
        if not spec.holder_identity or spec.holder_identity == self._identity:
            return True
        if self._seen is None or self._seen[0] != spec:
            self._seen = (spec, _now())
        seconds = (
            LEASE_SECONDS if spec.lease_duration_seconds is None else spec.lease_duration_seconds
        )
        return _now() >= self._seen[1] + seconds

    def _claimed(self, lease: _Lease) -> _Lease:
        """Return ``lease`` in our name, its transition counted unless it was ours already."""
        now = instant(self._clock.now())
        is_ours = lease.spec.holder_identity == self._identity
        spec = _Spec(
            holder_identity=self._identity,
            lease_duration_seconds=LEASE_SECONDS,
            acquire_time=lease.spec.acquire_time if is_ours else now,
            renew_time=now,
            lease_transitions=(lease.spec.lease_transitions or 0) + (0 if is_ours else 1),
        )
        return _Lease(lease.metadata, spec)

    async def _lead_while_held(self, lead: Callable[[], Awaitable[None]]) -> bool:
        """Return True if ``lead`` returned by itself, False if the Lease was lost."""
        try:
            async with asyncio.TaskGroup() as group:
                renewing = group.create_task(self._renew_until_lost(), name="lease")
                await lead()
                renewing.cancel()
        except BaseExceptionGroup as failures:
            _, others = failures.split(_Lost)
            if others is not None:
                raise others.exceptions[0] from None
            _log.error("lease.lost", lease=self._name)
            return False
        return True

    async def _renew_until_lost(self) -> None:
        wait = RENEW_SECONDS
        while True:
            deadline = self._renewed_at + RENEW_DEADLINE_SECONDS
            try:
                async with asyncio.timeout_at(deadline):
                    await asyncio.sleep(self._jittered(wait))
                    await self._renew()
                wait = RENEW_SECONDS
            except TimeoutError:
                self._held = None
                raise _Lost from None
            except _REFUSALS as error:
                _log.warning("lease.not_renewed", lease=self._name, reason=str(error))
                wait = RETRY_SECONDS

    async def _renew(self) -> None:
        """Write what we hold once more; only if somebody touched it, look who holds it now."""
        assert self._held is not None, "only a holder renews"
        try:
            await self._write(self._claimed(self._held))
        except (Conflict, NotFound):
            lease = await self._read()
            if lease is None or lease.spec.holder_identity != self._identity:
                self._held = None
                raise _Lost from None
            await self._write(self._claimed(lease))

    async def _release(self) -> None:
        """Give the Lease up if it is still ours, so that the next one need not wait."""
        held, self._held = self._held, None
        self._seen = None
        if held is None:
            return
        held.spec.holder_identity = ""
        held.spec.lease_duration_seconds = 1
        try:
            async with asyncio.timeout(RELEASE_SECONDS):
                await self._put(held)
        except (*_REFUSALS, TimeoutError) as error:
            _log.warning("lease.not_released", lease=self._name, reason=str(error))

    async def _read(self) -> _Lease | None:
        path = f"{self._collection}/{self._name}"
        answer = await self._transport.request("GET", path)
        try:
            raise_for_status(answer, f"GET {path}")
        except NotFound:
            return None
        return _decode(answer.body)

    async def _write(self, lease: _Lease, *, is_new: bool = False) -> None:
        """Create or replace; from before the request was sent the Lease counts as renewed."""
        asked_at = _now()
        self._held = await (self._post(lease) if is_new else self._put(lease))
        self._renewed_at = asked_at

    async def _post(self, lease: _Lease) -> _Lease:
        answer = await self._transport.request(
            "POST", self._collection, body=msgspec.json.encode(lease)
        )
        raise_for_status(answer, f"POST {self._collection}")
        return _decode(answer.body)

    async def _put(self, lease: _Lease) -> _Lease:
        path = f"{self._collection}/{self._name}"
        answer = await self._transport.request("PUT", path, body=msgspec.json.encode(lease))
        raise_for_status(answer, f"PUT {path}")
        return _decode(answer.body)

    def _jittered(self, seconds: float) -> float:
        return self._chance.uniform(seconds * (1 - JITTER), seconds * (1 + JITTER))


def _now() -> float:
    return asyncio.get_running_loop().time()


def _decode(body: bytes) -> _Lease:
    try:
        return msgspec.json.decode(body, type=_Lease)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Transient(f"the answer is no Lease: {error}") from error
