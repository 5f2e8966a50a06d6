"""CREMA-D, the Crowd-sourced Emotional Multimodal Actors Dataset (Cao et al. 2014).

    1001_IEO_ANG_HI.wav
    |    |   |   +- level LO, MD, HI (of the sentence IEO), XX unspecified
    |    |   +----- emotion that was acted
    |    +--------- one of twelve sentences
    +-------------- actor 1001-1091

7442 recordings of 91 actors, one without sound. `voted` takes the label that most listeners to the sound alone
chose (VoiceVote in processedResults/summaryTable.csv). https://github.com/CheyneyComputerScience/CREMA-D, ODbL 1.0.
"""

from dataclasses import replace
from pathlib import Path

from ser.corpora.facts import Facts, Format
from ser.corpora.file_names import FileNames, scan_names
from ser.corpora.published_tables import Row, fill_in, find_table, look_up, need_table, read_rows
from ser.corpora.recordings import Recording, Scan

ACTED = Facts(
    description="CREMA-D, acted emotions",
    voices="91 actors who speak twelve English sentences with acted emotions",
    source="https://github.com/CheyneyComputerScience/CREMA-D",
    license="odbl",
    language="en",
    format=Format(sample_rate=16_000, shortest=1.2, longest=5.1, other_rates=(44_100,)),  # the MP3 copies
    clips={"angry": 1271, "disgust": 1271, "fearful": 1271, "happy": 1271, "neutral": 1087, "sad": 1270},
    speakers=91,
)
VOTED = replace(ACTED, description="CREMA-D, emotions by the votes of listeners", clips={})
VARIANTS = {"acted": ACTED, "voted": VOTED}

SENTENCES = ("IEO", "DFA", "IOM", "ITH", "ITS", "IWL", "IWW", "MTI", "TAI", "TIE", "TSI", "WSI")
NAMES = FileNames(
    corpus="CREMA-D",
    pattern=r"(?P<speaker>[0-9]{4})_(?P<statement>[A-Z]{3})_(?P<emotion>[A-Z]{3})_(?P<intensity>[A-Z]{2})",
    codes={
        "speaker": {str(actor): str(actor) for actor in range(1001, 1092)},
        "statement": {code: code for code in SENTENCES},
        "emotion": {
            "ANG": "angry",
            "DIS": "disgust",
            "FEA": "fearful",
            "HAP": "happy",
            "NEU": "neutral",
            "SAD": "sad",
        },
        "intensity": {"LO": "low", "MD": "medium", "HI": "high", "XX": ""},
    },
    broken=("1076_MTI_SAD_XX", "1076_MTI_NEU_XX.mp3", "1064_TIE_SAD_XX.mp3", "1064_IEO_DIS_MD.mp3"),
)
VOTES = {"A": "angry", "D": "disgust", "F": "fearful", "H": "happy", "N": "neutral", "S": "sad"}
SUMMARY, DEMOGRAPHICS = "summaryTable.csv", "VideoDemographics.csv"


def scan(root: Path, variant: str = "acted") -> Scan:
    """List the recordings with the labels of a variant.

    Raises:
        UserError: see `scan_names`; or the votes are not there, or cannot be read.
    """
    found = scan_names(root, NAMES)
    if variant == "voted":
        rows = read_rows(need_table(root, SUMMARY), ["filename", "voicevote"])
        fill_in(found, {row["filename"]: row for row in rows}, SUMMARY, take_vote)
    if table := find_table(root, DEMOGRAPHICS):
        genders = {row["actorid"]: row["sex"].lower() for row in read_rows(table, ["actorid", "sex"])}
        found.revise(lambda recording: replace(recording, gender=genders.get(recording.speaker, "")))
    return found


def take_vote(recording: Recording, row: Row) -> Recording | str:
    """Return the recording with the label of most listeners; a tie is written `A:D`."""
    vote = row["voicevote"]
    if ":" in vote or vote in ("", "NA"):
        return "recordings without a majority of votes"
    return replace(recording, emotion=look_up(VOTES, vote, SUMMARY, "VoiceVote"))
