"""The items of a list page cut out by their brackets, for the page in which one is nested too deep to be decoded.

A decoder gives up on the whole page then, and the kind would never be seen again. This is slow, and needed by nobody
but a server that is broken or hostile: an API server of these days cuts off what is deeper than its types. It knows
strings and brackets, and judges nothing: what is no JSON comes out as something that cannot be decoded.
"""

import re

# A string that never ends counts to the end, or each quotation mark in it would be tried.
_TOKEN = re.compile(rb'"(?:[^"\\]|\\[\s\S])*+(?:"|\\?\Z)|[][{},]')
_ITEMS = b'"items"'
_OF_THE_PAGE, _OF_THE_LIST = 1, 2  # depths


def split(content: bytes) -> tuple[bytes, list[bytes]]:
    """Return the page without its items, and each item; ``content`` and none if no list of items is found."""
    items: list[bytes] = []
    depth = begin = start = 0
    before = b""
    for found in _TOKEN.finditer(content):
        token = found[0]
        if token in (b"{", b"["):
            depth += 1
            if token == b"[" and before == _ITEMS and depth == _OF_THE_LIST:
                begin = start = found.end()
        elif token in (b"}", b"]"):
            depth -= 1
            if begin and depth == _OF_THE_PAGE:
                items.append(content[start : found.start()])
                whole = content[:begin] + content[found.start() :]
                return whole, [each for each in items if each.strip()]
        elif token == b"," and begin and depth == _OF_THE_LIST:
            items.append(content[start : found.start()])
            start = found.end()
        before = token if depth == _OF_THE_PAGE else b""
    return content, []
