"""The doctor's checks of metrics, archived logs and archived traces: each is asked what it will be asked later."""

import datetime as dt
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing

from opsagent.clients.log_archive import open_log_archive
from opsagent.clients.prometheus import PrometheusSource
from opsagent.clients.rest import SECONDS_MAX
from opsagent.clients.tempo import TempoArchive
from opsagent.finding import Finding, Verdict
from opsagent.model.archive import LogSearch
from opsagent.model.entity import Entity, Kind
from opsagent.model.metrics import MetricArguments, MetricTemplate
from opsagent.model.trace import TraceSearch
from opsagent.ports import Clock, Terminal, Transient
from opsagent.settings import Settings
from opsagent.settings_telemetry import LogArchiveSettings, MetricsSettings, TraceArchiveSettings

LOOKED_BACK = dt.timedelta(hours=1)
NOBODY = "opsagent-doctor"  # a service that has no traces: that there are none is an answer, too


async def telemetry(settings: Settings, clock: Clock) -> AsyncIterator[Finding]:
    """Yield what is found of each source that is configured."""
    if settings.metrics is not None:
        yield await _metrics(settings.metrics, settings.policy.namespaces, clock)
    if settings.log_archive is not None:
        places = settings.kubernetes.namespaces or settings.policy.namespaces
        yield await _log_archive(settings.log_archive, places or (settings.lease.namespace,), clock)
    if settings.trace_archive is not None:
        yield await _trace_archive(settings.trace_archive, clock)


async def _metrics(section: MetricsSettings, namespaces: Sequence[str], clock: Clock) -> Finding:
    """Ask what verification will ask, of the namespaces in which something may be done."""
    template, now = MetricTemplate.DEPLOYMENT_REPLICAS_UNAVAILABLE, clock.now()
    try:
        opened = PrometheusSource(
            section.url,
            clock,
            token_file=section.token_file,
            ca_file=section.ca_file,
            seconds_max=SECONDS_MAX,
        )
        async with aclosing(opened) as source:
            answers = {
                name: await source.query(template, MetricArguments(name), now)
                for name in namespaces
            }
            version = (await source.health()).version
    except (Transient, Terminal) as error:
        advice = f"{_look(error, 'metrics')}; until then nothing is verified"
        return Finding("metrics", Verdict.FAIL, str(error), advice)
    partial_of = [name for name, answer in answers.items() if answer.is_partial]
    empty = [name for name, answer in answers.items() if not answer.series]
    if partial_of or empty:
        text = f"partial answers about {partial_of or 'none'}, no Deployment known in {empty or 'none'}"
        advice = "let kube-state-metrics be scraped; a change there would end unknown and be undone"
        return Finding("metrics", Verdict.WARN, text, advice)
    return Finding("metrics", Verdict.OK, f"Prometheus {version or 'of unknown version'} answers")


async def _log_archive(
    section: LogArchiveSettings, namespaces: Sequence[str], clock: Clock
) -> Finding:
    """Ask for the newest line of each namespace, which also tells whether the names of the fields are right."""
    check, now = "log_archive", clock.now()
    try:
        opened = open_log_archive(section.kind, section.address(), section.fields())
        async with aclosing(opened) as archive:
            empty = [
                name for name in namespaces if not (await archive.search(_newest(name, now))).lines
            ]
    except (Transient, Terminal) as error:
        advice = f"{_look(error, check)}; until then no archived log is read"
        return Finding(check, Verdict.FAIL, str(error), advice)
    if empty:
        text = f"it answers, but has no line of the last hour from {', '.join(empty)}"
        name = section.fields().namespace
        advice = f"look whether its collector calls the namespace {name!r}; else set log_archive.namespace_field"
        return Finding(check, Verdict.WARN, text, advice)
    return Finding(check, Verdict.OK, f"{section.kind.value} has lines of the last hour")


def _newest(namespace: str, now: dt.datetime) -> LogSearch:
    of = Entity(Kind.NAMESPACE, "", namespace)
    return LogSearch(of, now - LOOKED_BACK, now, lines_max=1)


async def _trace_archive(section: TraceArchiveSettings, clock: Clock) -> Finding:
    check, now = "trace_archive", clock.now()
    try:
        async with aclosing(TempoArchive(section.address())) as archive:
            await archive.search(TraceSearch(NOBODY, now - LOOKED_BACK, now))
            refusal = await _refused_calls(archive, now) if section.follow else ""
    except (Transient, Terminal) as error:
        advice = f"{_look(error, check)}; until then no trace is read"
        return Finding(check, Verdict.FAIL, str(error), advice)
    if refusal:
        text = f"it answers, but cannot be asked who calls whom: {refusal}"
        return Finding(check, Verdict.WARN, text, "set trace_archive.follow to false, or update it")
    return Finding(check, Verdict.OK, "Tempo answers")


async def _refused_calls(archive: TempoArchive, now: dt.datetime) -> str:
    """Return why calls cannot be learnt, empty if they can: what only resembles a Tempo knows no parents."""
    try:
        await archive.search(TraceSearch("", now - LOOKED_BACK, now, traces_max=1, is_call=True))
    except Terminal as error:
        return str(error)
    return ""


def _look(error: Transient | Terminal, section: str) -> str:
    """Return what to do: who does not answer may be somewhere else, who refuses was asked wrongly."""
    if isinstance(error, Transient):
        return f"check that {section}.url is right and can be reached from here, or leave the section out"
    return f"correct the {section} section, or leave it out"
