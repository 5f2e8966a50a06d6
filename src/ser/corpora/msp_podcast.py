"""MSP-Podcast: excerpts of podcasts with natural emotions (Lotfian & Busso 2019).

    Audios/MSP-PODCAST_0001_0008.wav
    Labels/labels_consensus.csv     FileName,EmoClass,EmoAct,EmoVal,EmoDom,SpkrID,Gender,Split_Set

The table, which older releases spell labels_concensus.csv, has label, speaker (Unknown for some), gender and split:
train, validation (also called Development), test1, test2; the labels of test3 are not published. Speakers are shared
between the test splits. https://ecs.utdallas.edu/research/researchlabs/msp-lab/MSP-Podcast.html, a signed agreement
for research. The number of recordings grows with each release.
"""

from dataclasses import replace
from pathlib import Path, PurePosixPath

from ser.corpora.facts import Facts
from ser.corpora.file_names import FileNames, scan_names
from ser.corpora.published_tables import Row, fill_in, look_up, need_table, read_rows
from ser.corpora.recordings import Recording, Scan
from ser.corpora.table import SPLITS, UNKNOWN

FACTS = Facts(
    description="MSP-Podcast (research only)",
    voices="speakers of English podcasts with natural emotions",
    source="https://ecs.utdallas.edu/research/researchlabs/msp-lab/MSP-Podcast.html",
    license="other",
    commercial=False,
    language="en",
)
LABELS = {
    "A": "angry",
    "C": "contempt",
    "D": "disgust",
    "F": "fearful",
    "H": "happy",
    "N": "neutral",
    "O": "other",
    "S": "sad",
    "U": "surprised",
}
NO_AGREEMENT = "X"
NAMES = FileNames(corpus="MSP-Podcast", pattern=r"MSP-PODCAST_[0-9]{4}_[0-9]{4}(?:_[0-9]{4})?")
TABLES = ("labels_consensus.csv", "labels_concensus.csv")
COLUMNS = ("filename", "emoclass", "spkrid", "gender", "split_set")


def scan(root: Path) -> Scan:
    """List the recordings on whose label the raters agree.

    Raises:
        UserError: see `scan_names`; or the table of labels is not there, or cannot be read.
    """
    rows = read_rows(need_table(root, *TABLES), COLUMNS)
    found = scan_names(root, NAMES)
    fill_in(found, {PurePosixPath(row["filename"]).stem: row for row in rows}, TABLES[0], take_row)
    return found


def take_row(recording: Recording, row: Row) -> Recording | str:
    label, split, gender = row["emoclass"], row["split_set"].lower(), row["gender"].lower()
    if label == NO_AGREEMENT:
        return "recordings on which the raters do not agree"
    return replace(
        recording,
        emotion=look_up(LABELS, label, TABLES[0], "EmoClass"),
        speaker="" if row["spkrid"].lower() in UNKNOWN else row["spkrid"],
        gender=gender if gender in ("male", "female") else "",
        split=SPLITS.get(split, split),
    )
