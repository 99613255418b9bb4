"""Tests that stamps are of now and are never given twice, whatever the clock does."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from chunk_ppo_ros.core.stamps import FARTHEST_AHEAD, NUM_REMEMBERED, StampSource

NOW = 1_700_000_000_000_000_000


def test_a_stamp_is_the_time_and_a_nanosecond_later_where_time_stands_still() -> None:
    stamps = StampSource()
    assert [stamps.next(NOW), stamps.next(NOW), stamps.next(NOW + 5)] == [NOW, NOW + 1, NOW + 5]
    assert stamps.next(NOW + 5, offset=1_000) == NOW + 1_005
    stamps.note(NOW + 2_000)
    assert stamps.next(NOW + 6) == NOW + 2_001


def test_a_clock_that_was_set_back_gives_stamps_of_its_time() -> None:
    stamps = StampSource()
    stamps.next(NOW)
    stamps.next(NOW + 3_000_000_000)
    assert stamps.next(NOW) == NOW + 1
    assert stamps.next(NOW + 50) == NOW + 50


@given(st.lists(st.integers(0, 2 * FARTHEST_AHEAD), max_size=40), st.integers(0, 1_000))
def test_no_stamp_is_given_twice_or_far_ahead_of_the_clock(offsets: list[int], offset: int) -> None:
    stamps = StampSource()
    given_stamps = [(NOW + ahead, stamps.next(NOW + ahead, offset=offset)) for ahead in offsets]
    assert len({stamp for _, stamp in given_stamps}) == len(offsets)
    assert all(now <= stamp <= now + FARTHEST_AHEAD + offset + len(offsets) for now, stamp in given_stamps)


def test_old_stamps_are_forgotten() -> None:
    stamps = StampSource()
    for number in range(NUM_REMEMBERED + 1):
        stamps.note(NOW + number)
    stamps.note(NOW + 10 * FARTHEST_AHEAD)
    assert [stamps.next(NOW), stamps.next(NOW)] == [NOW, NOW + 1]
