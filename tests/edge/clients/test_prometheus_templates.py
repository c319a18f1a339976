"""The named expressions: what may go into them, and that they are known again to the letter."""

import datetime as dt
import re
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from opsagent.clients.prometheus_templates import expression, places, recognise
from opsagent.model import metrics
from opsagent.model.metrics import MetricArguments, MetricTemplate
from opsagent.ports import Terminal

NAMES = st.from_regex(r"[a-z0-9]([a-z0-9.-]{0,40}[a-z0-9])?", fullmatch=True)
FULL = {
    "namespace": "shop",
    "deployment": "web",
    "pod": "web-6b7-x2v",
    "container": "web",
    "node": "ip-10-0-0-1.eu-west-1.compute.internal",
    "window": dt.timedelta(minutes=5),
}
QUERY_CHARACTERS_MAX = 4096  # far below what any server takes in an address


def about(template: MetricTemplate, **other: object) -> MetricArguments:
    return MetricArguments(**{key: FULL[key] for key in places(template)} | other)


@given(st.sampled_from(MetricTemplate), NAMES, NAMES, st.integers(1, 30 * 86_400))
def test_an_expression_is_known_again(template, one, other, seconds):
    values = {"namespace": one, "deployment": other, "pod": one, "container": other, "node": one}
    values["window"] = dt.timedelta(seconds=seconds)
    arguments = MetricArguments(**{key: values[key] for key in places(template)})
    assert recognise(expression(template, arguments)) == (template, arguments)


@pytest.mark.parametrize("template", MetricTemplate)
def test_one_letter_more_or_another_name_in_one_place_is_not_known(template):
    text = expression(template, about(template))
    assert recognise(text + " ") is None
    assert recognise(text.replace("by", "without", 1)) is None
    if text.count('"shop"') > 1:
        assert recognise(text.replace('"shop"', '"else"', 1)) is None


@given(st.sampled_from(["namespace", "deployment"]), st.text(max_size=20))
def test_no_text_of_anybodys_becomes_an_expression(place, text):
    template = MetricTemplate.DEPLOYMENT_REPLICAS_READY
    is_name = re.fullmatch(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?", text) is not None
    try:
        written = expression(template, about(template, **{place: text}))
    except Terminal:
        assert not is_name
    else:
        assert is_name
        assert written.count('"') == 4


@pytest.mark.parametrize("template", MetricTemplate)
def test_every_argument_is_needed_and_no_other_is_taken(template):
    for key, value in FULL.items():
        empty = dt.timedelta(0) if key == "window" else ""
        changed = about(template, **{key: empty if key in places(template) else value})
        with pytest.raises(Terminal, match=f"^{template.value} takes"):
            expression(template, changed)


@pytest.mark.parametrize(
    "window", [dt.timedelta(days=31), dt.timedelta(milliseconds=999), -dt.timedelta(seconds=5)]
)
def test_a_window_has_bounds(window):
    template = MetricTemplate.CONTAINER_RESTARTS
    with pytest.raises(Terminal, match="window"):
        expression(template, about(template, window=window))


@pytest.mark.parametrize("template", MetricTemplate)
def test_the_vocabulary_says_which_arguments_a_template_takes(template):
    text = Path(metrics.__file__).read_text()
    line = text.split(f'{template.name} = "{template.value}"\n    """[', 1)[1].split("]", 1)[0]
    assert set(filter(None, line.split(", "))) == places(template)


@pytest.mark.parametrize("template", MetricTemplate)
def test_the_longest_expression_fits_into_an_address(template):
    longest = {key: "x" * 253 for key in places(template) if key != "window"}
    assert len(expression(template, about(template, **longest))) < QUERY_CHARACTERS_MAX
