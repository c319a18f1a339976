"""Log lines -> templates with counts, in bounded memory whatever is printed.

Theory of operation. A line is scrubbed and given its shape (see ``scrubbing``); a shape that was seen before
leads straight to its template, another one to the bucket of its fixed words (see ``templates``). More than
``templates_max`` templates fold the rarest quarter into ``overflow``, so that a flood of lines that never repeat
pushes out its own kind and not what was said a thousand times. Counts are moved, never dropped: those of all
templates and of ``overflow`` always add up to the lines seen.

Until the first folding the templates and their counts are a function of the set of lines, not of their order.

It refuses to keep a line: of each template one sample without secrets stays.
"""

from collections.abc import Iterator
from typing import TypeAlias

from opsagent.signals.logs.scrubbing import Scrubber
from opsagent.signals.logs.shapes import Shape
from opsagent.signals.logs.templates import Bucket, Template

TEMPLATES_MAX = 512
KNOWN_MAX = 4096  # shapes whose template is remembered
OVERFLOW_TEXT = "(other  lines)"  # two blanks: no line has this template
Mined: TypeAlias = tuple[
    Template, str
]  # and the line without secrets; a bare pair is quick to make
_KEPT_SHARE = 0.75  # of the templates at a folding, so that one search for the rarest serves many


class Miner:
    """The templates of one log, or of all logs of one workload. One owner; not safe to share.

    ``lines`` counts what was mined, ``folded`` the templates that went into ``overflow``.
    """

    def __init__(self, scrubber: Scrubber, templates_max: int = TEMPLATES_MAX) -> None:
        self._scrubber = scrubber
        self._templates_max = templates_max
        self._known: dict[Shape, Template] = {}
        self._buckets: dict[tuple[str | None, ...], Bucket] = {}
        self._size = 0
        self.lines = 0
        self.folded = 0
        self.overflow = Template((OVERFLOW_TEXT,), "", 0)

    def mine(self, text: str) -> Mined:
        """Count one line; return its template and the line without secrets."""
        clean, shape = self._scrubber.scrubbed(text)
        return self.take(shape, clean), clean

    def take(self, shape: Shape, clean: str) -> Template:
        """Count one line by its shape; return its template. ``clean`` is the line without secrets."""
        return self.seen(shape) or self._counted(self._found(shape, clean))

    def seen(self, shape: Shape) -> Template | None:
        """Count one line if its shape is known, and return its template; else None, and nothing is counted."""
        template = self._known.get(shape)
        return None if template is None or template.into is not None else self._counted(template)

    def _counted(self, template: Template) -> Template:
        template.count += 1
        self.lines = template.last = self.lines + 1
        return template

    def templates(self) -> tuple[Template, ...]:
        """Return the live templates, in the order of their ids; ``overflow`` is not among them."""
        return tuple(sorted(self._live(), key=lambda each: each.id))

    def _live(self) -> Iterator[Template]:
        for bucket in self._buckets.values():
            yield from bucket.templates

    def _found(self, shape: Shape, text: str) -> Template:
        """Return the template that took over from a known one, or learn the shape (again, if it was folded)."""
        known = self._known.get(shape)
        latest = self.overflow if known is None else known.latest()
        if latest is self.overflow:
            return self._learned(shape, text)
        self._known[shape] = latest
        return latest

    def _learned(self, shape: Shape, text: str) -> Template:
        bucket = self._buckets.get(shape.key)
        if bucket is None:
            bucket = self._buckets[shape.key] = Bucket(shape.key)
        size = len(bucket.templates)
        template = bucket.add(shape.words, text, self.lines + 1)
        self._size += len(bucket.templates) - size
        if self._size > self._templates_max:
            self._fold(template)
        if len(self._known) >= KNOWN_MAX:
            self._known.clear()
        self._known[shape] = template
        return template

    def _fold(self, spared: Template) -> None:
        """Move the counts of the rarest templates into ``overflow`` and forget them; longest silent first."""
        ranked = sorted(self._live(), key=lambda each: (-each.count, -each.last, each.id))
        for template in ranked[int(self._templates_max * _KEPT_SHARE) :]:
            if template is not spared:
                self.overflow.take(template)
                self.folded += 1
        for key, bucket in list(self._buckets.items()):
            bucket.templates = [each for each in bucket.templates if each.into is None]
            if not bucket.templates:
                del self._buckets[key]
        self._size = sum(1 for _ in self._live())
