import importlib.util

import pyarrow
import pytest
from helpers.own_corpora import write_recordings
from pyarrow import parquet

from ser.config import Corpus
from ser.corpora import find_root
from ser.corpora.scanning import scan
from ser.errors import UserError


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """A local copy of a data set as the hub keeps most of them: a Parquet file for each split."""
    base = tmp_path_factory.mktemp("hub")
    for split in ("train", "test"):
        paths = write_recordings(base / "wav" / split, speakers=[f"{split}-anna"], takes=1)
        rows = {
            "audio": [{"bytes": (base / "wav" / split / path).read_bytes(), "path": path} for path in paths],
            "label": [path.split("/")[1] for path in paths],
            "speaker": [path.split("/")[0] for path in paths],
        }
        (base / "data").mkdir(exist_ok=True)
        parquet.write_table(pyarrow.table(rows), base / "data" / f"{split}-00000-of-00001.parquet")
    return base


def read(corpus, tmp_path):
    return scan(find_root(corpus, None, tmp_path), corpus)


def test_a_local_copy_of_a_data_set_is_read_with_its_splits(dataset, tmp_path):
    found = read(Corpus("hub", dataset=str(dataset / "data")), tmp_path)
    assert sorted((row.split, row.speaker, row.emotion) for row in found.recordings) == sorted(
        (split, f"{split}-anna", emotion) for split in ("train", "test") for emotion in ("angry", "happy", "sad")
    )
    assert all((tmp_path / "recordings" / row.path).is_file() for row in found.recordings)


@pytest.mark.parametrize(
    ("columns", "message"),
    [({"audio": "sound"}, "has no column 'sound', only audio"), ({"emotion": "mood"}, "no column mood, only audio")],
)
def test_a_column_that_is_not_there_is_named_with_those_that_are(columns, message, dataset, tmp_path):
    with pytest.raises(UserError, match=message):
        read(Corpus("hub", dataset=str(dataset / "data"), columns=columns), tmp_path)


def test_a_data_set_that_is_not_there_is_reported_in_one_line(tmp_path):
    with pytest.raises(UserError, match=r"corpus\.dataset=") as error:
        read(Corpus("hub", dataset=str(tmp_path / "nowhere")), tmp_path)
    assert "\n" not in str(error.value)


def test_a_folder_of_audio_files_states_what_to_use_instead(tmp_path):
    if importlib.util.find_spec("torchcodec"):
        pytest.skip("torchcodec is installed")
    write_recordings(tmp_path / "data" / "train", speakers=["anna"])
    with pytest.raises(UserError, match="give corpus=folders, or corpus=table"):
        read(Corpus("hub", dataset=str(tmp_path / "data")), tmp_path)
