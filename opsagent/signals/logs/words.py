"""One word of a log line: what in it varies, and what may be secret. Each distinct word is judged once.

Theory of operation. Lines are countless, words are few: a line is split at white space and each word is
looked up in one memo, which answers with the word as a template shows it, ``<*>`` in place of what
varies: pieces with a digit, URLs, paths, mail addresses, values after an equals sign, quoted values. A word
under suspicion (see ``secrets``) carries a mark in front (``HOLDS``) or behind (``NAMES``), so one search
in the joined words says whether the line must be scrubbed.

The memo holds no secret that a word gives away by itself: such words are judged anew each time. It is
bounded, and emptied when full: what stands in every line is back after one line.
"""

import re

from opsagent.model.printable import printable
from opsagent.signals.secrets import Suspicion, suspicion

WILD = "<*>"
HOLDS = "\x01"  # in front of a word; control characters of the line itself do not get this far
NAMES = "\x02"  # behind a word

WORDS_MAX = 32_768  # of at most WORD_LENGTH_MAX characters: 10 MiB or so, most words are short
WORD_LENGTH_MAX = 128
SHORT_NUMBER = 5  # characters: status codes and ports come back, stamps and ids do not

# Half of all new words: numbers, stamps, addresses, hexadecimal ids. Nothing in them can be a secret's name.
_NUMBER = re.compile(
    r"([\[({<\"'#*]*)(?=[a-f:.+/-]{0,8}[0-9])[0-9a-fTZ.:,/_%+msxnuµ-]*[0-9a-fmsnuxZ%]([\])}>\"',;:.]*)"
)
_NAMED_NUMBER = re.compile(r"(\w[\w.-]*=)(?:[0-9a-fTZ.:/_%+msxnuµ-]*[0-9a-fmsnuxZ%])")
_EDGE = r"\s\[\](){}<>\"'`=,;|&?!:"  # what ends a piece
_PIECE = re.compile(
    rf"(?<![^{_EDGE}])[^{_EDGE}\d]*+\d(?:[^{_EDGE}]*[^{_EDGE}.])?"  # a full stop behind is the sentence's
)
_HEX_GROUPS = re.compile(r"[0-9a-fA-F]{1,4}(?:::?[0-9a-fA-F]{1,4}){3,7}")  # MAC and IPv6 addresses
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,15}://[^\s\"'<>)\],;]*")
_PATH = re.compile(rf"(?<![^{_EDGE}])/[^{_EDGE}]+(?:\?[^\s\"'<>)\],;]*)?")
_MAIL = re.compile(rf"(?<![^{_EDGE}])[^{_EDGE}@]+@[^{_EDGE}]+")
_ASSIGNED = re.compile(r"(?<=[\w\])])=(?![=>])(?:\"[^\"]*\"|'[^']*'|[^\s\"'<>,;&)\]}]+|(?=[,;)]|$))")
_QUOTED = re.compile(r"([\"'`])(?=[^\"'`]*\w)[^\"'`]+\1(?!:)")  # a name in front of a colon stays


def masked(word: str) -> str:
    """Return ``word`` with ``<*>`` in place of what varies; constant words as they are."""
    if word.isalpha():
        return word
    if word.isalnum():
        return WILD  # it has a digit, else it would be alphabetic
    if "/" in word:
        if "://" in word:
            word = _URL.sub(WILD, word)
        word = _PATH.sub(WILD, word)
    if "@" in word:
        word = _MAIL.sub(WILD, word)
    if "=" in word:
        word = _ASSIGNED.sub(f"={WILD}", word)
    if word.count(":") > 2:  # noqa: PLR2004 - hex groups have three or more
        word = _HEX_GROUPS.sub(WILD, word)
    word = _PIECE.sub(WILD, word)
    if '"' in word or "'" in word or "`" in word:
        word = _QUOTED.sub(WILD, word)
    return word


class WordMemo(dict[str, str]):
    """Word -> masked word with its mark. One owner; not safe to share between threads."""

    def __missing__(self, word: str) -> str:
        """Judge ``word`` and remember it, unless it is long, or soon judged and soon gone, or holds a secret."""
        if number := _NUMBER.fullmatch(word):
            text = f"{number[1]}{WILD}{number[2]}"
            if len(word) > SHORT_NUMBER:
                return text
        elif "=" in word and (named := _NAMED_NUMBER.fullmatch(word)):
            return self[named[1]]  # "seq=" is judged once for all its numbers
        else:
            text = judged(word)
        if len(word) <= WORD_LENGTH_MAX and text[0] != HOLDS:
            if len(self) >= WORDS_MAX:
                self.clear()
            self[word] = text
        return text


def judged(word: str) -> str:
    """Return ``word`` as a template shows it, with a mark if it may be secret or name a secret."""
    match suspicion(word):
        case Suspicion.NONE:
            return masked(word if word.isprintable() else printable(word))
        case Suspicion.NAMES:
            return masked(word) + NAMES
        case Suspicion.HOLDS:
            return HOLDS + masked(printable(word))
