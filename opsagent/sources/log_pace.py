"""How much of which log is read in one second, so that a flood in one costs neither the others nor the daemon.

Theory. Time is cut into whole seconds. All logs together may be read up to ``total`` bytes in each, one log up
to ``each``. When that is not enough for all, those that want more share evenly what the others leave, as the
second before has shown. The first piece of a log is always let through, so none ever stands still.

What is hard to read costs more than its bytes: reading is also charged by its time, as if ``BYTES_A_SECOND``
could be read. So whatever is printed, reading takes ``total / BYTES_A_SECOND`` of a core at the most, and less
is read on a machine that is busy with other things. Nothing here waits or reads a clock.
"""

from collections.abc import Hashable

EACH = 1_048_576  # bytes a second; an ordinary log has a few thousand
TOTAL = 4_194_304
BYTES_A_SECOND = (
    8_388_608  # what one core reads of ordinary lines: 18 us for 170 bytes were measured
)


class LogPace:
    """The budget of all logs. ``each`` and ``total`` are bytes a second."""

    def __init__(self, each: int = EACH, total: int = TOTAL) -> None:
        self._each = each
        self._total = total
        self._second = -1
        self._share = each
        self._spent: dict[Hashable, int] = {}
        self._spent_by_all = 0
        self._hungry: set[Hashable] = set()

    def admits(self, log: Hashable, size: int, at: float) -> bool:
        """Tell whether ``size`` bytes more of ``log`` may be read at ``at`` seconds; if so they are spent."""
        self._turn(int(at))
        spent = self._spent.get(log)
        if spent is not None and (
            spent + size > self._share or self._spent_by_all + size > self._total
        ):
            self._hungry.add(log)
            return False
        self._spend(log, size)
        return True

    def charge(self, log: Hashable, size: int, seconds: float) -> None:
        """Take note that reading ``size`` admitted bytes took so long."""
        self._spend(log, max(0, int(seconds * BYTES_A_SECOND) - size))

    def _spend(self, log: Hashable, size: int) -> None:
        self._spent[log] = self._spent.get(log, 0) + size
        self._spent_by_all += size

    def _turn(self, second: int) -> None:
        if second == self._second:
            return
        self._share = self._each
        if second == self._second + 1 and self._hungry:
            left = self._total - sum(
                spent for log, spent in self._spent.items() if log not in self._hungry
            )
            even = max(left // len(self._hungry), self._total // len(self._spent))
            self._share = min(self._each, even)
        self._second, self._spent, self._spent_by_all = second, {}, 0
        self._hungry = set()
