"""Every way in which a command ends has its exit code and one line that says why."""

import asyncio
from collections.abc import Callable

import httpx2
import pytest

from opsagent.cli import outcome
from opsagent.clients.daemon import DaemonClient
from opsagent.ports import Forbidden, Terminal, Transient
from opsagent.terminal import Exit
from tests.fakes.http_server import Reply, Request, serve


def raising(error: BaseException) -> Callable[[], None]:
    def command() -> None:
        raise error

    return command


ENDINGS: dict[str, tuple[BaseException, Exit]] = {
    "terminal": (Terminal("the disk is full"), Exit.FAILED),
    "transient": (Transient("the disk is full"), Exit.FAILED),
    "forbidden": (Forbidden("the disk is full"), Exit.REFUSED),
    "time-out": (TimeoutError("the disk is full"), Exit.TOO_LATE),
    "of a task": (ExceptionGroup("", [Forbidden("the disk is full")]), Exit.REFUSED),
    "of a task's task": (
        ExceptionGroup("", [ExceptionGroup("", [Terminal("the disk is full")])]),
        Exit.FAILED,
    ),
}


@pytest.mark.parametrize("case", sorted(ENDINGS))
def test_a_known_trouble_is_one_line_and_its_code(
    case: str, capsys: pytest.CaptureFixture[str]
) -> None:
    error, code = ENDINGS[case]
    assert outcome(raising(error)) is code
    assert capsys.readouterr().err == "opsagent: the disk is full\n"


def test_an_interrupt_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert outcome(raising(KeyboardInterrupt())) is Exit.INTERRUPTED
    assert capsys.readouterr().err == ""


def test_what_ended_well_is_zero() -> None:
    assert outcome(lambda: None) is Exit.DONE


def test_a_bug_is_not_dressed_up() -> None:
    with pytest.raises(ZeroDivisionError):
        outcome(raising(ZeroDivisionError()))


async def test_a_daemon_that_hangs_is_a_time_out() -> None:
    async def never(_: Request) -> Reply:
        await asyncio.Event().wait()
        return Reply()

    def ask(url: str) -> None:
        with httpx2.Client(base_url=url, timeout=0.05) as http:
            DaemonClient(http, url).status()

    async with serve(never) as server:
        with pytest.raises(TimeoutError, match=r"did not answer within .*; see its log"):
            await asyncio.to_thread(ask, server.url)
