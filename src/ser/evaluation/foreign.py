"""Predictions that another program or model made, brought to the labels of a corpus."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from ser.corpora.labels import LabelMap
from ser.data.folds_csv import path_in_corpus
from ser.data.manifest import Utterance
from ser.errors import UserError
from ser.evaluation.predictions import SplitPredictions
from ser.models.arrays import Probabilities
from ser.tables import read_table, shorten
from ser.wording import counted


@dataclass(frozen=True)
class Alignment:
    """The labels of a model and of a corpus that stand for the same emotions."""

    emotions: tuple[str, ...]
    """Those that both have, in the order of the corpus."""
    columns: Mapping[str, Sequence[int]]
    """By emotion: the labels of the model that mean it."""
    only_model: tuple[str, ...]
    only_corpus: tuple[str, ...]

    def describe(self) -> str:
        """Describe the rule for labels that one side lacks."""
        sentences = [f"Scored on the {len(self.emotions)} emotions that model and corpus share."]
        if self.only_model:
            sentences.append(
                f"Labels of the model without a clip ({', '.join(self.only_model)}) cannot be predicted: the other "
                "probabilities are scaled to one."
            )
        if self.only_corpus:
            sentences.append(f"Clips of other emotions ({', '.join(self.only_corpus)}) are left out.")
        return " ".join(sentences)


def align(labels: Sequence[str], emotions: Sequence[str], mapping: LabelMap, called: str) -> Alignment:
    """Find the emotions that a model and a corpus share, by the table of aliases.

    Raises:
        UserError: they share fewer than two.
    """
    meanings = [mapping.look_up(label) for label in labels]
    shared = tuple(emotion for emotion in emotions if emotion in meanings)
    if len(shared) < 2:
        raise UserError(
            f"{called}: {len(shared)} of its labels ({', '.join(labels)}) is an emotion of the corpus "
            f"({', '.join(emotions)}), and two are needed; map them with corpus.emotions={{LABEL: EMOTION}}"
        )
    columns = {name: [place for place, meaning in enumerate(meanings) if meaning == name] for name in shared}
    only_model = tuple(label for label, meaning in zip(labels, meanings, strict=True) if meaning not in shared)
    return Alignment(shared, columns, only_model, tuple(emotion for emotion in emotions if emotion not in shared))


def to_shared_labels(
    utterances: Sequence[Utterance], probabilities: Probabilities, alignment: Alignment
) -> SplitPredictions:
    """Return predictions of clips of the shared emotions, with these labels; see `share`."""
    return SplitPredictions(utterances, alignment.emotions, share(probabilities, alignment))


def share(probabilities: Probabilities, alignment: Alignment) -> Probabilities:
    """Return the probabilities of the shared emotions, `(clips, emotions)`.

    Args:
        probabilities: `(clips, labels)` of the model. Labels with the same meaning are added, others are left out, and
            the rest is scaled to one.
        alignment: the labels that both sides have.
    """
    summed = np.stack([probabilities[:, list(places)].sum(axis=1) for places in alignment.columns.values()], axis=1)
    total = summed.sum(axis=1, keepdims=True)
    return np.asarray(np.where(total > 0, summed / np.where(total > 0, total, 1), 1 / summed.shape[1]))


def read_predictions(path: Path, utterances: Sequence[Utterance]) -> tuple[list[str], Probabilities]:
    """Read a table of predictions.

    Args:
        path: a table with the columns `path` and `prediction`, or `path` and numbers for each label.
        utterances: the clips that are scored.

    Returns:
        The labels, and the probabilities `(clips, labels)` of the clips in their order; 1 and 0 where the table names
        one label for each clip.

    Raises:
        UserError: a clip has no prediction or several, or probabilities are no numbers.
    """
    called = f"predictions={path}"
    if not path.is_file():
        raise UserError(f"{called}: there is no such file")
    rows = read_table(path, ["path"], called)
    known = {row.path for row in utterances}
    by_name = Counter(PurePosixPath(path).name for path in known)
    places = {PurePosixPath(path).name: path for path in known if by_name[PurePosixPath(path).name] == 1}
    names = [path_in_corpus(name.strip().replace("\\", "/"), known) for name in rows["path"]]
    rows["path"] = [name if name in known or "/" in name else places.get(name, name) for name in names]
    if repeated := sorted(rows.loc[rows["path"].duplicated(), "path"]):
        raise UserError(
            f"{called}: {counted(len(repeated), 'recordings')} twice in it: {', '.join(shorten(repeated, 5))}"
        )
    if missing := sorted(known - set(rows["path"])):
        raise UserError(
            f"{called}: {len(missing)} of {len(known)} clips have no prediction: {', '.join(shorten(missing, 5))}; the "
            f"table has paths such as {rows['path'].iloc[0] if len(rows) else 'none'}"
        )
    chosen = rows.set_index("path").loc[[row.path for row in utterances]]
    if "prediction" in chosen:
        labels = sorted(set(chosen["prediction"].str.strip()))
        return labels, np.array([[float(name.strip() == label) for label in labels] for name in chosen["prediction"]])
    labels = [name for name in chosen if name not in ("truth", "seed", "fold", "start", "end", "")]
    try:
        shares = chosen[labels].astype(float).to_numpy()
    except ValueError as error:
        raise UserError(f"{called}: it needs a column 'prediction', or numbers for each label ({error})") from error
    if not labels or not np.isfinite(shares).all() or (shares < 0).any():
        raise UserError(f"{called}: its probabilities must be numbers of at least 0, in a column for each label")
    return labels, shares
