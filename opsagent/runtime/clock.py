"""The real clock. Nothing else in the daemon reads the machine's time; tests and the demo pass another Clock."""

import datetime as dt
import time


class SystemClock:
    """``ports.Clock`` on the machine's wall clock and its monotonic clock."""

    def now(self) -> dt.datetime:
        """Return the present instant, aware UTC."""
        return dt.datetime.now(dt.UTC)

    def monotonic(self) -> float:
        """Return seconds since some fixed point; never goes back, whatever is done to the wall clock."""
        return time.monotonic()
