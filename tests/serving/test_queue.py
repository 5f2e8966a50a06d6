import asyncio
from contextlib import suppress
from threading import Barrier, BrokenBarrierError, Event

import pytest

from ser.errors import UserError
from ser.serving.queue import RequestQueue
from ser.serving.responses import Refused


def test_the_queue_has_as_many_places_as_asked_for_and_gives_them_back():
    queue = RequestQueue(queue=1)
    with queue.slot():
        with queue.slot():
            queue.seconds = 2.5
            with pytest.raises(Refused, match="2 requests are waiting: ask again in 5 s") as refused, queue.slot():
                pass
            assert (refused.value.status, refused.value.headers) == (503, {"Retry-After": "5"})
        with queue.slot():
            pass
    assert queue.taken == 0


def test_one_answer_is_computed_at_a_time():
    queue, meeting, met = RequestQueue(queue=9), Barrier(2), []

    def work():
        with suppress(BrokenBarrierError):  # nobody else came
            meeting.wait(timeout=0.05)
            met.append(True)
        meeting.reset()

    async def all_of_them():
        await asyncio.gather(*(queue.submit(work) for _ in range(4)))

    asyncio.run(all_of_them())
    assert met == []


def test_a_mistake_in_one_answer_is_not_that_of_the_next():
    queue = RequestQueue(queue=9)

    async def all_of_them():
        return await asyncio.gather(*(queue.submit(lambda by=by: 1 / by) for by in (0, 1)), return_exceptions=True)

    mistake, answer = asyncio.run(all_of_them())
    assert isinstance(mistake, ZeroDivisionError)
    assert answer == 1


def test_who_leaves_before_its_turn_costs_no_work():
    queue, begun, go_on, done = RequestQueue(queue=9), Event(), Event(), []

    def slow():
        begun.set()
        go_on.wait()

    async def one_leaves():
        first = asyncio.create_task(queue.submit(slow))
        await asyncio.to_thread(begun.wait)
        second = asyncio.create_task(queue.submit(lambda: done.append("left")))
        third = asyncio.create_task(queue.submit(lambda: done.append("stayed")))
        await asyncio.sleep(0)  # both are in the queue
        second.cancel()
        await asyncio.sleep(0)
        go_on.set()
        await asyncio.gather(first, third)

    asyncio.run(one_leaves())
    assert done == ["stayed"]


def test_predictions_wait_until_the_network_is_loaded():
    queue, go_on, done = RequestQueue(queue=9), Event(), []

    def load():
        go_on.wait()
        done.append("loaded")

    async def ask():
        queue.load(load, failed=lambda: done.append("failed"))
        asked = asyncio.create_task(queue.submit(lambda: done.append("predicted")))
        await asyncio.sleep(0)  # it is in the queue
        assert not queue.is_loaded
        go_on.set()
        await asked

    asyncio.run(ask())
    assert done == ["loaded", "predicted"]
    assert queue.is_loaded
    queue.close()


def test_where_loading_fails_waiting_requests_are_refused_and_closing_raises_the_error():
    queue, go_on, failed = RequestQueue(queue=9), Event(), []

    def load():
        go_on.wait()
        raise UserError("broken")

    async def ask():
        queue.load(load, failed=lambda: failed.append(True))
        asked = asyncio.create_task(queue.submit(lambda: failed.append("predicted")))
        await asyncio.sleep(0)
        go_on.set()
        await asked

    with pytest.raises(Refused, match="the server is stopping"):
        asyncio.run(ask())
    assert failed == [True]
    assert not queue.is_loaded
    with pytest.raises(UserError, match="broken"):
        queue.close()


def test_closing_while_the_network_is_loaded_waits_for_nothing():
    queue, go_on = RequestQueue(queue=9), Event()
    queue.load(go_on.wait, failed=lambda: None)
    queue.close()
    go_on.set()
