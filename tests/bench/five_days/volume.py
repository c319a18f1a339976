"""How much a cluster says in a day, and who says it: what the feed and its reader have to agree on."""

import datetime as dt
import struct
from dataclasses import dataclass

from tests.fakes.virtual_time import EPOCH

DAY_SECONDS = 86_400
NAMESPACE = "shop"
CONTAINER = "app"
WORKLOADS, PODS_OF_WORKLOAD, NODES = 40, 5, 12
BURST_SECONDS = (
    600  # logs and samples arrive in bursts of this length, each source at its own moment
)
SCRAPE_SECONDS = 30
SIZE = struct.Struct("<I")  # stands before each answer
SERIES_OF_SELECTION = 715  # seven selections: 5,005 series


@dataclass(frozen=True, slots=True)
class Volume:
    """What one day holds. ``scale`` 1 is a fifth of 5 million lines, 72 million samples, 40,000 events, 3,000 alerts."""

    scale: float = 1.0

    @property
    def lines_of_pod(self) -> float:
        """Records a second that one pod prints."""
        return self.scale * 1_000_000 / (WORKLOADS * PODS_OF_WORKLOAD) / DAY_SECONDS

    @property
    def series(self) -> int:
        """Series of each selection."""
        return max(1, round(self.scale * SERIES_OF_SELECTION))

    @property
    def watch_seconds(self) -> float:
        """Between two events of each of the three watches that tell something."""
        return DAY_SECONDS * 3 / (8_000 * self.scale)

    @property
    def alerts_of_post(self) -> int:
        """Alerts in each of a day's 60 posts."""
        return max(1, round(self.scale * 10))

    @property
    def post_seconds(self) -> float:
        """Between two posts."""
        return DAY_SECONDS / 60


@dataclass(frozen=True, slots=True)
class PodName:
    """One of the pods, by number."""

    number: int

    @property
    def workload(self) -> str:
        """Return the name of its Deployment."""
        return f"app-{self.number // PODS_OF_WORKLOAD:02d}"

    @property
    def name(self) -> str:
        """Return its own name."""
        return f"{self.workload}-7d9f8b6c5-x{self.number % PODS_OF_WORKLOAD}q2z"


PODS = tuple(PodName(number) for number in range(WORKLOADS * PODS_OF_WORKLOAD))


def instant(seconds: float) -> str:
    """Return an instant of virtual time as the API writes it."""
    return f"{EPOCH + dt.timedelta(seconds=seconds):%Y-%m-%dT%H:%M:%SZ}"
