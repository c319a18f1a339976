"""Every regular expression of the tree, how it is used, and texts that are made to hurt it.

Patterns are found twice: by walking through what the modules hold, and by reading their source, so that one that is
made inside a function is not overlooked. A text that hurts is made of the pattern's own letters: a beginning that it
accepts, something of it again and again, an end that it does not accept.
"""

import ast
import importlib
import pkgutil
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import product
from pathlib import Path
from re import _parser as parser  # type: ignore[attr-defined] # the only one that reads patterns as Python does
from types import ModuleType
from typing import Any, TypeAlias

import opsagent
import opsagent_memory

OURS = (opsagent, opsagent_memory)
NOT_SHIPPED_TO_STRANGERS = (
    "opsagent.sim",
    "opsagent.__main__",
)  # the pretended cluster reads our words alone
COMMON = " a0A.:/@=-_\"'[{(<\\,\t\n"
LITERALS_MAX = 6
LETTERS_MAX = 26
Text: TypeAlias = str | bytes
Pattern: TypeAlias = re.Pattern[Any]
Way: TypeAlias = Callable[[Pattern, Text], object]

WAYS: dict[str, Way] = {
    "match": lambda pattern, text: pattern.match(text),
    "fullmatch": lambda pattern, text: pattern.fullmatch(text),
    "search": lambda pattern, text: pattern.search(text),
    "sub": lambda pattern, text: pattern.sub(text[:0], text),
}
_SAME = {"findall": "sub", "finditer": "sub", "split": "sub", "subn": "sub"}
_BY_HAND = ("match", "search", "sub")  # handed to somebody who may do anything with it


@dataclass
class Found:
    """One pattern: where it stands, and how it is used there."""

    name: str
    pattern: Pattern
    ways: set[str] = field(default_factory=set)


def modules() -> Iterator[ModuleType]:
    """Yield every module that meets texts of others."""
    for root in OURS:
        for each in pkgutil.walk_packages(root.__path__, f"{root.__name__}."):
            if not each.name.startswith(NOT_SHIPPED_TO_STRANGERS):
                yield importlib.import_module(each.name)


@lru_cache(1)
def found() -> dict[str, Found]:
    """Return every pattern that a module holds, by its first place, with all its ways."""
    known: dict[Pattern, Found] = {}
    for module in modules():
        used = _used(module)
        for name, value in vars(module).items():
            for pattern in _patterns(value, set()):
                where = f"{module.__name__.partition('.')[2]}:{name}"
                one = known.setdefault(pattern, Found(where, pattern))
                one.ways |= used.get(name, set())
    for module in modules():
        for source, way in _in_functions(module):
            pattern = re.compile(source)
            known.setdefault(pattern, Found(f"{module.__name__}:{source}", pattern)).ways.add(way)
    for each in known.values():
        each.ways |= set() if each.ways else set(_BY_HAND)  # in a table: who knows
    return {each.name: each for each in known.values()}


def _patterns(value: object, seen: set[int]) -> Iterator[Pattern]:
    if id(value) in seen:
        return
    seen.add(id(value))
    if isinstance(value, re.Pattern):
        yield value
    elif isinstance(value, dict):
        for each in (*value.keys(), *value.values()):
            yield from _patterns(each, seen)
    elif isinstance(value, tuple | list | set | frozenset):
        for each in value:
            yield from _patterns(each, seen)
    elif isinstance(value, type) and value.__module__.startswith("opsagent"):
        for each in vars(value).values():
            yield from _patterns(each, seen)


def _tree(module: ModuleType) -> ast.Module:
    assert module.__file__ is not None
    return ast.parse(Path(module.__file__).read_text(encoding="utf-8"))


def _used(module: ModuleType) -> dict[str, set[str]]:
    """Return which names are used how: by method, or handed on by name."""
    ways: dict[str, set[str]] = {}
    for node in ast.walk(_tree(module)):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            way = _SAME.get(node.attr, node.attr)
            if way in WAYS:
                ways.setdefault(node.value.id, set()).add(way)
    for name in _handed_on(module):
        ways.setdefault(name, set()).update(_BY_HAND)
    return ways


