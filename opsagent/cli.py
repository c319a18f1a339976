"""The command line. It never opens the daemon's database: it speaks to the running daemon over loopback.

Exit codes are those of ``terminal.Exit``; ``docs/cli.md`` lists them with every command.

Imports stand inside the commands, so that ``--help`` answers at once.
"""

import json
import sys
from collections.abc import Callable, Iterable
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from opsagent.cli_check import config_app, doctor, record
from opsagent.terminal import (
    Exit,
    approval_lines,
    incident_line,
    incident_lines,
    investigation_lines,
    safe,
    tree_lines,
)

app = typer.Typer(
    name="opsagent",
    help="An operations daemon for Kubernetes that acts only through approved, verified plans.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

StateDir = Annotated[
    Path, typer.Option("--state", help="The daemon's state folder.", envvar="OPSAGENT_STATE")
]
TokenFile = Annotated[
    Path,
    typer.Option(
        "--token-file",
        help="File with YOUR cluster token (kubectl create token ...). '-' reads standard input.",
    ),
]
PlanId = Annotated[str, typer.Argument(metavar="PLAN", help="As 'opsagent approvals' shows it.")]
Reason = Annotated[str, typer.Option(help="Kept in the audit.")]
Yes = Annotated[bool, typer.Option("--yes", help="Ask no second time on a terminal.")]
AsJson = Annotated[bool, typer.Option("--json", help="JSON lines instead of text.")]
ConfigFile = Annotated[Path, typer.Option("--config", "-c", help="The YAML file.")]


class Fault(StrEnum):
    """The faults that the demo can show."""

    CRASH = "crash"
    MISSING = "missing"
    OOM = "oom"
    SLOW = "slow"
    STUCK = "stuck"


class DemoModel(StrEnum):
    """Who investigates first in the demo."""

    RULES = "rules"
    SCRIPTED = "scripted"


def main() -> None:
    """Run the command line."""
    sys.exit(outcome(app))


def outcome(command: Callable[[], object]) -> Exit:
    """Run ``command`` and return its exit code; a known trouble becomes one message on stderr."""
    from opsagent.ports import Forbidden, Terminal, Transient

    code = Exit.DONE
    try:
        command()
    except* (Terminal, Transient) as errors:
        code = _say_why(errors, Exit.FAILED)
    except* Forbidden as errors:
        code = _say_why(errors, Exit.REFUSED)
    except* TimeoutError as errors:
        code = _say_why(errors, Exit.TOO_LATE)
    except* KeyboardInterrupt:
        code = Exit.INTERRUPTED
    return code


def _say_why(errors: BaseException, code: Exit) -> Exit:
    for error in _leaves(errors):
        typer.echo(f"opsagent: {error}", err=True)
    return code


def _leaves(error: BaseException) -> Iterable[BaseException]:
    """Yield the errors in nested groups: tasks that end together fail together."""
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    else:
        yield error


@app.command()
def demo(  # noqa: PLR0913 - one argument for each option
    *,
    fault: Annotated[Fault, typer.Option(help="What the bad rollout does.")] = Fault.CRASH,
    approve: Annotated[
        bool, typer.Option("--approve", help="Approve the plan unattended.")
    ] = False,
    headless: Annotated[
        bool, typer.Option("--headless", help="Ask nothing; wait for 'opsagent approve'.")
    ] = False,
    as_json: AsJson = False,
    browser: Annotated[
        bool | None,
        typer.Option(
            "--open/--no-open", help="Open the page in a browser; done unless nobody is asked here."
        ),
    ] = None,
    stay: Annotated[
        bool,
        typer.Option("--stay", help="Keep the page up at the end; a terminal is asked anyway."),
    ] = False,
    model: Annotated[
        DemoModel, typer.Option(help="Who investigates first: nobody, or a model that is played.")
    ] = DemoModel.RULES,
    model_url: Annotated[
        str,
        typer.Option(help="Let a model behind this OpenAI-compatible URL (.../v1) investigate."),
    ] = "",
    model_name: Annotated[str, typer.Option(help="Its name on that server.")] = "scripted",
    speed: Annotated[float, typer.Option(min=0.1, max=100, help="How fast time passes.")] = 8.0,
    state: Annotated[
        Path | None, typer.Option(help="Keep the state here instead of a temporary folder.")
    ] = None,
) -> None:
    """Show the whole way on a cluster in a box: a bad rollout, found, approved, undone, verified."""
    from opsagent.demo import Demo, run_demo

    is_asking = not (approve or headless or as_json)
    wish = Demo(
        fault=fault.value,
        is_approving=approve,
        is_headless=headless,
        is_json=as_json,
        is_opening=is_asking if browser is None else browser,
        is_staying=stay or is_asking,
        model_url=model_url or ("" if model is DemoModel.RULES else model.value),
        model_name=model_name,
        speed=speed,
        state_dir=state,
    )
    raise typer.Exit(run_demo(wish, say=typer.echo))


@app.command()
def run(config: ConfigFile) -> None:
    """Run the daemon until it is told to stop."""
    from opsagent.runtime.collection import postpone
    from opsagent.settings import load

    settings = load(config)  # before the rest is loaded: a fault in it is told at once
    postpone()
    from opsagent.production import run_daemon

    def announce(link: str) -> None:
        typer.echo(f"The page, for the first browser that opens this link: {link}")

    # Only to a person: what goes into a file or a collector of logs would let its readers in.
    run_daemon(settings, announce if sys.stdout.isatty() else None)


@app.command("open")
def open_page(state: StateDir = Path("state")) -> None:
    """Print a fresh link to the daemon's pages; the first browser that opens it is let in for 12 hours."""
    from opsagent.clients.daemon import connect

    with connect(state) as daemon:
        typer.echo(daemon.link())


@app.command()
def replay(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A recording.")],
    *,
    timeline: Annotated[
        bool, typer.Option("--timeline", help="Also print every timeline line.")
    ] = False,
) -> None:
    """Run the same code on a recording, its clock taken from the data; print incidents as JSON lines."""
    from opsagent.replay import replay_lines
    from opsagent.sources.recording import ALERTS_FILE, CALLS_FILE, Recording

    def complain(text: str) -> None:
        typer.echo(text, err=True)

    recording = Recording(folder)
    _say(replay_lines(recording, with_timeline=timeline, say=complain))
    for file, unit, report in (
        ("", "line", recording.report),
        (f"{ALERTS_FILE}: ", "line", recording.alerts_report),
        (f"{CALLS_FILE}: ", "call", recording.calls_report),
    ):
        of = report.lines_total
        for number, reason in report.bad_lines:
            complain(f"{file}{unit} {number} skipped: {reason}")
        if report.bad_lines_total:
            complain(f"{file}{report.bad_lines_total} of {of} {unit}s could not be read")
        if report.is_cut:
            complain(f"{file}only the first {of} {unit}s were read")


@app.command()
def status(
    state: StateDir = Path("state"),
    *,
    as_json: AsJson = False,
    check: Annotated[bool, typer.Option("--check", help="Exit 3 if an incident is open.")] = False,
) -> None:
    """Say what the daemon watches, how fresh it is, and what is degraded."""
    from opsagent.clients.daemon import connect

    with connect(state) as daemon:
        answer = daemon.status()
    if as_json:
        typer.echo(json.dumps(answer, sort_keys=True))
    else:
        _say(tree_lines(answer))
    if check and answer.get("incidents_open"):
        raise typer.Exit(Exit.FINDINGS)


@app.command()
def incidents(
    incident_id: Annotated[
        str | None, typer.Argument(metavar="[ID]", help="Show one with its timeline.")
    ] = None,
    state: StateDir = Path("state"),
    *,
    investigation: Annotated[
        bool, typer.Option("--investigation", help="Show what a model did about ID, step by step.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """List incidents, or show one with its causes and timeline."""
    from opsagent.clients.daemon import connect

    if investigation and not incident_id:
        raise typer.BadParameter("--investigation needs the ID of an incident")
    with connect(state) as daemon:
        if incident_id:
            show = daemon.investigation if investigation else daemon.incident
            found = [show(incident_id)]
        else:
            found = list(daemon.incidents())
    if as_json:
        _say(json.dumps(item, sort_keys=True) for item in found)
    elif not found:
        typer.echo("no incidents")
    elif investigation:
        _say(investigation_lines(found[0]))
    elif incident_id:
        _say(incident_lines(found[0]))
    else:
        _say(incident_line(item) for item in found)


@app.command()
def approvals(state: StateDir = Path("state"), *, as_json: AsJson = False) -> None:
    """List the plans that wait for a person: the exact diff, the reach, the expiry."""
    from opsagent.clients.daemon import connect

    with connect(state) as daemon:
        found = daemon.approvals()
    if as_json:
        _say(json.dumps(item, sort_keys=True) for item in found)
    elif not found:
        typer.echo("nothing waits for approval")
    else:
        _say(line for item in found for line in ("", *approval_lines(item)))


@app.command()
def approve(
    plan_id: PlanId,
    token_file: TokenFile,
    state: StateDir = Path("state"),
    reason: Reason = "",
    *,
    yes: Yes = False,
) -> None:
    """Approve one plan, exactly as shown, as yourself."""
    _decide(plan_id, "approve", token_file, state, reason=reason, is_sure=yes)


@app.command()
def deny(
    plan_id: PlanId,
    token_file: TokenFile,
    state: StateDir = Path("state"),
    reason: Reason = "",
) -> None:
    """Deny one plan, as yourself."""
    _decide(plan_id, "deny", token_file, state, reason=reason, is_sure=True)


def _decide(
    plan_id: str, verdict: str, token_file: Path, state: Path, *, reason: str, is_sure: bool
) -> None:
    from opsagent.clients.daemon import connect

    token = _token(token_file)
    with connect(state) as daemon:
        waiting = {str(item["plan_id"]): item for item in daemon.approvals()}
        if plan_id not in waiting:
            typer.echo(
                f"{safe(plan_id)} waits for no approval; 'opsagent approvals' lists what does",
                err=True,
            )
            raise typer.Exit(Exit.REFUSED)
        _say(approval_lines(waiting[plan_id]))
        if not is_sure and sys.stdin.isatty():
            typer.confirm("Approve exactly this change?", abort=True)
        answer = daemon.decide(
            plan_id,
            verdict=verdict,
            plan_hash=str(waiting[plan_id]["plan_hash"]),
            token=token,
            reason=reason,
        )
    typer.echo(f"{answer['state']}: {safe(answer['reason'])}", err=not answer["is_accepted"])
    if not answer["is_accepted"]:
        raise typer.Exit(Exit.REFUSED)


def _token(path: Path) -> str:
    from opsagent.ports import Terminal

    try:
        return (sys.stdin.read() if str(path) == "-" else path.read_text()).strip()
    except OSError as error:
        raise Terminal(f"cannot read the token file {path}: {error.strerror}") from error
    except UnicodeDecodeError:
        raise Terminal(f"cannot read the token file {path}: it holds no text") from None


def _say(lines: Iterable[str]) -> None:
    for line in lines:
        typer.echo(line)


# The commands of the other file come last in --help.
app.command()(doctor)
app.command()(record)
app.add_typer(config_app, name="config")
