import pytest

from ser.serving.memory import Holding, MemoryBudget, reserved, written
from ser.serving.responses import Refused


def never():
    raise AssertionError("it may not give way")


def test_no_more_bytes_are_held_than_the_limit_and_all_are_given_back():
    budget = MemoryBudget(10)
    with budget.holding(never) as holding:
        holding.add(10)
        with pytest.raises(Refused, match="memory for recordings is full") as refused:
            holding.add(1)
        assert (refused.value.status, refused.value.headers) == (503, {"Retry-After": "5"})
        assert budget.used == 10
    assert budget.used == 0


def test_whoever_has_been_silent_the_longest_gives_way_first():
    budget, gone = MemoryBudget(9), []
    holdings = {name: Holding(budget, lambda name=name: gone.append(name)) for name in "abc"}
    for name in "abc":
        holdings[name].add(3)
    budget.evictable.move_to_end(holdings["a"])  # it has just sent something
    Holding(budget, never).add(3)
    assert gone == ["b"]
    assert budget.used == 9


def test_what_the_server_is_at_work_on_never_gives_way_but_what_came_later_does():
    budget, gone = MemoryBudget(9), []
    pinned, other = Holding(budget, never), Holding(budget, lambda: gone.append("other"))
    pinned.add(6)
    pinned.pin()
    other.add(3)
    with pytest.raises(Refused):
        Holding(budget, never).add(4)
    assert gone == ["other"]
    assert budget.used == 6


def test_an_answer_takes_the_place_of_its_body():
    budget = MemoryBudget(10)
    with budget.holding(never) as holding:
        holding.add(10)
        holding.pin()
        holding.resize(4)
        assert budget.used == 4


def test_reserved_room_grows_in_its_place_and_is_handed_out_without_a_copy():
    room = reserved(1)
    room.write(b"ab")
    content = written(room)
    room[0:1] = b"x"
    assert bytes(content) == b"xb"


def test_room_that_the_system_does_not_have_is_refused():
    with pytest.raises(Refused, match="there is no memory for"):
        reserved(1e11)
