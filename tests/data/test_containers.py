import io
import os
import struct
from contextlib import suppress

import numpy as np
import pytest
import soundfile
from conftest import tone
from helpers.encoded_audio import KINDS, encoded

from ser.data import audio, mpg123
from ser.data.containers import UnreadableAudio
from ser.data.packets import frame_size

"""Container and subtype of libsndfile, by a name of ours."""


def decoded(content):
    return audio.load_short(content, 30.0)


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


def test_a_cut_file_of_every_container_is_refused(kind):
    whole = encoded(kind)
    for kept in (0.99, 0.9, 0.5, 0.3):
        with pytest.raises(UnreadableAudio, match=r"truncated|cut short|no samples"):
            decoded(whole[: int(kept * len(whole))])


def test_two_recordings_in_one_file_are_refused_and_not_read_to_the_half(kind):
    with pytest.raises(UnreadableAudio, match="several recordings"):
        decoded(encoded(kind) * 2)


@pytest.mark.parametrize("rest", [bytes(1000), b"no audio " * 30, b"TAG" + bytes(125)], ids=["zeros", "text", "id3v1"])
def test_what_follows_a_recording_is_no_sound(kind, rest):
    whole = encoded(kind)
    assert np.array_equal(decoded(whole + rest), decoded(whole))


def test_a_tag_before_a_recording_is_passed_over():
    whole = encoded("mp3")
    tag = b"ID3\4\0\0\0\0\1\0" + bytes(128)
    assert np.array_equal(decoded(tag + whole), decoded(whole))


PLACEHOLDERS = [0, 0x7FFFF000, 0x7FFFFFFF, 0x7FFFFFFF - 36, 0x80000000, 0x7FFFFF00, 2_000_000_000, 0xFFFFFFFF - 36]
PLACEHOLDERS += [0xFFFFFFFF, 0x7F000008]


@pytest.mark.parametrize("size", PLACEHOLDERS, ids=hex)
@pytest.mark.parametrize(("kind", "form"), [("wav", "<I"), ("wavex", "<I"), ("aiff", ">I")])
def test_a_whole_file_behind_the_placeholder_of_a_pipe_is_read(size, kind, form):
    whole = encoded(kind)
    at = whole.index(b"SSND" if kind == "aiff" else b"data") + 4
    sizes = struct.pack(form, min(size + at - 4, 0xFFFFFFFF)), struct.pack(form, size)
    content = whole[:4] + sizes[0] + whole[8:at] + sizes[1] + whole[at + 4 :]
    assert np.array_equal(decoded(content), decoded(whole))


@pytest.mark.parametrize(("kind", "at", "size"), [("au", 8, b"\xff" * 4), ("caf", None, b"\xff" * 8)])
def test_a_length_that_is_unknown_by_the_rules_of_the_container_is_read(kind, at, size):
    whole = encoded(kind)
    at = at or whole.index(b"data") + 4
    assert np.array_equal(decoded(whole[:at] + size + whole[at + len(size) :]), decoded(whole))


def test_a_placeholder_does_not_hide_a_second_recording():
    content = bytearray(encoded("wav"))
    content[40:44] = b"\xff" * 4
    with pytest.raises(UnreadableAudio, match="several recordings"):
        decoded(bytes(content) * 2)


def test_an_empty_recording_with_a_chunk_behind_it_has_no_samples():
    content = encoded("wav", np.zeros(0)) + b"LIST" + struct.pack("<I", 400) + bytes(400)
    content = content[:4] + struct.pack("<I", len(content) - 8) + content[8:]
    with pytest.raises(UnreadableAudio, match="no samples"):
        decoded(content)


def test_an_mp3_without_a_table_of_its_length_is_read_to_its_end():
    """Its first frame is smaller than the others, from which libmpg123 guesses the length."""
    sound = np.random.default_rng(0).normal(0, 0.2, 5 * 16000)
    sound[:16000] = 0
    whole = encoded("mp3", sound)
    assert len(decoded(whole)) == 80000
    assert 80000 <= len(decoded(whole[frame_size(whole) :])) < 82000


@pytest.mark.parametrize("kind", ["ogg", "opus"])
def test_a_flipped_bit_of_an_ogg_file_is_seen_in_its_checksum(kind):
    content = bytearray(encoded(kind))
    content[-100] ^= 4
    with pytest.raises(UnreadableAudio, match="checksum"):
        decoded(bytes(content))


def test_a_container_whose_length_nobody_checks_is_refused_by_name():
    file = io.BytesIO()
    soundfile.write(file, tone(0.5), 16000, format="VOC", subtype="PCM_16")
    with pytest.raises(UnreadableAudio, match="it is no WAV, RF64"):
        decoded(file.getvalue())


def test_the_lines_of_libmpg123_stay_from_the_terminal(capfd):
    content = bytearray(encoded("mp3", np.random.default_rng(0).normal(0, 0.2, 16000)))
    for at in range(600, len(content), 97):
        content[at] ^= 255
    with suppress(UnreadableAudio):
        decoded(bytes(content))
    with mpg123.silence_mpg123():
        os.write(2, b"Note: Trying to resync...\nof another thread\n")
    assert capfd.readouterr().err == "of another thread\n"
