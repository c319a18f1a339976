"""Who may read how much: shares are equal, nobody stands still, what is slow to read counts by its time."""

from opsagent.sources.log_pace import BYTES_A_SECOND, LogPace


def read(pace: LogPace, log: str, at: float, size: int = 10) -> int:
    """Return how many bytes of ``log`` are admitted, in pieces of ``size``."""
    taken = 0
    while pace.admits(log, size, at):
        taken += size
    return taken


def test_a_log_has_its_bytes_in_every_second() -> None:
    pace = LogPace(each=100, total=1000)
    assert [read(pace, "a", at) for at in (0.0, 0.9, 1.0, 7.5)] == [100, 0, 100, 100]


def a_second(pace: LogPace, at: float, wishes: dict[str, int]) -> dict[str, int]:
    """Let logs read in turn, pieces of 10 bytes, as many as they wish; return what each got."""
    got = dict.fromkeys(wishes, 0)
    for _ in range(max(wishes.values())):
        for log, wish in wishes.items():
            if got[log] < wish and pace.admits(log, 10, at):
                got[log] += 10
    return got


def test_those_who_want_more_share_evenly_what_the_others_leave() -> None:
    pace = LogPace(each=1000, total=1000)
    wishes = {"modest": 100, "greedy": 5000, "eager": 5000}
    for second in range(3):
        got = a_second(pace, second, wishes)
    assert got == {"modest": 100, "greedy": 450, "eager": 450}


def test_whoever_comes_first_has_no_more_than_his_share_for_it() -> None:
    pace = LogPace(each=1000, total=1000)
    assert [read(pace, log, 0.0) for log in "abcd"] == [1000, 10, 10, 10]
    assert [read(pace, log, 1.0) for log in "abcd"] == [250, 250, 250, 250]


def test_a_flood_among_many_that_say_little_has_all_that_one_may_have() -> None:
    pace = LogPace(each=1000, total=4000)
    wishes = {f"quiet-{number}": 20 for number in range(50)} | {"flood": 9000}
    for second in range(3):
        got = a_second(pace, second, wishes)
    assert got.pop("flood") == 1000
    assert set(got.values()) == {20}


def test_after_a_silent_second_nobody_is_remembered() -> None:
    pace = LogPace(each=100, total=100)
    for log in "abcd":
        read(pace, log, 0.0)
    assert read(pace, "a", 2.0) == 100


def test_all_together_have_no_more_than_the_total() -> None:
    pace = LogPace(each=100, total=150)
    assert read(pace, "a", 0.0) == 100
    assert read(pace, "b", 0.0) == 50
    assert read(pace, "c", 0.0) == 10  # its first piece


def test_nobody_stands_still() -> None:
    pace = LogPace(each=10, total=10)
    for log in range(100):
        assert pace.admits(log, 1000, 5.0)
        assert not pace.admits(log, 1, 5.0)


def test_what_is_slow_to_read_costs_more() -> None:
    pace = LogPace(each=BYTES_A_SECOND, total=BYTES_A_SECOND)
    assert pace.admits("a", 10, 0.0)
    pace.charge("a", 10, 0.5)
    assert not pace.admits("a", BYTES_A_SECOND // 2 + 20, 0.0)
    assert pace.admits("a", BYTES_A_SECOND // 2 - 20, 0.0)
    assert pace.admits("b", 10, 1.0)
    pace.charge("b", 10, 0.0)  # quicker than expected: nothing comes back
    assert read(pace, "b", 1.0, BYTES_A_SECOND // 8) == BYTES_A_SECOND // 8 * 7
