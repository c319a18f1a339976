"""Commands that look before anything runs: ``doctor``, ``config``, and ``record``, which only looks too.

``cli`` joins them to the others. Imports stand inside the commands, so that ``--help`` answers at once.
"""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from opsagent.terminal import Exit, finding_lines, seconds

config_app = typer.Typer(help="Check the configuration file.", no_args_is_help=True)


def doctor(
    config: Annotated[Path, typer.Option("--config", "-c", help="The YAML file.")],
    *,
    approver: Annotated[
        list[str] | None, typer.Option(help="A user who should have the right to approve.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON lines instead of text.")] = False,
) -> None:
    """Check whether the daemon will work with this configuration, and say what to do if not."""
    import asyncio

    from opsagent.doctor import examine
    from opsagent.finding import Verdict
    from opsagent.runtime.clock import SystemClock

    async def look() -> bool:
        is_well = True
        async for finding in examine(config, approver or (), SystemClock()):
            is_well &= finding.verdict is not Verdict.FAIL
            tree = asdict(finding)
            for line in [json.dumps(tree)] if as_json else finding_lines(tree):
                typer.echo(line)
        return is_well

    if not asyncio.run(look()):
        raise typer.Exit(Exit.FINDINGS)


@config_app.command("validate")
def config_validate(
    file: Annotated[Path | None, typer.Argument(metavar="FILE", help="The YAML file.")] = None,
    config: Annotated[
        Path | None, typer.Option("--config", "-c", help="The same, as 'run' takes it.")
    ] = None,
) -> None:
    """Check a configuration file without starting anything."""
    from opsagent.settings import load

    path = file or config
    if path is None or (file and config):
        raise typer.BadParameter("name one file: FILE or --config FILE")
    load(path)
    typer.echo(f"{path} is valid")


@config_app.command("schema")
def config_schema() -> None:
    """Print the JSON Schema of the configuration file."""
    from opsagent.settings import Settings

    typer.echo(json.dumps(Settings.model_json_schema(), indent=2))


def record(  # noqa: PLR0913 - one for each option
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A new or empty folder.")],
    *,
    kubeconfig: Annotated[
        Path | None, typer.Option(help="Which cluster, as whom; without it, the pod we run in.")
    ] = None,
    context: Annotated[str | None, typer.Option(help="A context of the kubeconfig.")] = None,
    namespace: Annotated[
        list[str] | None, typer.Option("--namespace", "-n", help="Only this one; may be repeated.")
    ] = None,
    duration: Annotated[
        float | None, typer.Option("--for", parser=seconds, metavar="10m", help="How long.")
    ] = None,
    alertmanager: Annotated[
        str,
        typer.Option(metavar="URL", help="Also record its alerts: base of its API, before /api."),
    ] = "",
    tempo: Annotated[
        str,
        typer.Option(
            metavar="URL", help="Also record who calls whom: base of its API, before /api."
        ),
    ] = "",
) -> None:
    """Write down what a cluster says, without secrets, until Ctrl-C; 'opsagent replay' plays it."""
    from opsagent.record import Wish, run_record

    wish = Wish(folder, kubeconfig, context, tuple(namespace or ()), duration, alertmanager, tempo)
    run_record(wish, typer.echo)
