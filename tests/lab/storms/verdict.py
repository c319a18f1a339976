"""Was everything seen, and only what was? Pure: two histories in, findings out."""

from collections.abc import Collection, Iterable, Mapping, Sequence

from tests.lab.storms.proxy import Ask
from tests.lab.storms.sighting import Sighting

Name = tuple[str, str]  # kind, namespace/name
EARLY_SECONDS = 5.0  # by which the witness may be late


def phantoms(truth: Iterable[Sighting], seen: Iterable[Sighting]) -> list[str]:
    """Return what was seen and never was: a state that was never stored, or old, or an end too many."""
    stored: dict[tuple[str, int], Sighting] = {}
    ended: dict[str, float] = {}
    for each in truth:
        if each.is_deleted:
            ended[each.uid] = each.at
        else:
            stored[each.uid, each.version] = each
    told: dict[str, Sighting] = {}
    found = []
    for each in filter(lambda each: each.name, seen):
        before = told.get(each.uid)
        if before is not None and before.is_deleted:
            found.append(f"after its end: {each}")
        elif each.is_deleted and each.at < ended.get(each.uid, float("inf")) - EARLY_SECONDS:
            found.append(f"an end that never came, or not then: {each}")
        elif not each.is_deleted and not _is_same(stored.get((each.uid, each.version)), each):
            found.append(f"never stored: {each}")
        elif not each.is_deleted and before is not None and each.version <= before.version:
            found.append(f"not news: {each}")
        told[each.uid] = each
    return found


def _is_same(stored: Sighting | None, seen: Sighting) -> bool:
    return stored is not None and (stored.kind, stored.name, stored.phase) == (
        seen.kind,
        seen.name,
        seen.phase,
    )


def differences(
    right: Mapping[Name, Sighting], other: Mapping[Name, Sighting]
) -> tuple[list[str], list[str]]:
    """Return which objects ``other`` misses or has in an old state, and which it has beyond the right ones."""
    missed = [
        f"{name}: {right[name]}, not {other.get(name)}"
        for name in sorted(right)
        if name not in other or not _is_current(other[name], right[name])
    ]
    beyond = [f"{name}: {other[name]}" for name in sorted(other) if name not in right]
    return missed, beyond


def _is_current(seen: Sighting, right: Sighting) -> bool:
    return (seen.uid, seen.version, seen.phase) == (right.uid, right.version, right.phase)


def unseen(
    truth: Iterable[Sighting], seen: Iterable[Sighting], *, since: float, before: float
) -> list[str]:
    """Return the states that the witness saw in that time and that were never seen.

    Passing states count too: while no watch breaks, every one of them is told.
    """
    known = {(each.uid, each.version) for each in seen}
    return [
        f"unseen: {each}"
        for each in truth
        if since <= each.at < before
        and not each.is_deleted
        and (each.uid, each.version) not in known
    ]


def lags(truth: Iterable[Sighting], seen: Iterable[Sighting], *, since: float) -> list[float]:
    """Return, sorted, how many seconds after the witness each state that it saw since then was committed."""
    stored = {(each.uid, each.version): each.at for each in truth if each.at >= since}
    return sorted(
        each.committed_at - stored[each.uid, each.version]
        for each in seen
        if (each.uid, each.version) in stored
    )


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value that ``share`` of the sorted ``values`` do not exceed."""
    return values[min(len(values) - 1, int(share * len(values)))]


def busiest(asks: Collection[Ask], seconds: float) -> dict[tuple[str, str], int]:
    """Return, for each collection and way of asking, the most requests that began within ``seconds``.

    Further pages of a list are no requests of their own here.
    """
    times: dict[tuple[str, str], list[float]] = {}
    for ask in asks:
        if ask.what and ask.how != "more":
            times.setdefault((ask.what, ask.how), []).append(ask.at)
    return {what: _most_within(each, seconds) for what, each in times.items()}


def _most_within(times: Sequence[float], seconds: float) -> int:
    most, first = 0, 0
    for last, at in enumerate(times):
        while at - times[first] > seconds:
            first += 1
        most = max(most, last - first + 1)
    return most
