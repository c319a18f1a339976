"""One word of a log line: what in it varies, and what may be secret. Each distinct word is judged once.

Theory of operation. Lines are countless, words are few: a line is split at white space and each word is
looked up in one memo, which answers with the word as a template shows it, ``<*>`` in place of what
varies: pieces with a digit, URLs, paths, mail addresses, values after an equals sign, quoted values. A word
under suspicion (see ``secrets``) carries a mark in front (``HOLDS``) or behind (``NAMES``), so one search
in the joined words says whether the line must be scrubbed.

Neither answer depends on which digit stands where, so all digits are made alike before the words are looked
up, and so are the letters of ids, which never come back (``alike``): of stamps, counts and addresses only a few
forms are left, and many a line that was never there before becomes one that was. Bytes because that takes one
pass there, over many lines at once: what a line becomes does not depend on those around it. The digits of a
numeric level stay, because ``lines`` knows what is read from a line by what it becomes.

The memo holds no secret that a word gives away by itself: such words are judged anew each time. It is
bounded, and emptied when full: what stands in every line is back after one line.
"""

import re
from collections.abc import Sequence
from itertools import repeat
from typing import assert_never

from opsagent.model.printable import printable
from opsagent.signals.secrets import Suspicion, suspicion

WILD = "<*>"
_WILD = WILD.encode()
HOLDS = b"\x01"  # in front of a word; control characters of the line itself do not get this far
NAMES = b"\x02"  # behind a word

WORDS_MAX = 16_384  # of at most WORD_LENGTH_MAX bytes: 5 MiB or so, most words are short
WORD_LENGTH_MAX = 128
ID_LENGTH_MIN = 12  # of a lower-case number: a hexadecimal id, which will not come back

_DIGITS_ALIKE = bytes.maketrans(b"123456789", b"000000000")
_LEVEL = re.compile(rb'("level"\s*:\s*[\d-]+)')
# An id fills a value: behind an equals sign, in JSON between quotation marks. It has a digit, so it is masked anyway: eight
# characters behind its first digit, lest each short number be one.
_ID = re.compile(rb'="?+[a-f-]*+0[0a-f-]{8,}+(?![^\s"])')
_ID_IN_JSON = re.compile(rb'": ?"[a-f-]*+0[0a-f-]{8,}+(?=")')
_ID_ALIKE = bytes.maketrans(b"abcdef-", b"0000000")
_HEXADECIMAL = re.compile(rf"(?=[a-f:-]*0)(?=[0:-]*[a-f])[0a-f:-]{{{ID_LENGTH_MIN},}}".encode())
# Numbers, stamps, addresses, hexadecimal ids. Nothing in them can be a secret's name. One behind a colon is no
# number here: the colon stays in sight, since it makes a value of it (``token :12``).
_NUMBER = re.compile(
    rb"(?!:)([\[({<\"'#*]*)(?=[a-f:.+/-]{0,8}[0-9])[0-9a-fTZ.:,/_%+msxnu-]*[0-9a-fmsnuxZ%]([\])}>\"',;:.]*)"
)
_NAMED_NUMBER = re.compile(rb"(\w[\w.-]*=)(?:[0-9a-fTZ.:/_%+msxnu-]*[0-9a-fmsnuxZ%])")
_EDGE = r"\s\[\](){}<>\"'`=,;|&?!:"  # what ends a piece
_PIECE = re.compile(
    rf"(?<![^{_EDGE}])[^{_EDGE}\d]*+\d(?:[^{_EDGE}]*[^{_EDGE}.])?"  # a full stop behind is the sentence's
)
_HEX_GROUPS = re.compile(r"[0-9a-fA-F]{1,4}(?:::?[0-9a-fA-F]{1,4}){3,7}")  # MAC and IPv6 addresses
_IN_URL = r"[^\s\"'<>)\],;]"
_URL_END = r"[^\s\"'<>)\],;:.]"  # a colon or a full stop behind is the sentence's
_URL = re.compile(rf"[A-Za-z][A-Za-z0-9+.-]{{0,15}}://(?:{_IN_URL}*{_URL_END})?")
_PATH = re.compile(rf"(?<![^{_EDGE}])/[^{_EDGE}]+(?:\?(?:{_IN_URL}*{_URL_END})?)?")
_MAIL = re.compile(rf"(?<![^{_EDGE}])[^{_EDGE}@]+@[^{_EDGE}]+")
_UNIT = re.compile(  # of systemd: its name varies, its type tells messages apart
    rf"(?<![^{_EDGE}])[^{_EDGE}]+\.(service|scope|slice|mount|socket|timer|target|swap)(?![^{_EDGE}.])"
)
_ASSIGNED = re.compile(
    r"(?<=[\w\])])=(?![=>])(?:\"[^\"]*\"|'[^']*'|[^\s\"'<>,;&)\]}]+|(?=[,;)]|$))"
)
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
    if "." in word:
        word = _UNIT.sub(rf"{WILD}.\1", word)
    if "=" in word:
        word = _ASSIGNED.sub(f"={WILD}", word)
    if word.count(":") > 2:  # noqa: PLR2004 - hex groups have three or more
        word = _HEX_GROUPS.sub(WILD, word)
    word = _PIECE.sub(WILD, word)
    if '"' in word or "'" in word or "`" in word:
        word = _QUOTED.sub(WILD, word)
    return word


