"""Templates, and which of them are one: the part of mining that does not depend on the order of the lines.

Theory of operation. A line's shape (see ``shapes``) picks a bucket by its fixed words. Inside a bucket two
templates are one when the loose words in which they differ cost no more than the fixed words vouch for:

- a pair of differing words costs 2, or 1 if one of them looks like a name (``shop/cart``, ``orders-db``,
  ``userId``) rather than a word; 1 more right behind the first plain word, where messages say what they
  are about; nothing if one of them is ``<*>``;
- each fixed word vouches for 1.

They are one too when they differ in a single word and more than ``CHOICES_MAX`` templates do so in that
place. Merged templates have ``<*>`` where they differed.

*Order does not matter*: a wider template is never further from another than a narrower one, what a bucket
vouches for is fixed, and alternatives only grow in number or become ``<*>``; so two templates that may be one
stay so whatever else comes between, and what is reached is the closure of a set of shapes. This holds until
a bucket is full: more than ``BUCKET_MAX`` templates in it become one.

A template's id is ``tpl_`` and the hash of its text, so a message has the same id in every pod and after
every restart. A template that grows wider changes its id.
"""

import hashlib

from opsagent.signals.logs.words import WILD

BUCKET_MAX = 32  # templates
CHOICES_MAX = 3  # words that a message chooses between; a place with more of them is a variable
SAMPLE_LENGTH_MAX = 512


def template_id(text: str) -> str:
    """Return the id of a template's text: ``tpl_`` and 16 hex digits of its SHA-256."""
    return f"tpl_{hashlib.sha256(text.encode()).hexdigest()[:16]}"


class Template:
    """One message: its ``text``, and how many lines said it.

    ``first`` and ``last`` are ordinals of its miner's lines; ``sample`` is the first of them, without secrets.
    Only buckets and the miner change it. ``into`` took over when this one was merged or folded, else None.
    """

    __slots__ = ("count", "first", "id", "into", "last", "sample", "text", "words")

    def __init__(self, words: tuple[str, ...], sample: str, at: int) -> None:
        self.sample = sample[:SAMPLE_LENGTH_MAX]
        self.count = 0
        self.first = self.last = at
        self.into: Template | None = None
        self.reword(words)

    def reword(self, words: tuple[str, ...]) -> None:
        """Take on another text, hence another id."""
        self.words = words
        self.text = " ".join(words)
        self.id = template_id(self.text)

    def take(self, other: "Template") -> None:
        """Count what ``other``, a later one, counted; it points here from now on."""
        self.count += other.count
        self.last = max(self.last, other.last)
        other.into = self

    def latest(self) -> "Template":
        """Return the template that stands for this one now: itself, unless it was merged or folded."""
        latest = self
        while latest.into is not None:
            latest = latest.into
        return latest


class Bucket:
    """The templates with the same fixed words. It belongs to one miner."""

    __slots__ = ("_allowance", "_loose", "_topic", "templates")

    def __init__(self, key: tuple[str | None, ...]) -> None:
        self._loose = [place for place, word in enumerate(key) if word is None]
        self._allowance = len(key) - len(self._loose)
        self._topic = 1 + next((i for i, word in enumerate(key) if word and word[0].isalpha()), -1)
        self.templates: list[Template] = []

    def add(self, words: tuple[str, ...], sample: str, at: int) -> Template:
        """Return the template of a line with these words; it may be new, or wider than before.

        Args:
            words: of the line's shape, whose key is the bucket's.
            sample: the line without secrets.
            at: the line's ordinal.
        """
        for each in self.templates:
            if covers(each.words, words):
                return each
        new = Template(words, sample, at)
        self.templates.append(new)
        # Nothing but the new one can make others one, unless something has become wider.
        beside = [each for each in self.templates if len(self._differing(each, new)) == 1]
        if any(map(self._grow, [new, *beside])):
            self._settle()
        if len(self.templates) > BUCKET_MAX:
            self._merge(self.templates)
        return new.latest()

    def _settle(self) -> None:
        """Merge what is one until nothing is."""
        while any(map(self._grow, self.templates)):
            pass

    def _grow(self, one: Template) -> bool:
        """Merge with ``one`` all that is the same message; tell whether there was any."""
        same = [one]
        alternatives: dict[int, dict[str, list[Template]]] = {}
        for each in self.templates:
            if each is one:
                continue
            differing = self._differing(each, one)
            if sum(self._cost(place, each, one) for place in differing) <= self._allowance:
                same.append(each)
            elif len(differing) == 1:
                place = differing[0]
                alternatives.setdefault(place, {}).setdefault(each.words[place], []).append(each)
        for words in alternatives.values():
            if len(words) >= CHOICES_MAX:
                same.extend(each for others in words.values() for each in others)
        return self._merge(same)

    def _differing(self, each: Template, one: Template) -> list[int]:
        """Return the places where both have a word, and not the same."""
        left, right = each.words, one.words
        return [
            place
            for place in self._loose
            if left[place] != right[place] and WILD not in left[place] and WILD not in right[place]
        ]

    def _cost(self, place: int, each: Template, one: Template) -> int:
        is_name = looks_like_name(each.words[place]) or looks_like_name(one.words[place])
        return (1 if is_name else 2) + (place == self._topic)

    def _merge(self, same: list[Template]) -> bool:
        """Let the oldest go on for all."""
        if len(same) == 1:
            return False
        oldest, *others = sorted(same, key=lambda each: each.first)
        words = oldest.words
        for other in others:
            words = joined(words, other.words)
            oldest.take(other)
        oldest.reword(words)
        self.templates = [each for each in self.templates if each.into is None]
        return True


def covers(wide: tuple[str, ...], narrow: tuple[str, ...]) -> bool:
    """Tell whether ``wide`` has the words of ``narrow``, or ``<*>`` in their places."""
    return all(left in (right, WILD) for left, right in zip(wide, narrow, strict=True))


def joined(one: tuple[str, ...], other: tuple[str, ...]) -> tuple[str, ...]:
    """Return the words that two templates share, ``<*>`` where they differ."""
    return tuple(left if left == right else WILD for left, right in zip(one, other, strict=True))


def looks_like_name(word: str) -> bool:
    """Tell whether a word without digits looks like a name of something rather than a word of a sentence."""
    bare = word.strip("()[],.;:\"'")
    return not bare.isalpha() or not (bare.islower() or bare[1:].islower())
