"""Facts: short dated statements with provenance, the atoms of memory."""

import datetime as dt
import hashlib
import json
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Fact:
    """One statement about a subject.

    ``subject`` is an entity's full reference, ``predicate`` a lower_snake word, ``text`` what a person
    reads, ``pointers`` where it can be checked (``raw:12``, ``inc_...``, ``pln_...``). A pinned fact is
    never condensed away. The id depends on all but the pin: the same fact told twice is one fact.
    """

    fact_id: str
    at: dt.datetime
    subject: str
    predicate: str
    text: str
    pointers: tuple[str, ...]
    is_pinned: bool = False


def fact(
    at: dt.datetime,
    subject: str,
    predicate: str,
    text: str,
    pointers: tuple[str, ...],
    *,
    is_pinned: bool = False,
) -> Fact:
    """Make a fact with its content-addressed id, ``fct_`` and 16 hex digits."""
    form = json.dumps(
        [at.astimezone(dt.UTC).isoformat(), subject, predicate, text, list(pointers)],
        ensure_ascii=False,
        separators=(",", ":"),
    )
    fact_id = f"fct_{hashlib.sha256(form.encode()).hexdigest()[:16]}"
    return Fact(fact_id, at, subject, predicate, text, pointers, is_pinned)
