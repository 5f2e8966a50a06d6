"""Corpora whose file names hold everything, on trees of their published names."""

import importlib
from pathlib import Path

import pytest
import soundfile
from conftest import composed, tone
from helpers.trees import plant

from ser.config import Audit, Corpus
from ser.corpora import find_facts, list_corpora, recorded_facts
from ser.corpora.facts import Facts
from ser.corpora.scanning import scan
from ser.data.preparation import prepare
from ser.errors import UserError

EXAMPLES = [
    # corpus, a published name, and fields that follow from it
    ("crema_d", "AudioWAV/1001_IEO_ANG_HI.wav", {"emotion": "angry", "speaker": "1001", "intensity": "high"}),
    ("crema_d", "1091_WSI_NEU_XX.wav", {"emotion": "neutral", "intensity": "", "statement": "WSI", "gender": ""}),
    ("emodb", "wav/03a01Wa.wav", {"emotion": "angry", "speaker": "03", "gender": "male", "statement": "a01"}),
    ("emodb", "16b10Tb.wav", {"emotion": "sad", "speaker": "16", "gender": "female"}),
    ("urdu", "Angry/SM1_F19_A019.wav", {"emotion": "angry", "speaker": "SM1", "gender": "male"}),
    ("urdu", "SF10_F2_S02.wav", {"emotion": "sad", "speaker": "SF10", "gender": "female"}),
    ("savee", "AudioData/DC/a01.wav", {"emotion": "angry", "speaker": "DC", "gender": "male"}),
    ("savee", "DC/sa01.wav", {"emotion": "sad", "repetition": "01"}),
    ("savee", "KL/su15.wav", {"emotion": "surprised", "speaker": "KL"}),
    ("savee", "ALL/JE_sa02.wav", {"emotion": "sad", "speaker": "JE", "name": "sa02"}),
    ("tess", "OAF_Fear/OAF_food_fear.wav", {"emotion": "fearful", "speaker": "OAF", "statement": "food"}),
    ("tess", "YAF_pleasant_surprised/YAF_back_ps.wav", {"emotion": "surprised", "speaker": "YAF", "gender": "female"}),
    ("tess", "OAF_neutral/OA_bite_neutral.wav", {"emotion": "neutral", "speaker": "OAF"}),
    ("emovo", "f2/gio-f2-b2.wav", {"emotion": "happy", "speaker": "f2", "gender": "female", "statement": "b2"}),
    ("emovo", "tri-m1-n5.wav", {"emotion": "sad", "speaker": "m1", "gender": "male"}),
    ("subesco", "F_10_FAHMEE_S_6_FEAR_5.wav", {"emotion": "fearful", "speaker": "F10", "gender": "female"}),
    ("subesco", "M_10_X_S_10_SURPRISE_3].wav", {"emotion": "surprised", "speaker": "M10", "repetition": "3"}),
    ("esd", "ESD/0003/Neutral/0003_000350.wav", {"emotion": "neutral", "statement": "zh-350", "language": "zh"}),
    ("esd", "0011/Angry/train/0011_000351.wav", {"emotion": "angry", "split": "train", "language": "en"}),
    (
        "esd",
        "0014/Surprise/evaluation/0014_001750.wav",
        {"split": "validation", "gender": "male", "statement": "en-350"},
    ),
    ("esd", "0001_001050.wav", {"emotion": "happy", "split": "", "gender": "female"}),
    ("cafe", "Colère/Faible/01-C-1-1.wav", {"emotion": "angry", "intensity": "weak", "gender": "male"}),
    ("cafe", "Dégoût/Fort/12-D-2-6.wav", {"emotion": "disgust", "intensity": "strong", "gender": "female"}),
    ("jl", "JL(wav+txt)/male2_concerned_6b_1.wav", {"emotion": "concerned", "speaker": "male2", "statement": "6b"}),
    ("jl", "female1_angry_15a_2.wav", {"emotion": "angry", "gender": "female", "repetition": "2"}),
    ("aesdd", "anger/a03 (3).wav", {"emotion": "angry", "speaker": "3", "gender": "male", "statement": "3"}),
    ("aesdd", "fear/f20 (5)b.wav", {"emotion": "fearful", "speaker": "5", "repetition": "b"}),
    ("shemo", "male/M36S02.wav", {"emotion": "sad", "speaker": "M36", "gender": "male"}),
    ("shemo", "female/F31W01.wav", {"emotion": "surprised", "speaker": "F31", "gender": "female"}),
    ("vivae", "full_set/S10_fear_low_03.wav", {"emotion": "fearful", "speaker": "S10", "intensity": "low"}),
    ("asvp_esd", "Audio/actor_36/03-02-04-01-06-36-02-02-01-39.wav", {"emotion": "sad", "speaker": "36"}),
    ("asvp_esd", "Bonus/03-02-13-02-06-120-02-02.wav", {"emotion": "breath", "speaker": "120"}),
    ("asvp_esd", "03-02-03-01-01-01-01-01-01-01-02-77.wav", {"emotion": "happy", "intensity": "normal"}),
    ("vocalsound", "audio_16k/f0003_0_cough.wav", {"emotion": "cough", "speaker": "f0003", "gender": "female"}),
    ("vocalsound", "m3310_1_throatclearing.wav", {"emotion": "throatclearing", "repetition": "1", "split": ""}),
]


