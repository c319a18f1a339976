"""How the responder came to its answer stands in the timeline, once, and changes nothing else."""

from opsagent.incidents.reduce import Advised, Book, Effects, NoPlan, reduce, restore
from opsagent.incidents.timeline import FLAPPING_MAX
from opsagent.model.incident import EntryKind, Incident
from tests.fakes.investigation import incident
from tests.fakes.objects import after

NOTES = ("By rules, because the model did not answer within 120 s.",)


def told(
    book: Book, *notes: str, pointer: str = "inv_1", seconds: float = 60
) -> tuple[Book, Effects]:
    return reduce(book, Advised("inc_1", notes, pointer), after(seconds))


def lines(book: Book) -> list[tuple[str, str]]:
    kept: Incident = book.incidents["inc_1"]
    return [
        (each.text, each.pointer) for each in kept.timeline if each.kind is EntryKind.INVESTIGATED
    ]


def test_notes_are_told_in_order_with_the_name_of_the_transcript() -> None:
    book, effects = told(restore([incident()]), "first", "second")
    assert lines(book) == [("first", "inv_1"), ("second", "inv_1")]
    assert effects.notifications == ()
    assert effects.wants_plan == ("inc_1",)


def test_the_same_notes_after_a_restart_change_nothing() -> None:
    book, _ = told(restore([incident()]), *NOTES)
    again, effects = told(book, *NOTES, seconds=90)
    assert again == book
    assert effects.incidents == ()


def test_another_investigation_may_say_the_same() -> None:
    book, _ = told(restore([incident()]), *NOTES)
    book, _ = told(book, *NOTES, pointer="inv_2", seconds=90)
    assert [pointer for _, pointer in lines(book)] == ["inv_1", "inv_2"]


def test_notes_do_not_hide_that_there_is_no_plan() -> None:
    book, _ = reduce(restore([incident()]), NoPlan("inc_1", "no runbook fits"), after(60))
    book, effects = told(book, *NOTES, seconds=61)
    assert effects.wants_plan == ()
    assert book.incidents["inc_1"].waiting_for == "a person: no runbook fits"


def test_notes_are_bounded_like_everything_that_may_come_again() -> None:
    book = restore([incident()])
    for number in range(FLAPPING_MAX + 5):
        book, _ = told(book, f"note {number}", seconds=60 + number)
    assert len(lines(book)) == FLAPPING_MAX


def test_notes_for_an_incident_that_is_gone_are_named() -> None:
    _, effects = told(Book(), *NOTES)
    assert effects.ignored == ("notes for inc_1: no such incident",)
