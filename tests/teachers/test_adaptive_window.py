"""The window, without a clock: rounds of requests against an endpoint that carries so many at once."""

from collections.abc import Callable

from teachers.adaptive_window import AdaptiveWindow


def rounds(window: AdaptiveWindow, count: int, refused: Callable[[int], bool], *, start: int = 1) -> list[int]:
    """Settle round after round, the i-th place of each refused or not; gives the sizes after each."""
    sizes = []
    for now in range(start, start + count):
        for place in range(max(window.size, 8)):
            window.settle(now, now, refused=refused(place % window.size))
        sizes.append(window.size)
    return sizes


def test_it_starts_at_its_start_and_doubles_up_to_its_ceiling() -> None:
    assert rounds(AdaptiveWindow(500, start=64), 5, lambda place: False) == [128, 256, 500, 500, 500]
    assert AdaptiveWindow(8, start=64).size == 8


def test_it_finds_what_an_endpoint_carries_and_stays_there() -> None:
    sizes = rounds(AdaptiveWindow(256, start=64), 200, lambda place: place >= 21)
    assert all(20 <= size <= 22 for size in sizes[10:])
    assert sum(size > 21 for size in sizes[100:]) <= 5


def test_a_round_takes_it_down_to_a_half_at_most_and_at_the_worst_to_one() -> None:
    sizes = rounds(AdaptiveWindow(64, start=64), 10, lambda place: True)
    assert sizes[:4] == [32, 16, 8, 4]
    assert sizes[-1] == 1


def test_what_was_sent_before_the_last_change_says_nothing() -> None:
    window = AdaptiveWindow(64, start=64)
    rounds(window, 1, lambda place: True, start=10)
    for _ in range(100):
        window.settle(9, 11, refused=True)
    assert window.size == 32


def test_refusals_by_chance_do_not_wear_it_down() -> None:
    window = AdaptiveWindow(64, start=64)
    assert set(rounds(window, 50, lambda place: place % 20 == 3)) == {64}


def test_it_grows_again_when_the_endpoint_carries_more() -> None:
    window = AdaptiveWindow(64, start=64)
    rounds(window, 10, lambda place: place >= 8)
    assert rounds(window, 80, lambda place: False)[-1] == 64
