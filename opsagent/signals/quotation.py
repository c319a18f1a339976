"""Untrusted text on its way to a model: broken control tokens, and quotation that no line escapes from.

Theory of operation. A server renders a conversation to one text and encodes that text, so the literal
spelling of a control token inside a log line becomes the token itself: whoever can print a line could
open a message as ``system``. ``defuse`` puts a space into every such spelling, which leaves it readable
and makes it plain text again. ``quoted`` marks each line of foreign text, so that the model can tell
what was said to it from what it was shown; no line break of any kind leaves the quotation.

Both refuse nothing and are idempotent. Sources: the special tokens in the tokenizer configuration of
the Kimi K2 family, ``[EOS]`` and its like among them; Llama, Qwen, Gemma and DeepSeek spell theirs with
the same openings. Control characters and line breaks: Unicode, categories Cc, Zl, Zp and Cf.
"""

import re
from collections.abc import Iterable

MARK = "| "

# The one character after which a space is put.
_OPENINGS = re.compile(
    r"""<(?=[|\N{FULLWIDTH VERTICAL LINE}]        # <|im_end|>, <|begin_of_text|>
            |/?(?:think|tool_call|tool_response|start_of_turn|end_of_turn|bos|eos|s)\b)
      | \[(?=(?:BOS|EOS|EOT|PAD|UNK|/?INST)\])""",
    re.VERBOSE | re.IGNORECASE,
)
# Controls but the tab and the line breaks, and what reorders or hides text on a screen.
_UNSEEN = re.compile(
    "[\x00-\x08\x0e-\x1b\x1f\x7f-\x84\x86-\x9f\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff]"
)


def defuse(text: str) -> str:
    """Return ``text`` without a spelling that a tokenizer could take for a control token."""
    return _OPENINGS.sub(lambda found: f"{found[0]} ", text)


def quoted(text: str) -> str:
    """Return ``text`` as a quotation: each line begins with ``| ``, nothing in it is hidden or a control token."""
    seen = _UNSEEN.sub("\N{REPLACEMENT CHARACTER}", text)
    return "\n".join(f"{MARK}{defuse(line)}" for line in seen.splitlines() or [""])


def quoted_lines(texts: Iterable[str]) -> str:
    """Return several texts as one quotation, each beginning on a line of its own."""
    return "\n".join(quoted(text) for text in texts)


def clipped(text: str, bytes_max: int) -> str:
    """Return ``text`` in at most ``bytes_max`` bytes of UTF-8 and one line that says how many are missing."""
    encoded = text.encode()
    if len(encoded) <= bytes_max:
        return text
    kept = encoded[:bytes_max].decode(errors="ignore")
    return f"{kept}\n(cut here: {len(encoded) - bytes_max} more bytes)"
