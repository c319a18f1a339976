"""Places have a bound of number and of weight: labels are somebody else's, and may be many and long."""

from opsagent.model.series import Labels
from opsagent.signals.places import NO_PLACE, PAIR_WEIGHT, WEIGHT_MAX, Places


def plain(number: int) -> Labels:
    return tuple((f"name{each:02d}", f"value-{number}") for each in range(15))


def heavy(number: int) -> Labels:
    return tuple((f"{number}-{each}", "x") for each in range(1_600))


def test_ordinary_labels_never_meet_the_bound_of_weight() -> None:
    places = Places(500)
    assert places.of(tuple(map(plain, range(501)))).tolist() == [*range(500), NO_PLACE]


def test_heavy_labels_take_all_places_long_before_there_are_none() -> None:
    places = Places(500)
    found = places.of(tuple(map(heavy, range(500)))).tolist()
    taken = [each for each in found if each != NO_PLACE]
    assert 0 < len(taken) * 1_600 * PAIR_WEIGHT < 500 * WEIGHT_MAX
    assert len(taken) == len(places) < 10
    assert places.of((heavy(0), plain(1), heavy(499))).tolist() == [0, len(taken), NO_PLACE]


def test_what_is_given_up_makes_room_for_others_of_any_weight() -> None:
    places = Places(500)
    count = sum(each != NO_PLACE for each in places.of(tuple(map(heavy, range(500)))).tolist())
    places.give_up(places.taken())
    again = places.of(tuple(map(heavy, range(1000, 1500)))).tolist()
    assert sum(each != NO_PLACE for each in again) == count
    places.give_up(places.taken())
    assert places.of(tuple(map(plain, range(400)))).max() == 399
