"""Words for people: titles, spans, what a change or an action does. One place, so that all lines sound alike."""

import datetime as dt

from opsagent.model.alert import Alert, Symptom
from opsagent.model.entity import Entity
from opsagent.model.plan import Plan
from opsagent.model.signal import Change

_TITLES = {
    Symptom.CRASH_LOOP: "{} is crash looping",
    Symptom.IMAGE_PULL: "{} cannot get its image",
    Symptom.OOM_KILLED: "{} runs out of memory",
    Symptom.NEVER_READY: "{} does not become ready",
    Symptom.ROLLOUT_STUCK: "the rollout of {} is stuck",
}

_UNITS = ((86_400, "d"), (3600, "h"), (60, "min"))


def short(entity: Entity) -> str:
    """Return ``shop/web``, ``node-1``, or ``the cluster`` for what has no name."""
    return "/".join(filter(None, (entity.namespace, entity.name))) or "the cluster"


def title(alert: Alert) -> str:
    """Return what is wrong, in a few words; of an alert that is not our own, its name."""
    own = {symptom.value: words for symptom, words in _TITLES.items()}
    return own.get(alert.name, f"{{}}: {alert.name}").format(short(alert.entity))


def clock(at: dt.datetime) -> str:
    """Return ``12:00:03Z``."""
    return at.astimezone(dt.UTC).strftime("%H:%M:%SZ")


def span(length: dt.timedelta) -> str:
    """Return ``41 s``, ``12 min`` or ``3 h``, rounded down."""
    seconds = int(length.total_seconds())
    for size, unit in _UNITS:
        if seconds >= 2 * size:  # "90 s" says more than "1 min"
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def count(number: int, noun: str) -> str:
    """Return ``1 pod`` or ``3 pods``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def change_text(change: Change) -> str:
    """Return ``image of web: shop/web:v1 -> shop/web:v2`` for a field of a container, else path and values."""
    _, bracket, rest = change.path.partition("containers[")
    container, _, field = rest.partition("]")
    name = f"{field.removeprefix('.')} of {container}" if bracket and field else change.path
    return f"{name}: {change.old or 'none'} -> {change.new or 'none'}"


def action_text(plan: Plan) -> str:
    """Return ``roll back shop/web to revision 1``."""
    action = plan.proposal.action
    return f"roll back {short(action.target.entity)} to revision {action.to_revision}"


def diff_lines(plan: Plan) -> tuple[str, ...]:
    """Return one line per changed field: path, old and new value."""
    return tuple(f"{each.path}: {each.old or 'none'} -> {each.new or 'none'}" for each in plan.diff)
