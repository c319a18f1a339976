"""A Loki in a box: log queries by ``/loki/api/v1/query_range``, as far as the product asks them.

Selectors of ``=`` and ``=~``, then filters ``|=``. A Loki ``is_multi_tenant`` wants to be told for whom. Its wire form
is that of the published API documentation; there is none here to hold it against. Source: grafana.com/docs/loki,
"Loki HTTP API", "Log queries", "Multi-tenancy".
"""

import re
from collections.abc import Mapping

from opsagent.ports import KubeAnswer
from opsagent.sim.archive import STRING, LogShelf, ShelvedLine, strings, unquoted
from opsagent.sim.values import Obj, encode

_MATCHER = rf"\s*([A-Za-z_]\w*)\s*(=~|=)\s*({STRING})\s*"
_QUERY = re.compile(rf"\s*\{{({_MATCHER}(?:,{_MATCHER})*)\}}((?:\s*\|=\s*{STRING})*)\s*")
NOBODY = "fake"  # Source: Loki's own name of the tenant, if it has one for all


class Loki:
    """See the module's docstring."""

    def __init__(self, *, is_multi_tenant: bool = False) -> None:
        self.shelf = LogShelf()
        self.warnings: list[str] = []
        self._is_multi_tenant = is_multi_tenant

    def handle(
        self, path: str, parameters: Mapping[str, str], headers: Mapping[str, str]
    ) -> KubeAnswer:
        """Answer one GET."""
        if path != "/loki/api/v1/query_range":
            return KubeAnswer(404, b"404 page not found\n")
        tenant = headers.get("x-scope-orgid", "" if self._is_multi_tenant else NOBODY)
        if not tenant:
            return KubeAnswer(401, b"no org id\n")
        try:
            matchers, words = _parsed(parameters.get("query", ""))
            found = self.shelf.newest(parameters, tenant, lambda each: _fits(each, matchers, words))
        except ValueError as error:
            return KubeAnswer(400, f"parse error : {error}\n".encode())
        return self._streams(found)

    def _streams(self, found: list[ShelvedLine]) -> KubeAnswer:
        streams: dict[tuple[tuple[str, str], ...], Obj] = {}
        for each in found:
            key = tuple(sorted(each.fields.items()))
            stream = streams.setdefault(key, {"stream": dict(each.fields), "values": []})
            stream["values"].append([str(each.at), each.text])
        result = [streams[key] for key in sorted(streams)]
        body: Obj = {
            "status": "success",
            "data": {"resultType": "streams", "result": result, "stats": {}},
        }
        if self.warnings:
            body["warnings"] = list(self.warnings)
        return KubeAnswer(200, encode(body), {"content-type": "application/json; charset=UTF-8"})


def _parsed(query: str) -> tuple[list[tuple[str, str, str]], list[str]]:
    """Return (label, sign, text) and the words that each line must hold."""
    found = _QUERY.fullmatch(query)
    if found is None:
        raise ValueError("syntax error: unexpected character")
    matchers = [(name, sign, unquoted(text)) for name, sign, text in re.findall(_MATCHER, found[1])]
    if not any(text for _, _, text in matchers):
        raise ValueError("queries require at least one matcher that is not empty")
    return matchers, strings(found[found.re.groups])


def _fits(line: ShelvedLine, matchers: list[tuple[str, str, str]], words: list[str]) -> bool:
    for name, sign, text in matchers:
        value = line.fields.get(name, "")
        if not (value == text if sign == "=" else re.fullmatch(text, value)):
            return False
    return all(word in line.text for word in words)
