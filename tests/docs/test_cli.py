"""``docs/cli.md`` names every command, argument, option and exit code, and nothing else."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from opsagent.cli import app
from opsagent.terminal import Exit

PAGE = Path(__file__).parents[2] / "docs" / "cli.md"


def commands(command: Any, name: str) -> Iterator[tuple[str, Any]]:
    """Yield every command that does something, with its whole name."""
    inner = getattr(command, "commands", None)
    if inner is None:
        yield name, command
    else:
        for word, each in inner.items():
            yield from commands(each, f"{name} {word}")


def rows(command: Any) -> list[str]:
    found = []
    for parameter in command.params:
        shown = (
            (parameter.metavar or parameter.name) if _is_argument(parameter) else _flags(parameter)
        )
        found.append(f"| `{shown}` | {getattr(parameter, 'help', None) or ''} |")
    return found


def _is_argument(parameter: Any) -> bool:
    return parameter.param_type_name == "argument"


def _flags(parameter: Any) -> str:
    return ", ".join([*parameter.opts, *parameter.secondary_opts])


def section(name: str, command: Any) -> str:
    head = f"## {name}\n\n{' '.join(command.help.split())}\n"
    table = rows(command)
    return head + (
        "\n| Argument or option | |\n|---|---|\n" + "\n".join(table) + "\n" if table else ""
    )


def test_every_command_has_its_section_with_every_option() -> None:
    expected = [section(*each) for each in commands(typer.main.get_command(app), "opsagent")]
    page = PAGE.read_text()
    missing = [text for text in expected if text not in page]
    assert not missing, "these sections should be there:\n" + "\n".join(missing)
    assert len(re.findall(r"^## opsagent", page, re.MULTILINE)) == len(expected)


def test_every_exit_code_has_its_row() -> None:
    found = re.findall(r"^\| ([0-9]+) \| ", PAGE.read_text(), re.MULTILINE)
    assert found == [str(int(code)) for code in Exit]
