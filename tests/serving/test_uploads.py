import asyncio
import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from starlette.requests import Request

from ser.serving.memory import MemoryBudget
from ser.serving.responses import Refused
from ser.serving.uploads import PIECE, Uploads

FOLDER = Path("/never/there")


def uploads(limit=10_000_000, timeout=60):
    return Uploads(FOLDER, MemoryBudget(limit), 1, timeout)


def form(content, name="voice.wav", field="files"):
    head = f'--x\r\nContent-Disposition: form-data; name="{field}"; filename="{name}"\r\n\r\n'
    return head.encode() + content + b"\r\n"


def sent(kept, body, kind="multipart/form-data; boundary=x", pieces=1):
    """Status and JSON that a form gets."""
    size = -(-len(body) // pieces)
    waiting = [body[start : start + size] for start in range(0, len(body), size)] or [b""]

    async def receive():
        return {"type": "http.request", "body": waiting.pop(0), "more_body": bool(waiting)}

    async def answered():
        response = await kept.receive(Request({"type": "http", "headers": [(b"content-type", kind.encode())]}, receive))
        return response.status_code, json.loads(response.body)

    return asyncio.run(answered())


def played(kept, path):
    async def whole():
        response = await kept.play(SimpleNamespace(path_params={"path": path}))
        if response.status_code != 200:
            return response.status_code, b"", ""
        content = b"".join([piece async for piece in response.body_iterator])
        return 200, content, response.media_type

    return asyncio.run(whole())


@pytest.mark.parametrize("pieces", [1, 7])
def test_an_upload_is_kept_in_memory_as_it_was_sent_and_can_be_played(pieces):
    kept, content = uploads(), bytes(range(256)) * 600
    status, [path] = sent(kept, form(content) + b"--x--\r\n", pieces=pieces)
    assert status == 200
    assert Path(path).is_relative_to(FOLDER)
    with kept.pinned(path) as found:
        assert found == content
    status, found, kind = played(kept, path)
    assert (status, found) == (200, content)
    assert kind.startswith("audio/")
    assert not FOLDER.exists()


@pytest.mark.parametrize(
    ("body", "kind", "why"),
    [
        (form(b"a") + form(b"b") + b"--x--", "multipart/form-data; boundary=x", "Too many files"),
        (form(b"a", field="other") + b"--x--", "multipart/form-data; boundary=x", "no field 'files'"),
        (
            b'--x\r\nContent-Disposition: form-data; name="files"\r\n\r\na\r\n--x--',
            "multipart/form-data; boundary=x",
            "",
        ),
        (form(b"cut off")[:-5], "multipart/form-data; boundary=x", "no form of one file"),
        (b"--x--", "multipart/form-data", "Missing boundary"),
        (b"a", "text/plain", "an upload is a form"),
    ],
)
def test_what_is_no_form_of_one_file_is_refused(body, kind, why):
    kept = uploads()
    status, answer = sent(kept, body, kind)
    assert status == 400
    assert why in answer["error"]
    assert kept.budget.used == 0


def test_a_form_larger_than_the_limit_is_refused():
    kept = uploads()
    assert sent(kept, form(b"x" * 1_000_000) + b"--x--")[0] == 200
    assert sent(kept, form(b"x" * 1_100_001))[0] == 413


@pytest.mark.parametrize("path", ["/etc/passwd", f"{FOLDER}/gone.wav", "\0", "x" * 5000, ""])
def test_no_other_path_is_known(path):
    kept = uploads()
    with pytest.raises(Refused) as refused, kept.pinned(path):
        pass
    assert refused.value.status == 404
    assert played(kept, path)[0] == 404


@pytest.mark.parametrize("name", ["page.html", "picture.svg", "script.js", "nothing", "../../x.wav/..", "a.wav\\u0000"])
def test_only_audio_is_named_as_what_it_is_and_nothing_of_the_name_but_its_suffix_is_kept(name):
    kept = uploads()
    _, [path] = sent(kept, form(b"a", name) + b"--x--")
    assert Path(path).stem == "voice"
    assert played(kept, path)[2] == "application/octet-stream"


def test_an_upload_gives_way_where_memory_is_short_unless_its_answer_is_awaited():
    kept = uploads(limit=2 * (PIECE + 1000) + 1200)

    async def scenario():
        first, second = kept.keep("a.wav", b"x" * 1000), kept.keep("b.wav", b"x" * 1000)
        with kept.pinned(first):
            third = kept.keep("c.wav", b"x" * 1000)
            assert list(kept.kept) == [first, third]
            assert second not in kept.kept
        kept.keep("d.wav", b"x" * 1000)
        kept.keep("e.wav", b"x" * 1000)
        assert first not in kept.kept

    asyncio.run(scenario())
    assert kept.budget.used <= kept.budget.limit


def test_an_upload_is_forgotten_when_its_time_is_over_but_not_before_its_answer():
    kept = uploads(timeout=0)

    async def scenario():
        path = kept.keep("a.wav", b"x")
        with kept.pinned(path):
            await asyncio.sleep(0.01)
            assert path in kept.kept
        while path in kept.kept:
            await asyncio.sleep(0)

    asyncio.run(scenario())
    assert kept.budget.used == 0


def test_a_reader_that_is_slow_keeps_nothing_in_memory():
    kept = uploads()

    async def scenario():
        path = kept.keep("a.wav", b"x" * (2 * PIECE))
        response = await kept.play(SimpleNamespace(path_params={"path": path}))
        pieces = response.body_iterator
        assert len(await anext(pieces)) == PIECE
        kept.forget(path)
        with pytest.raises(Refused):
            await anext(pieces)

    asyncio.run(scenario())
