"""An Alertmanager that is asked again and again: what began to fire and what ended, as its webhook would have said it.

What is silenced or inhibited when it is first seen is left out, because a receiver is not told of it either. What
still fires is said again each hour: who reads it back forgets what is not repeated. An answer that does not
come costs nothing but the wait for the next one.
"""

import asyncio
import datetime as dt
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias

from opsagent.model.alert import AlertState, ReportedAlert, StandingAlert
from opsagent.ports import Clock, Terminal, Transient

POLL_SECONDS = 15.0
REPEAT = dt.timedelta(hours=1)

_Name: TypeAlias = frozenset[tuple[str, str]]
Sink: TypeAlias = Callable[[dt.datetime, Sequence[ReportedAlert]], None]


class AlertPoll:
    """Asks ``standing`` until cancelled and hands what is new to ``sink``.

    With ``namespaces``, of alerts that name one only those that name one of these.
    ``last_error`` is empty while all is well; ``has_answered``: ever.
    """

    def __init__(
        self,
        standing: Callable[[], Awaitable[Sequence[StandingAlert]]],
        sink: Sink,
        clock: Clock,
        namespaces: Sequence[str] = (),
    ) -> None:
        self._standing = standing
        self._sink = sink
        self._clock = clock
        self._places = frozenset((*namespaces, "")) if namespaces else None
        self._told: Mapping[_Name, tuple[dt.datetime, ReportedAlert]] = {}
        self.last_error = ""
        self.has_answered = False

    async def run(self) -> None:
        """Ask until cancelled."""
        while True:
            try:
                standing = await self._standing()
            except (Transient, Terminal) as error:
                self.last_error = str(error)
            else:
                self.last_error, self.has_answered = "", True
                if news := self._news(standing, self._clock.now()):
                    self._sink(self._clock.now(), news)
            await asyncio.sleep(POLL_SECONDS)

    def complaints(self) -> Iterator[str]:
        """Yield what was not seen."""
        if self.last_error:
            yield f"alerts: {self.last_error}"

    def _news(self, standing: Sequence[StandingAlert], now: dt.datetime) -> list[ReportedAlert]:
        """Return what fires anew or still, then what ended; each is remembered as told."""
        told, news = {}, []
        for each in standing:
            name = frozenset(each.alert.labels.items())
            if self._places and each.alert.labels.get("namespace", "") not in self._places:
                continue
            told_at, _ = self._told.get(name, (None, None))
            if told_at is None and (each.silenced_by or each.inhibited_by):
                continue
            if told_at is None or now - told_at >= REPEAT:
                told_at = now
                news.append(each.alert)
            told[name] = (told_at, each.alert)
        ended = (alert for name, (_, alert) in self._told.items() if name not in told)
        news += [replace(alert, state=AlertState.RESOLVED, ends_at=now) for alert in ended]
        self._told = told
        return news
