"""Where a copy's sequences must stand, so that no number is handed out twice."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from db_migration.catalog import Sequence
from db_migration.following import sequences


def sequence(last: int | None, increment: int = 1, most: int = 2**63 - 1) -> Sequence:
    least = -(2**63) if increment < 0 else 1
    start = -1 if increment < 0 else 1
    return Sequence("public", "jobs_id_seq", last, increment, most, least, start)


def moved(there: Sequence, here: Sequence, margin: int) -> int | None:
    late = sequences.behind([there], [here], margin)
    return late[there.full_name][1] if late else None


MARGINS = st.integers(2, 10**6)


@given(st.integers(1, 10**12), st.integers(1, 10**12), MARGINS)
def test_is_never_left_behind(there: int, here: int, margin: int) -> None:
    after = moved(sequence(there), sequence(here), margin) or here
    assert after >= there + margin // 2
    assert after >= here or here < there + margin // 2


@given(st.integers(-(10**12), -1), st.integers(-(10**12), -1), MARGINS, st.integers(-9, -1))
def test_is_never_left_behind_counting_down(there: int, here: int, margin: int, step: int) -> None:
    after = moved(sequence(there, step), sequence(here, step), margin) or here
    assert after <= there + step * (margin // 2)


@given(st.data())
def test_is_moved_once_and_to_a_number_that_it_has(data: st.DataObject) -> None:
    least = data.draw(st.integers(-1000, 1000))
    most = data.draw(st.integers(least + 1, least + 2000))
    increment = data.draw(st.integers(-50, 50).filter(bool))
    last = data.draw(st.none() | st.integers(least, most))
    start = data.draw(st.integers(least, most))
    cycle = data.draw(st.booleans())
    there = Sequence("public", "short", last, increment, most, least, start, cycle)
    here = replace(there, last_value=data.draw(st.none() | st.integers(least, most)))
    margin = data.draw(st.integers(1, 3000))
    to = moved(there, here, margin)
    if to is not None:
        assert least <= to <= most
        assert moved(there, replace(there, last_value=to), margin) in {None, to}


def test_unused_one_is_moved_before_its_first_use() -> None:
    """Or what the source hands out first, just before it dies, would be handed out again."""
    assert moved(sequence(None), sequence(None), 100) == 101
    assert moved(sequence(None), sequence(101), 100) is None
    assert sequences.behind([sequence(5)], [], 100) == {}


def test_short_one_is_not_used_up_by_the_margin() -> None:
    small = sequence(90, most=100)
    assert moved(small, small, 1000) == 95
    assert moved(small, sequence(93, most=100), 1000) is None
    full = sequence(100, most=100)
    assert moved(full, full, 1000) is None


def test_cycle_goes_round() -> None:
    there = Sequence("public", "round", 98, 1, 100, 1, 1, True)
    assert moved(there, there, 10) == 8
    assert moved(there, replace(there, last_value=8), 10) is None
    assert sequences.lead(there, replace(there, last_value=90)) == -8


def test_what_a_verification_says() -> None:
    there = sequence(500)
    assert sequences.late([there], [sequence(500)]) == []
    assert "behind 500 on the source" in sequences.late([there], [sequence(499)])[0]
    assert "stands at None" in sequences.late([there], [sequence(None)])[0]
    assert sequences.late([sequence(None)], [sequence(None)]) == []
    unreadable = replace(sequence(None), readable=False)
    assert sequences.late([unreadable], [there]) == [
        "sequence public.jobs_id_seq: can not be read on the source"
    ]
