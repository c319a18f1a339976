"""Secrets in free text: what they look like, texts without them, and which words could belong to one.

Theory of operation. ``scrub`` takes out tokens of known formats, values behind names of secrets, and runs
of characters that only chance would have written. It costs several passes over the text, too many for
every line of every log. So ``suspicion`` judges one word (a run without white space): no pattern of
``scrub`` begins in a word that is above suspicion, hence a text of such words alone is left as it is by
``scrub`` and need not be shown to it. Words repeat; whoever reads many lines remembers the judgement.

Both are linear in the text: patterns start at literals, their repeats run over one character class, over
alternatives that begin differently, or are bounded. ``scrub`` is idempotent. Its patterns are only tried where a
hint stands, a pattern over the text in lower case that is quick to look for.

Which digit stands in a word makes no difference to any pattern, so words may be judged with all their digits
alike.

It refuses to guess at short texts that merely look odd: what has no known format, no telling name and
fewer than 32 characters passes.
"""

import re
from collections.abc import Callable
from enum import Enum

TEXT_LENGTH_MAX = 2048  # a v1 Event's message has at most 1024 bytes
_SLACK = 512  # read beyond the cut, so that a token at the edge is still seen whole enough
MARK = "[redacted]"
_CUT = "\n…"  # on a line of its own, where no pattern reaches from the text before it

# Source of formats: the issuers' documentation of their token prefixes.
_TOKENS = re.compile(
    r"""(?:(?<![A-Za-z0-9])|(?<=\\[nrt])|(?<=%[0-9A-Fa-f]{2}))(?:  # a word's edge, escaped or not
    eyJ[\w-]{6,}(?:\.[\w-]*){0,4}                       # JWT, JWE
  | (?:A\dT[A-Z0-9]|AKIA|ASIA|AGPA|AIDA|AROA|ANPA|ANVA|AIPA|ABIA|ACCA)[A-Z0-9]{12}  # AWS key ids
  | gh[pousr]_[A-Za-z0-9]{16} | github_pat_\w{16}       # GitHub
  | gl(?:pat|rt|dt|cbt|ptt|soat)-[\w-]{16}              # GitLab
  | xox[a-z]-[\w-]{10} | xapp-[\w-]{10}                 # Slack
  | hooks\.slack\.com/[\w/-]+
  | AIza[\w-]{30} | ya\d\d\.[\w-]{10}                    # Google
  | [rsp]k_(?:live|test)_\w{10} | whsec_[\w+/=-]{10,}   # Stripe, standard webhooks
  | sk-[\w-]{16}                                        # model vendors
  | npm_\w{30} | pypi-[\w-]{16} | dop_v\d_\w{30}
  | SG\.[\w-]{16,}(?:\.[\w-]*)?                         # SendGrid
  | hvs\.[\w-]{16} | AGE-SECRET-KEY-\d\w{20}            # Vault, age
    )[\w-]*""",
    re.VERBOSE,
)
_PEM = re.compile(r"-----BEGIN [A-Z0-9 ]{1,40}-----[\s\S]*?(?:-----END [A-Z0-9 ]{1,40}-----|\Z)")
_URL_CREDENTIALS = re.compile(r"://(?:[^\s/@:]{0,512}:[^\s]{1,512}|[^\s/@]+)@")
_HEADER = re.compile(
    r"(?i)((?:proxy-)?authorization|(?:set-)?cookie)(\\?[\"']?\s{0,3}[:=]\s{0,3})[^\r\n]+"
)
# What follows must not be one plain word: "basic authentication failed" holds no secret.
_SCHEME = re.compile(
    r"(?i)\b(bearer|basic)\s{1,3}(?!(?-i:[A-Z]?[a-z]{0,32})(?:[\s.,:;]|$))[\w.~+/=-]{8,}"
)
_NAME = (
    r"(?:pass(?:word|wd|phrase|code)?|pwd|secret|token|credentials?|signature|[\"']auth"
    r"|(?:api|access|private|encryption|signing|account)[_-]?key)"
)
_PAIR = re.compile(
    rf"(?i)({_NAME})"
    r"([\w.-]{0,64}\\?[\"']?\s{0,3}(?:=>|[:=])\s{0,3})"
    r"(?:\\?\"[^\"]*\"?|'[^']*'?|\\.|[^\s,;&\"'])+"
)
_RUN_LENGTH_MIN = 32
# A public key's fingerprint is printed with its hash's name and is no secret.
_RUN = re.compile(r"(?<![A-Za-z0-9+/_=-])(?<!SHA256:)[A-Za-z0-9+/_-]{32,}={0,2}")
# Of 40 characters drawn from 64, 23 differ in sort from the next, and 25 different letters are among them; of a
# CamelCase name 12 and 19. Either sign is enough: chance rarely hides both.
_SORT_CHANGE = re.compile(r"[a-z](?=[A-Z0-9])|[A-Z](?=[a-z0-9])|[0-9](?=[A-Za-z])")
_SORT_CHANGES_MIN_RATIO = 0.37
_LETTERS_MIN_RATIO = 0.55


# What a match begins with, in lower case. Each alternative begins with a letter of its own: the search then goes
# from one of these letters to the next, instead of trying every alternative at every place.
_TOKEN_HINT = re.compile(
    r"eyj|a(?:\dt|kia|sia|gpa|ida|roa|npa|nva|ipa|bia|cca|iza|ge-)|g(?:h[pousr]_|ithub_|l[a-z]{2,4}-)|x(?:ox|app-)"
    r"|h(?:ooks|vs)\.|ya\d|rk_|p(?:k_|ypi-)|s(?:k[_-]|g\.)|whsec_|npm_|dop_"
)
_HEADER_HINT = re.compile(r"proxy-authorization|authorization|set-cookie|cookie")
_SCHEME_HINT = re.compile(r"bearer|basic")
_PAIR_HINT = re.compile(
    r"p(?:ass|wd|rivate[_-]?key)|s(?:ecret|ignature|igning[_-]?key)|token|credential|\"auth|'auth"
    r"|a(?:pi|ccess|ccount)[_-]?key|encryption[_-]?key"
)