def _handed_on(module: ModuleType) -> set[str]:
    """Return the names that stand as an argument of a call."""
    calls = (node for node in ast.walk(_tree(module)) if isinstance(node, ast.Call))
    return {each.id for call in calls for each in call.args if isinstance(each, ast.Name)}


def _in_functions(module: ModuleType) -> Iterator[tuple[str, str]]:
    """Yield source and way of each pattern that is written where it is used."""
    for call in _calls_of_re(module):
        if call.func.attr in (*WAYS, *_SAME):  # type: ignore[attr-defined] # see there
            assert isinstance(call.args[0], ast.Constant), f"{module.__name__}:{call.lineno}"
            way = call.func.attr  # type: ignore[attr-defined] # see there
            yield str(call.args[0].value), _SAME.get(way, way)


def factories() -> set[str]:
    """Return the functions that make patterns of what they are given."""
    made: set[str] = set()
    for module in modules():
        for node in ast.walk(_tree(module)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                inside = set(map(ast.dump, _calls_of_re(module, node)))
                if any("attr='compile'" in each for each in inside):
                    made.add(f"{module.__name__.partition('.')[2]}:{node.name}")
    return made


def _calls_of_re(module: ModuleType, within: ast.AST | None = None) -> Iterator[ast.Call]:
    """Yield the calls of functions of ``re``; each ``func`` is an Attribute."""
    for node in ast.walk(within or _tree(module)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            owner = node.func.value
            if isinstance(owner, ast.Name) and owner.id == "re":
                yield node


# Texts that hurt


def attacks(pattern: Pattern) -> list[tuple[str, str, str]]:
    """Return beginnings, units to repeat, and ends."""
    letters, literals = _of(pattern)
    few = sorted(letters)[:LETTERS_MAX]
    words = sorted(literals, key=len, reverse=True)[:LITERALS_MAX]
    units = {*few, *words, *map("".join, product(few, few))}
    units |= {word + letter for word in words for letter in few}
    return [
        (before, unit, behind)
        for before in ("", *words[:3])
        for unit in sorted(units)
        for behind in ("", "\0")
    ]


def text_of(pattern: Pattern, attack: tuple[str, str, str], length: int) -> Text:
    """Return a text of about ``length`` characters."""
    before, unit, behind = attack
    text = before + (unit * length)[:length] + behind
    return text.encode("latin-1", "replace") if isinstance(pattern.pattern, bytes) else text


def _of(pattern: Pattern) -> tuple[set[str], set[str]]:
    """Return letters and words that the pattern looks for."""
    source, flags = pattern.pattern, pattern.flags
    if isinstance(source, bytes):
        source = source.decode("latin-1")
    letters: set[str] = set()
    literals: set[str] = set()
    _collect(parser.parse(source, flags & ~re.UNICODE), letters, literals)
    letters |= {each[0] for each in literals}
    return letters | set(COMMON), literals


def _collect(parts: Any, letters: set[str], literals: set[str]) -> None:
    run = ""
    for operation, value in [*parts, (None, None)]:
        name = str(operation)
        if name == "LITERAL":
            run += chr(value)
            continue
        literals |= {run} - {""}
        run = ""
        if name == "IN":
            letters |= {chr(v if str(op) == "LITERAL" else v[0]) for op, v in value if str(op) in ("LITERAL", "RANGE")}  # fmt: skip
        for inner in _inner(name, value):
            _collect(inner, letters, literals)


def _inner(name: str, value: Any) -> list[Any]:
    """Return the patterns within one."""
    match name:
        case "MAX_REPEAT" | "MIN_REPEAT" | "POSSESSIVE_REPEAT":
            return [value[2]]
        case "SUBPATTERN":
            return [value[3]]
        case "BRANCH":
            return list(value[1])
        case "ASSERT" | "ASSERT_NOT":
            return [value[1]]
        case "ATOMIC_GROUP":
            return [value]
        case _:
            return []
