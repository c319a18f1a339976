"""How well a metrics source is, for status: asked when somebody wants to know, never between.

One question goes the whole way that verification's go: address, token, expressions, partial answers.
"""

import asyncio
import datetime as dt

from opsagent.model.canonical import JsonValue
from opsagent.model.metrics import MetricArguments, MetricTemplate
from opsagent.ports import MetricsSource, Terminal, Transient

SECONDS_MAX = 3.0  # of a person who waits for an answer
ADVICE = "check the metrics section ('opsagent doctor' asks it); until it answers, no change is verified by numbers"


async def metrics_status(source: MetricsSource | None, now: dt.datetime) -> JsonValue:
    """Return what to show of ``source``; of none, that there is none."""
    if source is None:
        return "not configured"
    try:
        async with asyncio.timeout(SECONDS_MAX):
            answer = await source.query(MetricTemplate.TARGETS_UP_RATIO, MetricArguments(), now)
            health = await source.health()
    except TimeoutError:
        return _failed(f"no answer within {SECONDS_MAX:.0f} s")
    except (Transient, Terminal) as error:
        return _failed(str(error))
    up = {series.labels.get("job", ""): series.points[-1].value for series in answer.series}
    return {
        "is_healthy": True,
        "is_partial": answer.is_partial,
        "warnings": list(answer.warnings),
        "version": health.version,
        "jobs": len(up),
        "jobs_with_targets_down": sorted(job for job, ratio in up.items() if ratio < 1),
        "alerts_firing": health.alerts_firing,
        "rules_failing": list(health.rules_failing),
    }


def _failed(reason: str) -> JsonValue:
    return {"is_healthy": False, "last_error": reason, "advice": ADVICE}
