import asyncio

import pytest

from ser.serving.body import Body, Gone
from ser.serving.turns import Refused


def arriving(*messages):
    """What a server hands out, message by message; after the last one nothing comes any more."""
    waiting = [{"type": "http.request", "body": b"", "more_body": False, **message} for message in messages]

    async def receive():
        return waiting.pop(0) if waiting else await asyncio.Event().wait()

    return receive, waiting


def pieces(*sizes):
    return [{"body": b"x" * size, "more_body": place < len(sizes) - 1} for place, size in enumerate(sizes)]


def test_pieces_become_the_whole():
    receive, _ = arriving(*pieces(3, 0, 4))
    assert asyncio.run(Body(receive, 1, 60).whole()) == b"xxxxxxx"


def test_reading_ends_where_the_limit_is_passed_whatever_was_announced():
    receive, waiting = arriving(*pieces(600_000, 400_000, 1, 1, 1))
    body = Body(receive, 1, 60)
    with pytest.raises(Refused, match="larger than max_megabytes=1") as refused:
        asyncio.run(body.whole())
    assert refused.value.status == 413
    assert len(waiting) == 2
    asyncio.run(body.discard())
    assert waiting == []


def test_who_sends_too_slowly_is_told_so():
    receive, _ = arriving({"body": b"x", "more_body": True})
    with pytest.raises(Refused, match="did not arrive") as refused:
        asyncio.run(Body(receive, 1, 0.01).whole())
    assert refused.value.status == 408


def test_who_leaves_has_sent_nothing():
    receive, _ = arriving({"body": b"x", "more_body": True}, {"type": "http.disconnect"})
    with pytest.raises(Gone):
        asyncio.run(Body(receive, 1, 60).whole())


def test_the_rest_is_waited_for_no_longer_than_the_body_itself():
    receive, _ = arriving({"body": b"x", "more_body": True})
    asyncio.run(Body(receive, 1, 0.01).discard())
