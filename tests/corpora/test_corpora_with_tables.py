"""Corpora whose labels, speakers or splits stand in tables beside the recordings."""

import json

import pytest
from conftest import composed
from helpers.trees import plant

from ser.config import Corpus
from ser.corpora import scanning
from ser.errors import UserError


def write(path, *lines):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def scan(root, name, **settings):
    """The recordings by their names, and the scan."""
    found = scanning.scan(root, Corpus(name, **settings))
    return {row.name: row for row in found.recordings}, found


@pytest.fixture
def crema_d(tmp_path):
    plant(tmp_path, *(f"AudioWAV/1001_IEO_{emotion}_LO.wav" for emotion in ("ANG", "DIS", "FEA")))
    plant(tmp_path, "AudioWAV/1002_DFA_SAD_XX.wav", "AudioWAV/1076_MTI_SAD_XX.wav")
    write(
        tmp_path / "processedResults" / "summaryTable.csv",
        '"","FileName","VoiceVote","VoiceLevel","FaceVote","FaceLevel","MultiModalVote","MultiModalLevel"',
        '"1","1001_IEO_ANG_LO","A","62","A","60","A","61"',
        '"2","1001_IEO_DIS_LO","N","62","D","60","D","61"',
        '"3","1001_IEO_FEA_LO","F:S","62:60","F","60","F","61"',
        '"4","1076_MTI_SAD_XX","S","62","S","60","S","61"',
    )
    return tmp_path


def test_crema_d_has_the_acted_emotions_and_those_of_the_votes_on_the_sound(crema_d):
    acted, _ = scan(crema_d, "crema_d")
    voted, found = scan(crema_d, "crema_d", variant="voted")
    assert [row.emotion for row in acted.values()] == ["angry", "disgust", "fearful", "sad"]
    assert {name: row.emotion for name, row in voted.items()} == {
        "1001_IEO_ANG_LO": "angry",
        "1001_IEO_DIS_LO": "neutral",
    }
    assert {reason: len(paths) for reason, paths in found.left_out.items()} == {
        "recordings without a majority of votes": 1,
        "recordings that summaryTable.csv does not name": 1,
        "files that are broken as published": 1,
        "files that are no audio": 1,
    }
    assert not [line for line in found.warnings if "without a recording" in line]


def test_crema_d_takes_the_gender_of_its_actors_where_the_table_is_there(crema_d):
    assert {row.gender for row in scan(crema_d, "crema_d")[0].values()} == {""}
    write(crema_d / "VideoDemographics.csv", "ActorID,Age,Sex,Race,Ethnicity", "1001,51,Male,Caucasian,Not Hispanic")
    rows, _ = scan(crema_d, "crema_d")
    assert (rows["1001_IEO_ANG_LO"].gender, rows["1002_DFA_SAD_XX"].gender) == ("male", "")


def test_missing_votes_are_refused(tmp_path):
    with pytest.raises(UserError, match=r"summaryTable.csv is not below it; give the folder of the whole corpus"):
        scan(plant(tmp_path, "1001_IEO_ANG_LO.wav"), "crema_d", variant="voted")


def test_a_vote_that_is_no_code_is_refused(tmp_path):
    write(plant(tmp_path, "1001_IEO_ANG_LO.wav") / "summaryTable.csv", "FileName,VoiceVote", "1001_IEO_ANG_LO,Q")
    with pytest.raises(UserError, match=r"VoiceVote 'Q' must be one of A, D, F, H, N, S"):
        scan(tmp_path, "crema_d", variant="voted")


IEMOCAP_LABELS = {
    "Ses01F_impro01_F000": "neu",
    "Ses01F_impro01_M001": "ang",
    "Ses01F_impro01_M002": "exc",
    "Ses01F_impro01_F003": "xxx",
    "Ses02M_script01_1b_MX40": "sad",
    "Ses02M_script01_1b_FXX1": "fru",
}


@pytest.fixture
def iemocap(tmp_path):
    for name, label in IEMOCAP_LABELS.items():
        session, dialogue = f"Session{int(name[3:5])}", name.rpartition("_")[0]
        plant(tmp_path, f"{session}/sentences/wav/{dialogue}/{name}.wav", f"{session}/dialog/wav/{dialogue}.wav")
        table = tmp_path / session / "dialog" / "EmoEvaluation" / f"{dialogue}.txt"
        table.parent.mkdir(parents=True, exist_ok=True)
        with table.open("a") as file:
            file.write(f"% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]\n[6.2901 - 8.2357]\t{name}\t{label}\t")
            file.write(
                "[2.5000, 2.5000, 2.5000]\nC-E2:\tNeutral;\t()\nC-F1:\tAnger; Neutral;\t()\nA-E3:\tval 3;\t()\n\n"
            )
    plant(tmp_path, "Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_F099.wav")
    plant(tmp_path, "Session1/dialog/EmoEvaluation/._Ses01F_impro01.txt", content=b"\xff\xfe")
    write(tmp_path / "Session1/dialog/EmoEvaluation/Categorical/Ses01F_impro01_e1_cat.txt", "Ses01F_impro01_F000 :Sad;")
    return tmp_path


