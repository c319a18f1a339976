"""Text from outside, made harmless for whoever shows it.

One definition for terminal, messages and pages: nothing that a reader cannot see may steer what shows it
or change the order of reading.
"""

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


def printable(text: str, kept: str = "") -> str:
    """Return ``text`` with every control, format, bidirectional, surrogate and unassigned character replaced.

    What cannot be printed becomes U+FFFD, so that a reader sees that something was there.

    Args:
        text: what came from outside.
        kept: characters that stay although they are not printable, e.g. line breaks.
    """
    return "".join(
        letter if letter.isprintable() or letter in kept else REPLACEMENT for letter in text
    )
