"""What the scripts that score finished runs share: the tested clips of a run, and a cell of a table."""

from collections.abc import Sequence
from pathlib import Path

from ser.data.audio_file import Int16
from ser.data.manifest import Utterance
from ser.evaluation.intervals import measure_recall
from ser.inference.checkpoint_member import CheckpointMember
from ser.models import checkpoint
from ser.models.hub import find_checkpoint
from ser.rows import Rows
from ser.runs.trained_data import load_trained_data


def open_tested(run: Path, data_dir: str | None) -> tuple[CheckpointMember, Rows[Utterance], list[Int16]]:
    """Return the checkpoint of a run, the rows of its test split and their samples."""
    folder = find_checkpoint(str(run))
    _, prepared, splits = load_trained_data(checkpoint.stamp_of(folder), folder, None, data_dir)
    clips = [prepared.audio.samples(place) for place in prepared.indices(splits.test).tolist()]
    return CheckpointMember.from_checkpoint(str(run)), splits.test, clips


def describe_recall(truth: Sequence[int], predictions: Sequence[int], labels: int, speakers: Sequence[str]) -> str:
    """Return the UAR and its 95 % interval over speakers."""
    recall = measure_recall(truth, predictions, range(labels), speakers)
    share, low, high = (100 * value for value in recall[1:])
    return f"{share:.1f} % [{low:.1f}, {high:.1f}]"