def test_the_speaker_of_iemocap_is_the_last_letter_of_a_name_and_not_the_first(iemocap):
    rows, _ = scan(iemocap, "iemocap")
    assert {name: (row.speaker, row.gender, row.session) for name, row in rows.items()} == {
        "Ses01F_impro01_F000": ("1F", "female", "1"),
        "Ses01F_impro01_M001": ("1M", "male", "1"),
        "Ses01F_impro01_M002": ("1M", "male", "1"),
        "Ses02M_script01_1b_FXX1": ("2F", "female", "2"),
        "Ses02M_script01_1b_MX40": ("2M", "male", "2"),
    }


@pytest.mark.parametrize(
    ("scheme", "labels"),
    [
        ("iemocap4", ["neutral", "angry", "happy", "sad"]),
        ("iemocap6", ["neutral", "angry", "excited", "frustrated", "sad"]),
        (None, ["neutral", "angry", "excited", "frustrated", "sad"]),
    ],
)
def test_the_classes_of_iemocap(scheme, labels, iemocap):
    rows, found = scan(iemocap, "iemocap", scheme=scheme)
    assert [row.emotion for row in rows.values()] == labels
    assert len(found.left_out["recordings on which the raters do not agree"]) == 1
    assert len(found.left_out["recordings that EmoEvaluation/*.txt does not name"]) == 1
    assert len(found.left_out["audio files not named as IEMOCAP names them"]) == 2  # whole dialogues


def test_the_configs_of_iemocap_have_four_and_six_classes():
    assert [composed("train", f"corpus={name}").corpus.scheme for name in ("iemocap", "iemocap6")] == [
        "iemocap4",
        "iemocap6",
    ]


def test_iemocap_without_its_labels_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"no labels in Session\*/dialog/EmoEvaluation"):
        scan(plant(tmp_path, "Ses01F_impro01/Ses01F_impro01_F000.wav"), "iemocap")


@pytest.mark.parametrize("table", ["labels_consensus.csv", "labels_concensus.csv"])
def test_msp_podcast_has_labels_speakers_and_splits_from_its_table(table, tmp_path):
    plant(tmp_path, *(f"Audios/MSP-PODCAST_0001_000{number}.wav" for number in range(8)), "Audios/MSP-PODCAST_1.wav")
    write(
        tmp_path / "Labels" / table,
        "FileName,EmoClass,EmoAct,EmoVal,EmoDom,SpkrID,Gender,Split_Set",
        "MSP-PODCAST_0001_0000.wav,N,2.2,4.0,2.6,30,Male,Train",
        "MSP-PODCAST_0001_0001.wav,U,2.2,4.0,2.6,31,Female,Development",
        "MSP-PODCAST_0001_0002.wav,C,2.2,4.0,2.6,32,Female,Validation",
        "MSP-PODCAST_0001_0003.wav,O,2.2,4.0,2.6,Unknown,Unknown,Test1",
        "MSP-PODCAST_0001_0004.wav,X,2.2,4.0,2.6,33,Male,Test1",
        "MSP-PODCAST_0001_0005.wav,A,2.2,4.0,2.6,33,Male,Test2",
        "MSP-PODCAST_0001_0006.wav,F,2.2,4.0,2.6,34,Male,Test3",
        "MSP-PODCAST_0009_0009.wav,F,2.2,4.0,2.6,34,Male,Test3",
    )
    rows, found = scan(tmp_path, "msp_podcast")
    assert [(row.emotion, row.speaker, row.gender, row.split) for row in rows.values()] == [
        ("neutral", "30", "male", "train"),
        ("surprised", "31", "female", "validation"),
        ("contempt", "32", "female", "validation"),
        ("other", "", "", "test1"),
        ("angry", "33", "male", "test2"),
        ("fearful", "34", "male", "test3"),
    ]
    assert found.left_out["recordings on which the raters do not agree"] == ["Audios/MSP-PODCAST_0001_0004.wav"]
    assert found.left_out["recordings that labels_consensus.csv does not name"] == ["Audios/MSP-PODCAST_0001_0007.wav"]
    assert "audio files not named as MSP-Podcast names them" in found.left_out
    assert found.warnings == ["1 row of labels_consensus.csv without a recording: MSP-PODCAST_0009_0009"]


