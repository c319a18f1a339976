"""What the speed of log mining is worth: groups as true as masked Drain3's, no secret left, little masked in vain.

``ga`` and ``f1``: grouping accuracy and its F1 on messages (see ``tests.corpus.accuracy``), the mean over
dialects; ``held_out``: over those that nobody looked at while the rules were written; ``raw``: on whole lines, heads
taken off by our reading for both; ``worst``: the dialect where ours is least ahead, as a difference.
"""

import random
from collections.abc import Iterator
from statistics import mean

from opsagent.signals.logs.mining import Miner
from opsagent.signals.logs.reading import read
from opsagent.signals.logs.scrubbing import Scrubber
from opsagent.signals.secrets import scrub
from tests.bench.drain import masked_drain
from tests.bench.frame import Figure, Row
from tests.corpus.accuracy import Grouping, grouping
from tests.corpus.canaries import FORMS, planted
from tests.corpus.dialects import DIALECTS, HELD_OUT
from tests.corpus.generate import everything, lines

SEED = 1  # the rules were written on seed 0
CANARIES = 200  # of each form
WORSE_MAX = 0.01


def _ours(texts: list[str], truth: list[str]) -> Grouping:
    miner = Miner(Scrubber())
    found = [miner.mine(text)[0] for text in texts]
    return grouping(truth, [each.latest().id for each in found])


def _drains(texts: list[str], truth: list[str]) -> Grouping:
    miner = masked_drain()
    return grouping(truth, [miner.add_log_message(text)["cluster_id"] for text in texts])


def _groups() -> Iterator[Row]:
    messages: dict[str, tuple[Grouping, Grouping]] = {}
    raw: dict[str, tuple[Grouping, Grouping]] = {}
    for dialect in DIALECTS:
        said = list(lines(dialect, SEED))
        truth = [line.template for line in said]
        for scores, texts in (
            (messages, [line.content for line in said]),
            (raw, [read(line.raw).message for line in said]),
        ):
            scores[dialect.name] = (_ours(texts, truth), _drains(texts, truth))
    held_out = {name: scores for name, scores in messages.items() if name in HELD_OUT}
    for part, scores in (("", messages), (".held_out", held_out), (".raw", raw)):
        for measure in ("accuracy", "f1"):
            ours, drains = (
                mean(getattr(each[side], measure) for each in scores.values()) for side in (0, 1)
            )
            yield Row(
                f"logs.grouping{part}.{measure}",
                ours,
                drains,
                ours / drains,
                "above",
                ours > drains,
                "",
            )
    yield _worst(messages)


def _worst(scores: dict[str, tuple[Grouping, Grouping]]) -> Row:
    name, ours, drains = min(
        (
            (name, getattr(pair[0], measure), getattr(pair[1], measure))
            for name, pair in scores.items()
            for measure in ("accuracy", "f1")
        ),
        key=lambda each: each[1] - each[2],
    )
    ratio = ours / drains if drains else 1.0
    return Row(
        f"logs.grouping.worst.{name}",
        ours,
        drains,
        ratio,
        f"> -{WORSE_MAX}",
        ours - drains > -WORSE_MAX,
        "",
    )


def _secrets() -> Iterator[Row]:
    """Count planted secrets found in texts, templates or samples; lines left alone have to stay alone."""
    rng = random.Random(SEED)
    clean = list(everything(SEED, 300))
    miner = Miner(Scrubber())
    found = total = 0
    for form in FORMS:
        for line in rng.choices(clean, k=CANARIES):
            canary = planted(rng, form)
            template, text = miner.mine(f"{line.content} {canary.text}")
            kept = f"{text}\n{template.text}\n{template.sample}"
            found += any(secret in kept for secret in canary.secrets)
            total += 1
    yield Row("logs.secrets.found", found, total, found / total, "none", found == 0, "")
    masked = sum(scrub(line.raw) != line.raw for line in clean)
    share = masked / len(clean)
    yield Row(
        "logs.secrets.masked_in_vain", masked, len(clean), share, "<= 0.01", share <= 0.01, ""
    )


ROWS = (Figure("logs.grouping", _groups), Figure("logs.secrets", _secrets))
