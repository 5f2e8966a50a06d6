import itertools

import numpy as np
import pytest
import soundfile
import soxr

from ser.corpora import ravdess
from ser.corpora.synthetic import waveform
from ser.data import audio, duplicates
from ser.data.duplicates import correlate, find_duplicates, fingerprint

RATE = 16_000
CUT = RATE // 20  # 50 ms


def spoken(emotion="01", statement="01", repetition="01", actor="01"):
    """A synthetic clip with 0.3 s of room noise before it and 0.5 s after."""
    voice = waveform(emotion, "01", statement, repetition, actor) * 32767
    samples = np.concatenate([np.zeros(RATE * 3 // 10), voice, np.zeros(RATE // 2)])
    noise = np.random.default_rng([int(code) for code in (emotion, statement, repetition, actor)])
    return (samples + 10 * noise.normal(size=len(samples))).astype(np.int16)


@pytest.fixture(scope="module")
def takes():
    """Two takes of each of two sentences, spoken in three emotions by two speakers."""
    codes = itertools.product(("01", "04", "05"), ("01", "02"), ("01", "02"), ("01", "02"))
    return [spoken(*code) for code in codes]


def through(file_format, subtype, samples, folder, rate=RATE):
    """What is decoded of the clip once it was written in another format, or at another rate."""
    if file_format not in soundfile.available_formats():
        pytest.skip(f"libsndfile {soundfile.__libsndfile_version__} cannot write {file_format}")
    path = folder / f"copy.{file_format.lower()}"
    resampled = soxr.resample(samples / 32768, RATE, rate)
    soundfile.write(path, resampled, rate, format=file_format, subtype=subtype)
    return audio.load(path).samples


def louder(decibels, samples):
    return np.rint(samples * 10 ** (decibels / 20)).astype(np.int16)


def without_silence(samples):
    """The clip from the first to the last sample above 5 % of its peak."""
    loud = np.flatnonzero(np.abs(samples.astype(np.int32)) > 0.05 * np.abs(samples.astype(np.int32)).max())
    return samples[loud[0] : loud[-1] + 1]


MANIPULATIONS = {
    "no change": lambda samples, folder: samples.copy(),
    "gain": lambda samples, folder: louder(-12, samples),
    "polarity": lambda samples, folder: -samples,
    "WAV": lambda samples, folder: through("WAV", "PCM_16", samples, folder),
    "FLAC": lambda samples, folder: through("FLAC", "PCM_16", samples, folder),
    "OGG": lambda samples, folder: through("OGG", "VORBIS", samples, folder),
    "MP3": lambda samples, folder: through("MP3", "MPEG_LAYER_III", samples, folder),
    "OGG at 48 kHz": lambda samples, folder: through("OGG", "VORBIS", samples, folder, 48_000),
    "44.1 kHz": lambda samples, folder: through("WAV", "PCM_16", samples, folder, 44_100),
    "telephone": lambda samples, folder: through("WAV", "ULAW", samples, folder, 8_000),
    "start cut": lambda samples, folder: samples[CUT:],
    "end cut": lambda samples, folder: samples[:-CUT],
    "silence removed": lambda samples, folder: without_silence(samples),
    "silence added": lambda samples, folder: np.pad(samples, (RATE, RATE // 3)),
    "gain, cut, OGG": lambda samples, folder: through("OGG", "VORBIS", louder(-12, samples[CUT:]), folder),
    "silence removed, cut, gain, OGG": lambda samples, folder: through(
        "OGG", "VORBIS", louder(-12, without_silence(samples)[CUT:-CUT]), folder
    ),
}
manipulated = pytest.mark.parametrize("manipulate", MANIPULATIONS.values(), ids=MANIPULATIONS.keys())


def pairs(clips):
    return [(found.first, found.second) for found in find_duplicates(clips)]


@manipulated
def test_a_copy_is_found_among_other_takes(manipulate, takes, tmp_path):
    assert pairs([*takes, manipulate(takes[5], tmp_path)]) == [(5, len(takes))]


@manipulated
def test_a_copy_agrees_with_its_original_far_above_the_threshold(manipulate, takes, tmp_path):
    (found,) = find_duplicates([takes[10], manipulate(takes[10], tmp_path)])
    assert (1 + duplicates.SAME) / 2 < found.correlation <= 1


def test_other_takes_of_a_sentence_by_the_speaker_are_no_copies(takes):
    assert find_duplicates(takes) == []


def test_other_takes_stay_far_below_both_thresholds(takes):
    couples = list(itertools.combinations(takes, 2))
    assert max(float(fingerprint(one) @ fingerprint(other)) for one, other in couples) < duplicates.CANDIDATE - 0.1
    assert max(correlate(one, other) for one, other in couples) < duplicates.SAME - 0.2


def test_clips_that_share_only_a_short_stretch_do_not_agree():
    noise = np.random.default_rng(0).normal(0, 3000, RATE * 9 // 5).astype(np.int16)
    assert correlate(noise[:RATE], noise[-RATE:]) < 0.5  # 0.2 s of 1 s


def test_equal_clips_agree_exactly(takes):
    assert [found.correlation for found in find_duplicates([takes[0], takes[0].copy()])] == [1.0]


def test_every_pair_of_several_copies_is_listed_once_in_order(takes):
    clips = [takes[1], takes[0], -takes[1], takes[1][CUT:]]
    assert pairs(clips) == [(0, 2), (0, 3), (2, 3)]


def test_copies_are_found_across_blocks_of_fingerprints(takes, monkeypatch):
    monkeypatch.setattr(duplicates, "ROWS_AT_A_TIME", 3)
    assert pairs([*takes[:7], -takes[1], louder(-6, takes[6])]) == [(1, 7), (6, 8)]


@pytest.mark.filterwarnings("error")  # a division by zero is one
@pytest.mark.parametrize(
    "samples",
    [
        np.zeros(16_000, np.int16),
        np.full(16_000, -32768, np.int16),
        np.full(16_001, 5000, np.int16),
        np.arange(16_000, dtype=np.int16) % 2,
        np.zeros(1, np.int16),
        np.full(1, 5000, np.int16),
        np.zeros(0, np.int16),
    ],
    ids=["silent", "constant", "constant and odd", "below -60 dB", "one silent sample", "one sample", "no sample"],
)
def test_clips_that_hold_nothing_are_no_copies(samples, takes):
    assert find_duplicates([samples, samples.copy(), samples[: len(samples) // 2], takes[0]]) == []


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("length", [2, 300, 2000, 7999])
def test_of_clips_below_half_a_second_only_equal_ones_are_copies(length, takes):
    brief = [clip[6000 : 6000 + length] for clip in takes[:4]]
    assert pairs([*brief, brief[2].copy(), louder(-6, brief[3])]) == [(2, 4)]


@pytest.mark.filterwarnings("error")
def test_clips_of_half_a_second_are_compared(takes):
    short = [clip[6000:14_000] for clip in takes]
    assert pairs([*short, louder(-6, short[3])]) == [(3, len(short))]


@pytest.mark.filterwarnings("error")
def test_clips_with_the_same_click_are_compared_without_a_warning():
    click = np.zeros(16_000, np.int16)
    click[100] = 32767
    assert pairs([click, click.copy()]) in ([], [(0, 1)])  # a flat spectrum has no ripples but those of rounding


def test_an_empty_corpus_has_no_copies():
    assert find_duplicates([]) == []


def test_an_excerpt_of_less_than_half_the_sound_is_no_copy(takes):
    assert find_duplicates([takes[0], takes[0][: len(takes[0]) * 2 // 5]]) == []


def test_the_fingerprint_has_length_one_and_no_gain(takes):
    one, quieter = fingerprint(takes[0]), fingerprint(louder(-12, takes[0]))
    assert one.shape == (1450,)
    assert np.linalg.norm(one) == pytest.approx(1, abs=1e-5)
    assert float(one @ quieter) > 0.95


def test_the_fingerprint_is_that_of_the_whole_clip_and_not_of_a_piece():
    """Laying the clip over itself gives what the transform of the whole has at multiples of 2 Hz."""
    clip = spoken()[:24_000]
    spectrum = np.abs(np.fft.rfft(clip - clip.mean()))  # 1.5 s: a value each 2/3 Hz
    ripples = duplicates.subtract_trend(np.sqrt(spectrum[150:4500:3]))
    assert np.allclose(fingerprint(clip), ripples / np.linalg.norm(ripples), atol=1e-5)


@pytest.fixture(scope="module")
def corpus(whole_ravdess):
    """Paths and clips of the whole real corpus."""
    paths = [recording.path for recording in ravdess.scan(whole_ravdess).recordings]
    return paths, [audio.load(whole_ravdess / path).samples for path in paths]


def test_the_real_corpus_holds_one_pair(corpus):
    paths, clips = corpus
    assert [(paths[first], paths[second]) for first, second in pairs(clips)] == [
        ("Actor_07/03-01-03-01-02-01-07.wav", "Actor_07/03-01-03-01-02-02-07.wav")
    ]


def test_copies_of_real_clips_are_found_among_the_whole_corpus(corpus, tmp_path):
    paths, clips = corpus
    names = [name for name in MANIPULATIONS if name != "MP3"]  # which not every libsndfile writes
    chosen = range(0, len(clips), 30)
    planted = [MANIPULATIONS[names[index // 30 % len(names)]](clips[index], tmp_path) for index in chosen]
    known = paths.index("Actor_07/03-01-03-01-02-01-07.wav")
    assert known not in chosen
    assert known + 1 not in chosen
    expected = [(index, len(clips) + number) for number, index in enumerate(chosen)]
    assert pairs([*clips, *planted]) == sorted([*expected, (known, known + 1)])
