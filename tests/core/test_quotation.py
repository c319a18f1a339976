"""Untrusted text on its way to a model: no control token survives, no line escapes its quotation."""

import json

import pytest
from hypothesis import given, strategies as st

from opsagent.signals.quotation import MARK, clipped, defuse, quoted, quoted_lines

# Source: the special tokens of the Kimi K2 tokenizer's configuration; then other families' openings.
TOKENS = (
    *("[BOS]", "[EOS]", "[EOT]", "[UNK]", "[PAD]", "<think>", "</think>"),
    *("<|im_end|>", "<|im_user|>", "<|im_assistant|>", "<|im_system|>", "<|im_middle|>"),
    *("<|start_header_id|>", "<|end_header_id|>", "<|media_begin|>", "<|media_pad|>"),
    *("<|tool_calls_section_begin|>", "<|tool_call_begin|>", "<|tool_call_argument_begin|>"),
    *("<|tool_call_end|>", "<|tool_calls_section_end|>", "<|im_start|>", "<|eot_id|>"),
    *("<tool_call>", "</tool_call>", "<start_of_turn>", "<s>", "</s>", "[INST]", "[/INST]"),
    "<\N{FULLWIDTH VERTICAL LINE}User\N{FULLWIDTH VERTICAL LINE}>",
)
texts = st.text() | st.lists(
    st.sampled_from([*TOKENS, "a", " ", "\n", "\r\n", "\u2028", "\x85", "\x1b[31m", "<", "|", "["])
).map("".join)


@pytest.mark.parametrize("token", TOKENS)
def test_a_control_tokens_spelling_is_broken_and_stays_readable(token: str) -> None:
    broken = defuse(f"before {token} after")
    assert token not in broken
    assert broken.replace("< ", "<").replace("[ ", "[") == f"before {token} after"


@given(texts)
def test_no_token_survives_in_any_company(text: str) -> None:
    broken = defuse(text)
    assert not [token for token in TOKENS if token.lower() in broken.lower()]
    assert defuse(broken) == broken


@given(st.dictionaries(st.text(), texts))
def test_broken_json_is_still_json_of_the_same_shape(value: dict[str, str]) -> None:
    assert len(json.loads(defuse(json.dumps(value)))) <= len(value)


def test_ordinary_text_is_left_alone() -> None:
    for text in ("a < b | c", "<strong>x</strong>", "list[0]", "<thinking>", "[ERROR] no", "a<b"):
        assert defuse(text) == text


@given(texts)
def test_every_line_of_a_quotation_is_marked(text: str) -> None:
    lines = quoted(text).split("\n")
    assert all(line.startswith(MARK) for line in lines)
    assert len("\n".join(lines).splitlines()) == len(lines)


def test_what_is_hidden_or_reordered_becomes_visible() -> None:
    assert quoted("a\x1b[2Jb\u202ec\u200bd\x00") == "| a\ufffd[2Jb\ufffdc\ufffdd\ufffd"


def test_an_empty_text_is_an_empty_quotation() -> None:
    assert quoted("") == MARK
    assert quoted_lines(["a\nb", "", "c"]) == "| a\n| b\n| \n| c"


def test_a_clipped_text_says_what_is_missing() -> None:
    assert clipped("short", 5) == "short"
    assert clipped("äöü", 3) == "ä\n(cut here: 3 more bytes)"