def scrub(text: str) -> str:
    """Return ``text`` without secrets of known formats, with ``[redacted]`` in their places."""
    kept = _PEM.sub(MARK, text)
    kept = _replaced(_TOKENS, _TOKEN_HINT, lambda _: MARK, kept)
    kept = _URL_CREDENTIALS.sub(f"://{MARK}@", kept)
    kept = _replaced(_HEADER, _HEADER_HINT, lambda found: f"{found[1]}{found[2]}{MARK}", kept)
    kept = _replaced(_SCHEME, _SCHEME_HINT, lambda found: f"{found[1]} {MARK}", kept)
    kept = _replaced(_PAIR, _PAIR_HINT, lambda found: f"{found[1]}{found[2]}{MARK}", kept)
    if max(map(len, kept.split()), default=0) < _RUN_LENGTH_MIN:
        return kept  # most texts; to look for runs takes much longer
    return _RUN.sub(_unless_random, kept)


def _replaced(
    pattern: re.Pattern[str], hint: re.Pattern[str], by: Callable[[re.Match[str]], str], text: str
) -> str:
    """Return ``pattern.sub(by, text)``; the pattern is tried at its hints alone."""
    if not text.isascii():
        return pattern.sub(by, text)  # letters in lower case may stand elsewhere
    lower = text.lower()
    hinted = hint.search(lower)
    pieces: list[str] = []
    done = 0
    while hinted is not None:
        found = pattern.match(text, hinted.start())
        if found is None:
            hinted = hint.search(lower, hinted.start() + 1)
        else:
            pieces += text[done : found.start()], by(found)
            done = found.end()
            hinted = hint.search(lower, done)
    return "".join((*pieces, text[done:])) if pieces else text


def redact_text(text: str) -> str:
    """Return ``text`` without secrets, at most ``TEXT_LENGTH_MAX`` characters of it."""
    kept = scrub(text[: TEXT_LENGTH_MAX + _SLACK])
    return kept if len(kept) <= TEXT_LENGTH_MAX else kept[: TEXT_LENGTH_MAX - len(_CUT)] + _CUT


def _unless_random(run: re.Match[str]) -> str:
    return MARK if _is_random(run[0]) else run[0]


def _is_random(run: str) -> bool:
    """Tell whether a run of at least 32 characters looks drawn by chance from letters in both cases and digits."""
    if run.islower() or run.isupper():
        return False
    changes = len(_SORT_CHANGE.findall(run))
    return changes >= _SORT_CHANGES_MIN_RATIO * len(run) or sum(
        map(str.isalpha, set(run))
    ) >= _LETTERS_MIN_RATIO * len(run)


class Suspicion(Enum):
    """What one word may have to do with a secret."""

    NONE = "none"
    NAMES = "names"  # names one, if the next word begins with a colon or an equals sign
    HOLDS = "holds"  # holds one, or the words behind it do


# Every match of a pattern above holds one of these in its first word, case aside.
_HINT = re.compile(
    r"p(?:ass|wd|ypi-|k_(?:live|test)_)|s(?:ecret|ignature|lack|k-|g\.|k_(?:live|test)_)|token|c(?:redential|ookie)"
    r"|b(?:earer|asic)|key|a(?:uth|iza)|eyj|g(?:h[pousr]_|ithub_|l[a-z]{2,4}-)|x(?:ox|app-)|ya\d\d\.|rk_(?:live|test)_"
    r"|npm_|whsec_|dop_v\d_|hvs\.|-----begin"
)
_AWS = re.compile(r"A[A-Z0-9]{15}")
# No letter of these words is in a hint: numbers, stamps, addresses, hexadecimal ids, units.
HARMLESS = r"0-9a-fmnsuxµTZ.:,/()\[\]<>{}\"'+%_*#|;-"
_HARMLESS = re.compile(rf"[{HARMLESS}=]*")
# Between the name of a header and its colon nothing else may stand, see ``_HEADER``.
_NAMED = re.compile(rf"(?:(?:{_NAME}|^auth)[\w.-]{{0,64}}|authorization|cookie)\\?[\"']?([:=]|$)")
_SCHEMES = ("bearer", "basic")


def suspicion(word: str) -> Suspicion:
    """Judge one word. It errs on the safe side: HOLDS says that ``scrub`` should look, no more."""
    if _HARMLESS.fullmatch(word) and (len(word) < _RUN_LENGTH_MIN or word == word.lower()):
        return Suspicion.NONE
    folded = word.casefold()
    if "@" in word and "://" in word:
        return Suspicion.HOLDS
    has_capitals = word != folded
    if has_capitals and (_AWS.search(word) or any(map(_is_random, _RUN.findall(word)))):
        return Suspicion.HOLDS
    if _HINT.search(folded) is None:
        return Suspicion.NONE
    if _TOKENS.search(word) or "-----BEGIN" in word:
        return Suspicion.HOLDS
    return _named(folded)


def _named(folded: str) -> Suspicion:
    """Judge a word with a telling name in it."""
    if not folded.isascii() or folded.endswith(_SCHEMES):
        return Suspicion.HOLDS
    found = _NAMED.search(folded)
    if found is None:
        return Suspicion.NONE
    return Suspicion.HOLDS if found[1] else Suspicion.NAMES
