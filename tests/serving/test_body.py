import asyncio

import pytest
from starlette.requests import ClientDisconnect, Request

from ser.serving import body as body_module
from ser.serving.body import Body
from ser.serving.memory import MemoryBudget
from ser.serving.responses import Refused


def arriving(*messages):
    """What a server hands out, message by message; after the last one nothing comes any more."""
    waiting = [{"type": "http.request", "body": b"", "more_body": False, **message} for message in messages]

    async def receive():
        return waiting.pop(0) if waiting else await asyncio.Event().wait()

    return receive, waiting


def pieces(*sizes):
    return [{"body": b"x" * size, "more_body": place < len(sizes) - 1} for place, size in enumerate(sizes)]


def read(receive, max_megabytes=1, timeout=60.0, budget=None, then=None):
    """The whole body; what `then` makes of the body object in the end."""
    budget = budget or MemoryBudget(10_000_000)

    async def whole():
        body = Body(Request({"type": "http"}, receive), max_megabytes, timeout)
        try:
            with budget.holding(body.evict) as holding:
                return await body.whole(holding)
        finally:
            if then is not None:
                await then(body)

    return asyncio.run(whole())


def test_pieces_become_the_whole_and_the_budget_is_given_back():
    budget = MemoryBudget(7)
    assert read(arriving(*pieces(3, 0, 4))[0], budget=budget) == b"xxxxxxx"
    assert budget.used == 0


def test_reading_ends_where_the_limit_is_passed_whatever_was_announced():
    receive, waiting = arriving(*pieces(600_000, 400_000, 1, 1, 1))

    async def then(body):
        assert len(waiting) == 2
        await body.discard()
        assert waiting == []

    with pytest.raises(Refused, match="larger than max_megabytes=1") as refused:
        read(receive, then=then)
    assert refused.value.status == 413


def test_a_body_that_arrives_too_slowly_is_refused():
    receive, _ = arriving({"body": b"x", "more_body": True})
    with pytest.raises(Refused, match="did not arrive") as refused:
        read(receive, timeout=0.01)
    assert refused.value.status == 408


def test_a_client_that_leaves_has_sent_nothing():
    receive, _ = arriving({"body": b"x", "more_body": True}, {"type": "http.disconnect"})
    with pytest.raises(ClientDisconnect):
        read(receive)


def test_the_rest_of_a_refused_body_is_waited_for_no_longer_than_a_moment(monkeypatch):
    monkeypatch.setattr(body_module, "DISCARD_SECONDS", 0.01)
    receive, _ = arriving(*pieces(2_000_000, 1)[:1], {"body": b"x", "more_body": True})
    with pytest.raises(Refused):
        read(receive, then=Body.discard)


def test_a_sender_that_stalls_gives_way_to_one_that_sends():
    budget = MemoryBudget(10)

    async def both():
        stalled = Body(Request({"type": "http"}, arriving({"body": b"x" * 8, "more_body": True})[0]), 1, 60)
        active = Body(Request({"type": "http"}, arriving(*pieces(3, 3))[0]), 1, 60)

        async def whole(body):
            with budget.holding(body.evict) as holding:
                return await body.whole(holding)

        first = asyncio.create_task(whole(stalled))
        while not budget.used:
            await asyncio.sleep(0)
        return await asyncio.gather(first, whole(active), return_exceptions=True)

    refused, content = asyncio.run(both())
    assert refused.status == 503
    assert "memory" in str(refused)
    assert content == b"x" * 6
    assert budget.used == 0
