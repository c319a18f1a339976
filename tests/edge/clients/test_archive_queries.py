"""Queries to archives: whatever a value is, it stays one string of the language, and means itself."""

import datetime as dt
import re

import pytest
from hypothesis import example, given, strategies as st

from opsagent.clients.archive import instant
from opsagent.clients.archive_query import Address, LogFields, literal, nanoseconds
from opsagent.clients.loki import LokiArchive, logql
from opsagent.clients.tempo import traceql
from opsagent.clients.victorialogs import VictoriaLogsArchive, logsql
from opsagent.model.archive import LogSearch
from opsagent.model.entity import Entity, Kind
from opsagent.model.trace import TraceSearch
from opsagent.ports import Terminal
from opsagent.sim.archive import STRING, strings, unquoted
from tests.fakes.hostile import TEXTS
from tests.fakes.virtual_time import EPOCH

NOWHERE = Address("http://127.0.0.1:9")
END = EPOCH + dt.timedelta(hours=1)
POD = Entity(Kind.POD, "shop", "cart-0")
CART = Entity(Kind.DEPLOYMENT, "shop", "cart")
anything = st.text(min_size=1, max_size=100) | st.sampled_from(
    [text[:100] for text in TEXTS if not re.search("[\ud800-\udfff]", text)]
)
WORST = """\\" or \\\\`{}|=*\n\\\\"""
words = st.lists(anything, max_size=8).map(tuple)


def skeleton(query: str) -> str:
    """Return the query with every string in it made empty."""
    assert query.isascii()
    assert query.isprintable()
    return re.sub(STRING, '""', query)


@example(WORST)
@given(anything)
def test_a_literal_is_one_string_that_means_its_text(text: str) -> None:
    made = literal(text)
    assert skeleton(made) == '""'
    assert unquoted(made) == text


@example((WORST, WORST))
@given(words)
def test_no_word_escapes_in_logql(said: tuple[str, ...]) -> None:
    query = logql(LogSearch(POD, EPOCH, END, container="cart", words=said))
    assert skeleton(query) == '{namespace="", pod="", container=""}' + ' |= ""' * len(said)
    assert strings(query) == ["shop", "cart-0", "cart", *said]


@example((WORST, WORST))
@given(words)
def test_no_word_escapes_in_logsql(said: tuple[str, ...]) -> None:
    query = logsql(LogSearch(POD, EPOCH, END, container="cart", words=said))
    filters = '"":="" "":="" "":=""' + ' *""*' * len(said)
    assert skeleton(query) == f'{filters} | fields "", "", "", ""'
    assert strings(query)[6 : 6 + len(said)] == list(said)


@example(WORST)
@given(anything)
def test_no_service_escapes_in_traceql(service: str) -> None:
    query = traceql(TraceSearch(service, EPOCH, END, is_error=True))
    assert skeleton(query) == '{ resource.service.name = "" && status = error }'
    assert strings(query) == [service]


@given(st.text(max_size=60))
def test_a_name_is_a_name_of_kubernetes_or_nothing_is_asked(name: str) -> None:
    for of in (Entity(Kind.POD, "shop", name), Entity(Kind.POD, name, "cart-0")):
        try:
            query = logql(LogSearch(of, EPOCH, END))
        except Terminal:
            continue
        assert re.fullmatch("[a-z0-9.-]+", name)
        assert f'"{name}"' in query


@given(st.text(min_size=1, max_size=40))
def test_a_field_may_have_any_name_in_logsql_and_only_a_label_s_in_logql(name: str) -> None:
    fields = LogFields("namespace", name, "container")
    query = logsql(LogSearch(CART, EPOCH, END), fields)
    assert strings(query)[2] == name
    if re.fullmatch("[A-Za-z_][A-Za-z0-9_]*", name):
        return
    with pytest.raises(Terminal, match="no name of a label"):
        LokiArchive(NOWHERE, fields)


def test_the_queries_read_as_people_write_them() -> None:
    search = LogSearch(CART, EPOCH, END, container="cart", words=("timed out", 'say "no"'))
    ends = "-[bcdfghjklmnpqrstvwxz2456789]"
    pods = f"^cart{ends}{{1,10}}{ends}{{5}}$"
    assert logql(search) == (
        f'{{namespace="shop", pod=~"{pods}", container="cart"}} |= "timed out" |= "say \\"no\\""'
    )
    assert logsql(search) == (
        f'"kubernetes.pod_namespace":="shop" "kubernetes.pod_name":~"{pods}"'
        ' "kubernetes.container_name":="cart" *"timed out"* *"say \\"no\\""*'
        ' | fields "_time", "_msg", "kubernetes.pod_name", "kubernetes.container_name"'
    )
    slow = TraceSearch("cart", EPOCH, END, duration_min=dt.timedelta(seconds=1.5))
    assert traceql(slow) == '{ resource.service.name = "cart" && duration >= 1500ms }'


@pytest.mark.parametrize("tenant", ["1", "a:b", "1:2:3", "-1:0", "1:2\r\nx: y"])
def test_a_tenant_of_victorialogs_is_two_numbers(tenant: str) -> None:
    with pytest.raises(Terminal, match="account:project"):
        VictoriaLogsArchive(Address(NOWHERE.url, tenant))


@given(st.datetimes(timezones=st.just(dt.UTC)))
def test_instants_go_to_nanoseconds_and_back(at: dt.datetime) -> None:
    assert instant(int(nanoseconds(at))) == at
