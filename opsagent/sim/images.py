"""What images do when they run: the world that specs meet.

The cluster knows an image only by this table. An image that is not in it cannot be pulled. Nothing
here names a symptom; symptoms follow from what the kubelet does with such an image.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

MEBIBYTE = 2**20


@dataclass(frozen=True, slots=True)
class ImageBehaviour:
    """How a container of one image behaves.

    ``exit_code`` None: it runs on; else it exits ``exits_after_seconds`` after its start.
    ``memory_bytes`` is what it needs: above the container's limit it is killed, also after
    ``exits_after_seconds``. ``cpu_cores`` is what it needs; a limit below holds it back.
    ``ready_after_seconds`` None: its readiness probe never succeeds.
    ``log_lines`` are printed at each start, ``prints`` so many seconds after it, in order.
    """

    is_pullable: bool = True
    pull_seconds: float = 1.0
    exit_code: int | None = None
    exits_after_seconds: float = 2.0
    memory_bytes: int = 48 * MEBIBYTE
    cpu_cores: float = 0.05
    ready_after_seconds: float | None = 1.0
    log_lines: tuple[str, ...] = ()
    prints: tuple[tuple[float, str], ...] = ()


HEALTHY = ImageBehaviour(log_lines=("listening on :8080",))
BY_TAG_ENDING: Mapping[str, ImageBehaviour] = {
    "-crash": ImageBehaviour(
        exit_code=1,
        ready_after_seconds=None,
        log_lines=("starting", "fatal: cannot parse configuration: unknown key"),
    ),
    "-missing": ImageBehaviour(is_pullable=False),
    "-oom": ImageBehaviour(
        memory_bytes=512 * MEBIBYTE, ready_after_seconds=None, log_lines=("loading cache",)
    ),
    "-slow": ImageBehaviour(ready_after_seconds=None, log_lines=("waiting for upstream",)),
}


@dataclass(frozen=True, slots=True)
class ImageRegistry:
    """Images by full reference, then by convention.

    Any tag of a known repository is healthy, unless its ending is in ``by_tag_ending``.
    """

    images: Mapping[str, ImageBehaviour] = field(default_factory=dict)
    repositories: frozenset[str] = frozenset()
    by_tag_ending: Mapping[str, ImageBehaviour] = field(default_factory=lambda: BY_TAG_ENDING)

    def find(self, image: str) -> ImageBehaviour | None:
        """Return how ``image`` behaves, None if it cannot be pulled."""
        repository, _, tag = image.rpartition(":")
        found = self.images.get(image)
        if found is None and repository in self.repositories:
            fitting = (one for end, one in self.by_tag_ending.items() if tag.endswith(end))
            found = next(fitting, HEALTHY)
        return found if found is not None and found.is_pullable else None
