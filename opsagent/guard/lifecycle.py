"""The life of a plan as one table: which state may follow which.

Theory of operation. Up to ``pending`` nothing but reads and dry runs has happened. ``approved`` is a
person's leave. ``armed`` is the intent, on the disk before the write leaves; ``sent`` its answer.
Between these two a crash leaves the question whether the write arrived. It is answered by reading the
object, never by writing again: arrived -> ``sent``; provably not -> back to ``approved``, where every
check is made again; cannot be told -> ``unknown``, for a person. A conflict (409) is a proof that
nothing was written, so it goes back to ``approved`` as well.

An ending state has no way out.
"""

from collections.abc import Mapping
from types import MappingProxyType

from opsagent.model.plan import PlanState as S

_REFUSALS = frozenset({S.DENIED, S.INVALIDATED, S.CANCELLED})

TRANSITIONS: Mapping[S, frozenset[S]] = MappingProxyType(
    {
        S.PROPOSED: _REFUSALS | {S.VALIDATED},
        S.VALIDATED: _REFUSALS | {S.DRY_RUN},
        S.DRY_RUN: _REFUSALS | {S.DIFFED},
        S.DIFFED: _REFUSALS | {S.PENDING},
        S.PENDING: _REFUSALS | {S.APPROVED, S.EXPIRED},
        S.APPROVED: _REFUSALS | {S.ARMED, S.EXPIRED},
        S.ARMED: frozenset({S.SENT, S.APPROVED, S.INVALIDATED, S.UNKNOWN}),
        S.SENT: frozenset({S.VERIFYING}),
        S.VERIFYING: frozenset({S.SUCCEEDED, S.ROLLING_BACK}),
        S.ROLLING_BACK: frozenset({S.ROLLED_BACK, S.ROLLBACK_FAILED}),
        S.SUCCEEDED: frozenset(),
        S.ROLLED_BACK: frozenset(),
        S.ROLLBACK_FAILED: frozenset(),
        S.DENIED: frozenset(),
        S.EXPIRED: frozenset(),
        S.INVALIDATED: frozenset(),
        S.CANCELLED: frozenset(),
        S.UNKNOWN: frozenset(),
    }
)

ENDED = frozenset(state for state, following in TRANSITIONS.items() if not following)
# The write may have reached the cluster: these plans count against the limits.
AFTER_SEND = frozenset(
    {S.SENT, S.VERIFYING, S.SUCCEEDED, S.ROLLING_BACK, S.ROLLED_BACK, S.ROLLBACK_FAILED, S.UNKNOWN}
)


def may_move(from_state: S, to_state: S) -> bool:
    """Return whether ``to_state`` may follow ``from_state``."""
    return to_state in TRANSITIONS[from_state]