@pytest.fixture
def meld(tmp_path):
    folders = {"train": "train_splits", "dev": "dev_splits_complete", "test": "output_repeated_splits_test"}
    header = "Sr No.,Utterance,Speaker,Emotion,Sentiment,Dialogue_ID,Utterance_ID,Season,Episode,StartTime,EndTime"
    for split, folder in folders.items():
        plant(tmp_path, f"{folder}/dia0_utt0.wav", content=split.encode())
        rows = [f'1,"Well, hi!",Monica {split},joy,positive,0,0,8,21,"00:16:16,059","00:16:21,731"']
        if split == "train":
            rows.append('2,"x",Joey,neutral,neutral,125,3,8,21,"00:16:16,059","00:16:21,731"')
            rows.append('3,"x",Joey,disgust,negative,1,2,8,21,"00:16:16,059","00:16:21,731"')
        write(tmp_path / f"{split}_sent_emo.csv", header, *rows)
    plant(tmp_path, "train_splits/dia125_utt3.wav", "dev_splits_complete/dia110_utt7.wav", "train_splits/dia9_utt9.wav")
    return plant(tmp_path, "output_repeated_splits_test/final_videos_testdia0_utt0.wav", "train_splits/dia0_utt0.mp4")


def test_the_same_names_in_three_splits_of_meld_are_different_recordings(meld):
    rows, found = scan(meld, "meld")
    assert {name: (row.speaker, row.emotion, row.split, row.session) for name, row in rows.items()} == {
        "train/dia0_utt0": ("Monica train", "happy", "train", "train/0"),
        "validation/dia0_utt0": ("Monica dev", "happy", "validation", "validation/0"),
        "test/dia0_utt0": ("Monica test", "happy", "test", "test/0"),
    }
    assert len(found.left_out["files that are broken as published"]) == 2
    assert len(found.left_out["second versions of test clips (final_videos_test)"]) == 1
    assert found.left_out["recordings that *_sent_emo.csv does not name"] == ["train_splits/dia9_utt9.wav"]
    assert found.left_out["audio or video files that are not read"] == ["train_splits/dia0_utt0.mp4"]
    assert found.warnings[0] == "1 row of *_sent_emo.csv without a recording: train/dia1_utt2"


@pytest.mark.parametrize("missing", ["train", "dev", "test"])
def test_each_table_of_meld_is_needed(missing, meld):
    (meld / f"{missing}_sent_emo.csv").unlink()
    with pytest.raises(UserError, match=f"{missing}_sent_emo.csv is not below it"):
        scan(meld, "meld")


def test_emozionalmente_has_the_acted_emotions_and_those_of_the_votes(tmp_path):
    plant(tmp_path, "audio/101.wav", "audio/102.wav", "audio/103.wav")
    write(
        tmp_path / "metadata" / "samples.csv",
        "file_name,sentence,sentence_language,actor,emotion_expressed",
        *(f'{name}.wav,"Io, tu",it,{actor},joy' for name, actor in (("101", "a"), ("102", "b"), ("103", "b"))),
    )
    write(tmp_path / "metadata" / "users.csv", "username,gender,age,mother_tongue", "a,female,30,it", "b,m,40,it")
    votes = {"101": ("joy", "anger", "anger"), "102": ("joy", "fear"), "103": ("neutrality",)}
    write(
        tmp_path / "metadata" / "evaluations.csv",
        "file_name,evaluator,audio_quality,emotion_recognized",
        *(f"{name}.wav,e,good,{vote}" for name, chosen in votes.items() for vote in chosen),
    )
    acted, _ = scan(tmp_path, "emozionalmente")
    assert [(row.emotion, row.speaker, row.gender) for row in acted.values()] == [
        ("happy", "a", "female"),
        ("happy", "b", "male"),
        ("happy", "b", "male"),
    ]
    voted, found = scan(tmp_path, "emozionalmente", variant="voted")
    assert {name: row.emotion for name, row in voted.items()} == {"101": "angry", "103": "neutral"}
    assert found.left_out["recordings without a majority of votes"] == ["audio/102.wav"]


def test_vocalsound_has_its_splits_where_the_lists_are_there(tmp_path):
    plant(tmp_path, *(f"audio_16k/f000{number}_0_sigh.wav" for number in range(4)))
    assert {row.split for row in scan(tmp_path, "vocalsound")[0].values()} == {""}
    for number, name in enumerate(("tr", "val", "te")):
        entry = {"wav": f"/data/anywhere/f000{number}_0_sigh.wav", "labels": "/m/07plz5l"}
        write(tmp_path / "datafiles" / f"{name}.json", json.dumps({"data": [entry]}))
    rows, found = scan(tmp_path, "vocalsound")
    assert [row.split for row in rows.values()] == ["train", "validation", "test"]
    assert found.left_out["recordings that datafiles/*.json does not name"] == ["audio_16k/f0003_0_sigh.wav"]
    write(tmp_path / "datafiles" / "te.json", "[]")
    with pytest.raises(UserError, match=r"te.json: it is no list of VocalSound"):
        scan(tmp_path, "vocalsound")