@pytest.mark.parametrize(
    ("name", "path", "fields"), EXAMPLES, ids=lambda value: None if isinstance(value, dict) else value
)
def test_a_published_name_is_read(name, path, fields, tmp_path):
    [row] = scan(plant(tmp_path, path), Corpus(name)).recordings
    assert {key: getattr(row, key) for key in fields} == fields


PUBLISHED = {
    "savee": [
        f"{speaker}/{emotion}{number:02d}.wav"
        for speaker in ("DC", "JE", "JK", "KL")
        for emotion in ("a", "d", "f", "h", "n", "sa", "su")
        for number in range(1, 31 if emotion == "n" else 16)
    ],
    "tess": [
        f"{speaker}_{emotion}/{speaker}_{chr(97 + word // 26)}{chr(97 + word % 26)}_{emotion}.wav"
        for speaker in ("OAF", "YAF")
        for emotion in ("angry", "disgust", "fear", "happy", "neutral", "ps", "sad")
        for word in range(200)
    ],
    "emovo": [
        f"{emotion}-{speaker}-{sentence}.wav"
        for emotion in ("dis", "gio", "neu", "pau", "rab", "sor", "tri")
        for speaker in ("f1", "f2", "f3", "m1", "m2", "m3")
        for sentence in ("b1", "b2", "b3", "d1", "d2", "l1", "l2", "l3", "l4", "n1", "n2", "n3", "n4", "n5")
    ],
    "cafe": [
        f"{actor:02d}-{emotion}-{intensity}-{sentence}.wav"
        for actor in range(1, 13)
        for emotion in "CDJNPST"
        for intensity in ("1" if emotion == "N" else "12")
        for sentence in range(1, 7)
    ],
    "jl": [
        f"{speaker}_{emotion}_{sentence}{half}_{repetition}.wav"
        for speaker in ("female1", "female2", "male1", "male2")
        for emotion in importlib.import_module("ser.corpora.jl").NAMES.codes["emotion"]
        for sentence in range(1, 16)
        for half in "ab"
        for repetition in (1, 2)
    ],
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_whole_corpus_has_the_published_counts_and_a_lost_file_is_reported(name, tmp_path):
    names = PUBLISHED[name]
    plant(tmp_path, *names)
    assert not scan(tmp_path, Corpus(name)).warnings
    (tmp_path / names[0]).unlink()
    [warning] = scan(tmp_path, Corpus(name)).warnings
    assert f"{len(names) - 1} recordings, where {len(names)} were published" in warning


IMPOSSIBLE = [
    ("crema_d", "1092_IEO_ANG_HI.wav", "speaker 1092"),
    ("crema_d", "1001_IEO_BOR_HI.wav", "emotion BOR"),
    ("emodb", "04a01Wa.wav", "speaker 04"),
    ("emodb", "03a03Wa.wav", "statement a03"),
    ("urdu", "SM1_F19_B019.wav", "emotion B"),
    ("savee", "DC/x01.wav", "emotion x"),
    ("tess", "OAF_back_calm.wav", "emotion calm"),
    ("tess", "ZAF_back_sad.wav", "speaker ZAF"),
    ("emovo", "gio-f4-b2.wav", "speaker f4"),
    ("emovo", "gio-f2-d3.wav", "statement d3"),
    ("subesco", "F_11_X_S_6_FEAR_5.wav", "number 11"),
    ("esd", "0003/Angry/0003_000001.wav", "number 000001 is neutral, and the folder is Angry"),
    ("esd", "0003_001751.wav", "number 001751"),
    ("esd", "0021_000001.wav", "speaker 0021"),
    ("cafe", "01-N-2-1.wav", "neutral"),
    ("cafe", "13-C-1-1.wav", "speaker 13"),
    ("jl", "male3_sad_6b_1.wav", "speaker male3"),
    ("aesdd", "b03 (3).wav", "emotion b"),
    ("aesdd", "a03 (7).wav", "speaker 7"),
    ("shemo", "F32S02.wav", "speaker F32"),
    ("vivae", "S12_fear_low_03.wav", "speaker S12"),
    ("vivae", "S10_sadness_low_03.wav", "emotion sadness"),
    ("asvp_esd", "03-02-14-01-06-36-02-02.wav", "emotion 14"),
    ("vocalsound", "f0003_0_scream.wav", "emotion scream"),
]


@pytest.mark.parametrize(("name", "path", "mistake"), IMPOSSIBLE)
def test_an_impossible_name_is_refused(name, path, mistake, tmp_path):
    with pytest.raises(UserError) as error:
        scan(plant(tmp_path, path), Corpus(name))
    assert "1 impossible names" in str(error.value)
    assert mistake in str(error.value)


@pytest.mark.parametrize(("name", "path"), {name: path for name, path, _ in EXAMPLES}.items())
def test_the_second_copy_of_a_doubled_tree_is_left_out(name, path, tmp_path):
    found = scan(plant(tmp_path, path, f"a/second/copy/{path}"), Corpus(name))
    assert len(found.recordings) == 1
    assert len(found.left_out["second copies of a recording"]) == 1


LEFT_OUT = [
    ("crema_d", "AudioWAV/1076_MTI_SAD_XX.wav", "files that are broken as published"),
    ("crema_d", "AudioMP3/1064_IEO_DIS_MD.mp3", "files that are broken as published"),
    ("crema_d", "VideoFlash/1001_IEO_ANG_HI.flv", "files that are no audio"),
    ("savee", "ALL/DC_a01.wav", "second copies of a recording"),
    ("cafe", "CaFE_192k/01-C-1-1.aiff", "copies in another format"),
    ("jl", "male2_concerned_6b_1.txt", "files that are no audio"),
    ("aesdd", "sadness/s05 (3).wav", "files that are broken as published"),
    ("vivae", "core_set/S10_fear_low_03.wav", "second copies of a recording"),
    ("asvp_esd", "Audio/03-01-04-01-06-36-02-02-01-39.wav", "speech recordings"),
    ("asvp_esd", "03-02-17-01-06-36-02-02.wav", "recordings with the emotion 17, which the corpus does not define"),
    ("asvp_esd", "03-02-04-01-06-36-02.wav", "audio files not named as ASVP-ESD names them"),
    ("shemo", "transcript/M36S02.ort", "files that are no audio"),
]


@pytest.mark.parametrize(("name", "path", "reason"), LEFT_OUT)
def test_what_is_left_out_has_its_reason(name, path, reason, tmp_path):
    example = next(example for corpus, example, _ in EXAMPLES if corpus == name)
    found = scan(plant(tmp_path, example, path), Corpus(name))
    assert len(found.recordings) == 1
    assert list(found.left_out) == [reason]


def test_the_wav_file_is_taken_of_several_containers_however_they_sort(tmp_path):
    plant(tmp_path, "AudioMP3/1001_IEO_ANG_HI.mp3", content=b"another size")
    plant(tmp_path, "AudioWAV/1001_IEO_ANG_HI.wav", "AudioMP3/1001_IEO_ANG_LO.mp3")
    found = scan(tmp_path, Corpus("crema_d"))
    assert [row.path for row in found.recordings] == ["AudioMP3/1001_IEO_ANG_LO.mp3", "AudioWAV/1001_IEO_ANG_HI.wav"]
    assert found.left_out == {"copies in another format": ["AudioMP3/1001_IEO_ANG_HI.mp3"]}


def test_numbers_with_and_without_a_zero_are_one_speaker_and_two_recordings(tmp_path):
    plant(tmp_path, "a03 (1).wav", "a03 (01).wav")
    assert [row.speaker for row in scan(tmp_path, Corpus("aesdd")).recordings] == ["1", "1"]


@pytest.mark.parametrize(("variant", "channels"), [("nonspeech", {"02"}), ("speech", {"01"}), ("both", {"01", "02"})])
def test_the_parts_of_asvp_esd(variant, channels, tmp_path):
    plant(tmp_path, "03-01-04-01-06-36-02-02-01-39.wav", "03-02-04-01-06-36-02-02-01-39.wav")
    rows = scan(tmp_path, Corpus("asvp_esd", variant=variant)).recordings
    assert {row.path[3:5] for row in rows} == channels


def test_the_one_file_of_tess_with_another_rate_is_no_oddity(tmp_path):
    names = {"OAF_food_fear": 96_000, "OAF_back_angry": 24_414, "YAF_back_angry": 24_414, "YAF_food_fear": 48_000}
    for place, (name, rate) in enumerate(names.items()):
        soundfile.write(tmp_path / f"{name}.wav", tone(1.5, rate, 200 + 50 * place), rate)
    protocol = composed("train", "protocol.test_fraction=0.5").protocol
    report = prepare(Corpus("tess"), protocol, str(tmp_path), str(tmp_path / "data"), Audit.warn)
    assert report["contradicting"] == ["YAF_food_fear.wav"]


PLAIN = set(list_corpora()) - {"table", "folders", "hub", "combined", "synthetic"}


def facts_of(name):
    module = importlib.import_module(f"ser.corpora.{name}")
    return getattr(module, "VARIANTS", None) or {"": module.FACTS}


@pytest.mark.parametrize("name", sorted(PLAIN))
def test_a_named_corpus_has_a_source_and_a_licence(name):
    for variant, facts in facts_of(name).items():
        assert facts.source.startswith("http")
        assert facts.license
        assert not (facts.commercial and ("-nc" in facts.license or facts.license == "other"))
        assert recorded_facts({"facts": facts.to_json()}).commercial is facts.commercial
        assert find_facts(Corpus(name, variant=variant or None)) == facts
        assert isinstance(facts, Facts)


@pytest.mark.parametrize("name", sorted(PLAIN))
def test_a_named_corpus_is_one_short_file_and_a_config(name):
    lines = Path(importlib.import_module(f"ser.corpora.{name}").__file__).read_text(encoding="utf-8").splitlines()
    assert len(lines) < 130
    assert composed("train", f"corpus={name}").corpus.name == name