def alike(text: str) -> bytes:
    """Return ``text`` in UTF-8, made alike."""
    return made_alike(text.encode(errors="replace"))


def alike_each(texts: Sequence[str]) -> list[bytes]:
    """Return what :func:`alike` does of each text; there is no newline in any."""
    return alike("\n".join(texts)).split(b"\n") if texts else []


def made_alike(lines: bytes) -> bytes:
    """Return ``lines``, all their digits alike but those of numeric levels, and so all their ids; as long as they were."""
    if b'"level"' in lines:
        parts = _LEVEL.split(lines)
        parts[::2] = map(bytes.translate, parts[::2], repeat(_DIGITS_ALIKE))
        lines = b"".join(parts)
    else:
        lines = lines.translate(_DIGITS_ALIKE)
    return _ID_IN_JSON.sub(_as_zeros, _ID.sub(_as_zeros, lines))


def _as_zeros(found: re.Match[bytes]) -> bytes:
    return found[0].translate(_ID_ALIKE)


def is_id(word: bytes) -> bool:
    """Tell whether a word, its digits alike, is an id: there are so many that none is worth remembering."""
    return _HEXADECIMAL.fullmatch(word) is not None


class WordMemo(dict[bytes, bytes]):
    """Word of a text made alike -> masked word with its mark. One owner; not safe to share."""

    def signature(self, text: bytes) -> bytes:
        """Return the masked words of ``text``, which was made ``alike``, joined by blanks."""
        return b" ".join(map(self.__getitem__, text.split()))

    def __missing__(self, encoded: bytes) -> bytes:
        """Judge a word and remember it, unless it is long, an id, or holds a secret."""
        if b"=" in encoded and (named := _NAMED_NUMBER.fullmatch(encoded)):
            masked_word = self[named[1]]  # "took=" is judged once for all its values
            value = encoded[named.end(1) :]
        elif number := _NUMBER.fullmatch(encoded):
            masked_word = number[1] + _WILD + number[2]
            value = encoded[number.end(1) : number.start(2)]
        else:
            masked_word = judged(encoded.decode())
            value = b""
        is_worth_it = len(encoded) <= WORD_LENGTH_MAX and not is_id(value)
        if is_worth_it and not masked_word.startswith(HOLDS):
            if len(self) >= WORDS_MAX:
                self.clear()
            self[encoded] = masked_word
        return masked_word


def judged(word: str) -> bytes:
    """Return ``word`` as a template shows it, with a mark if it may be secret or name a secret."""
    suspected = suspicion(word)
    if not word.isprintable():
        if any(map(str.isspace, word)):
            suspected = Suspicion.HOLDS  # two words for ``secrets``
        word = "".join(printable(word).split())
    match suspected:
        case Suspicion.NONE:
            return masked(word).encode()
        case Suspicion.NAMES:
            return masked(word).encode() + NAMES
        case Suspicion.HOLDS:
            return HOLDS + masked(word).encode()
        case _:
            assert_never(suspected)
