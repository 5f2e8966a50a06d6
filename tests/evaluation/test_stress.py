import numpy as np
import pytest

from ser.data.manifest import Utterance
from ser.evaluation.predictions import SplitPredictions
from ser.evaluation.stress import CLEAN, CONDITIONS, degrade, predict_stressed, seed_of, tabulate

RATE = 16000
NOISES = {20: "noise at 20 dB", 10: "noise at 10 dB", 0: "noise at 0 dB"}
ROWS = [Utterance(path=f"a/{number}.wav", emotion=("calm", "sad")[number % 2], speaker="a") for number in range(4)]


def clip(seconds=1.0, frequencies=(220, 1000, 6000), level=0.1):
    time = np.arange(int(RATE * seconds)) / RATE
    return np.rint(32768 * level * sum(np.sin(2 * np.pi * f * time) for f in frequencies)).astype(np.int16)


def power(samples):
    return float((samples.astype(np.float64) ** 2).mean())


def level_at(samples, frequency):
    """Magnitude of the spectrum at a frequency."""
    return abs(np.fft.rfft(samples)[round(frequency * len(samples) / RATE)])


@pytest.mark.parametrize("name", CONDITIONS)
@pytest.mark.parametrize("samples", [400, 16001])
def test_a_condition_keeps_the_length_and_is_the_same_every_time(name, samples):
    one = clip(2)[:samples]
    degraded = degrade(one, CONDITIONS[name], seed=5)
    assert (degraded.dtype, degraded.shape) == (np.int16, one.shape)
    assert (degraded != one).any()
    assert (degrade(one, CONDITIONS[name], seed=5) == degraded).all()


@pytest.mark.parametrize(("ratio", "name"), NOISES.items())
def test_the_noise_has_the_named_ratio_to_the_clip(ratio, name):
    one = clip()
    noise = degrade(one, CONDITIONS[name], seed=5).astype(np.float64) - one
    assert 10 * np.log10(power(one) / power(noise)) == pytest.approx(ratio, abs=0.05)


def test_the_noise_is_pink_and_the_same_at_each_ratio():
    one = clip(4)
    noises = [degrade(one, CONDITIONS[name], seed=5).astype(np.float64) - one for name in NOISES.values()]
    assert np.corrcoef(noises)[np.triu_indices(3)].min() > 0.999
    spectrum = np.abs(np.fft.rfft(noises[2])) ** 2
    low, high = (spectrum[4 * start : 8 * start].mean() for start in (200, 1600))
    assert low / high == pytest.approx(8, rel=0.2)  # 1/f: three octaves higher, an eighth of the density


def test_the_name_of_a_clip_decides_its_noise_wherever_it_is_stored():
    moved = Utterance(path="elsewhere/1.flac", emotion="sad", speaker="a")
    assert seed_of(ROWS[1]) == seed_of(moved)
    assert len({seed_of(row) for row in ROWS}) == len(ROWS)
    one = clip()
    first, second = (degrade(one, CONDITIONS["noise at 10 dB"], seed_of(row)) for row in ROWS[:2])
    assert (first != second).any()


def test_a_telephone_passes_its_band_alone():
    one = clip(frequencies=(100, 1000, 6000))
    received = degrade(one, CONDITIONS["telephone"], seed=5)
    assert level_at(received, 1000) == pytest.approx(level_at(one, 1000), rel=0.05)
    assert level_at(received, 100) < 0.02 * level_at(one, 100)
    assert level_at(received, 6000) < 0.02 * level_at(one, 6000)


def test_a_room_sounds_on_and_has_no_delay():
    one = np.zeros(RATE, np.int16)
    one[1000] = 20000
    reverberant = degrade(one, CONDITIONS["room"], seed=5).astype(np.float64)
    assert np.abs(reverberant).argmax() == 1000
    assert not reverberant[:900].any()
    energy = np.cumsum(reverberant[::-1] ** 2)[::-1]
    decay = 10 * np.log10(energy[1001 + 1600] / energy[1001 + 4800])
    assert decay == pytest.approx(60 * 0.2 / 0.6, abs=1.5)  # 60 dB in 0.6 s


def test_quieter_is_30_decibels_less_in_16_bits():
    one = clip(level=0.2)
    assert 10 * np.log10(power(one) / power(degrade(one, CONDITIONS["quieter by 30 dB"], 5))) == pytest.approx(
        30, abs=0.1
    )


def test_a_loud_clip_is_scaled_down_rather_than_clipped():
    one = clip(level=0.3, frequencies=(220, 230, 250))
    noisy = degrade(one, CONDITIONS["noise at 0 dB"], seed=5)
    assert np.abs(noisy.astype(int)).max() == 32767
    assert (np.abs(noisy.astype(int)) == 32767).sum() == 1


def test_silence_stays_silence():
    for condition in CONDITIONS.values():
        silence = degrade(np.zeros(4000, np.int16), condition, seed=5)
        assert np.abs(silence).max() <= 3  # mu-law has no level at 0: its smallest ones are 2.8 of 32768


def test_each_condition_is_predicted_for_each_clip_in_order():
    clips = [clip(0.1, level=0.02 * (1 + number)) for number in range(4)]
    predicted = predict_stressed(lambda some: np.array([[power(one), 0.0] for one in some]), clips, ROWS)
    assert list(predicted) == list(CONDITIONS)
    expected = [power(degrade(one, CONDITIONS["room"], seed_of(row))) for one, row in zip(clips, ROWS, strict=True)]
    assert predicted["room"][:, 0].tolist() == expected


def test_the_table_compares_each_condition_with_the_clean_clips():
    right = np.array([[1.0, 0.0], [0.0, 1.0]] * 2)
    half = np.array([[1.0, 0.0]] * 4)
    clean = SplitPredictions(ROWS, ("calm", "sad"), right)
    rows = tabulate(clean, {"room": half}, units=["a", "b", "c", "d"])
    assert [row.condition for row in rows] == [CLEAN, "room"]
    assert [row.unweighted_average_recall for row in rows] == [1.0, 0.5]
    assert [row.change for row in rows] == [0.0, -0.5]
    assert [row.clips for row in rows] == [4, 4]
    assert rows[1].interval_low < 0.5 < rows[1].interval_high
