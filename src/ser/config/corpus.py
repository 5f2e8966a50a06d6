"""Config of the corpus."""

import re
from dataclasses import dataclass, field
from typing import Any

from omegaconf import MISSING

from ser.config.enums import BadRows, SharedLabels
from ser.config.identity import INCIDENTAL
from ser.config.paths import PATH, PATHS
from ser.errors import UserError


@dataclass
class Corpus:
    """The recordings and their labels: of a published corpus, a table, folders, a data set of the hub, or several."""

    name: str = MISSING
    """The name of the corpus, which is part of the names of folders and is printed with every score."""
    reader: str | None = None
    """The file in `ser.corpora` that reads it; null: the one called like the corpus."""
    variant: str | None = None
    """The part or the labels of a corpus that has several, such as `speech`, `song` or `both` of RAVDESS and `acted` or
    `voted` of CREMA-D; null: the first of them."""
    scheme: str | None = None
    """A named set of labels: `ravdess8`, `big6`, `iemocap4` (excitement counts as happiness) or `iemocap6`; recordings
    with other labels are left out."""
    emotions: dict[str, Any] = field(default_factory=dict)
    """Changes of labels, such as `{excited: happy, boredom: null}`; null leaves the recordings out."""
    table: str | None = field(default=None, metadata={**PATH, **INCIDENTAL})
    """CSV or Parquet file with a row for each recording; columns `path` and `emotion`, and optionally `speaker`,
    `gender`, `language`, `session`, `split`, `start` and `end` (seconds). Other columns are kept."""
    columns: dict[str, str] = field(default_factory=dict, metadata=INCIDENTAL)
    """Names of columns in the table or data set, such as `{emotion: label, path: file}`."""
    bad_rows: BadRows = field(default=BadRows.refuse, metadata=INCIDENTAL)
    """`refuse`: stop where a row of the table has no file or no label; `leave_out`: leave such rows out."""
    speaker: str | None = field(default=None, metadata=PATH)  # taken literally, as a path is
    """Regular expression whose first group is the speaker in the path of a recording below the root, for
    `corpus=folders`."""
    dataset: str | None = field(default=None, metadata={**PATH, **INCIDENTAL})
    """A data set of the hub, or a folder in its layout, for `corpus=hub`."""
    parts: Any = field(default=None, metadata=PATHS)
    """Several prepared corpora: names (`ravdess` is `data/ravdess`) or prepared folders, for `corpus=combined`."""
    labels: SharedLabels | None = None
    """Labels of combined corpora. `shared`: the emotions that all of them have; `all`: the emotions of any."""
    license: str | None = field(default=None, metadata=INCIDENTAL)
    """Licence of your recordings, as the hub names it; it is written to model cards."""
    description: str | None = field(default=None, metadata=INCIDENTAL)
    """One phrase on your recordings, printed with every score."""

    def __post_init__(self) -> None:
        """Raise a UserError for values that do not fit together."""
        if self.parts is not None:
            self.parts = [str(part) for part in (self.parts if isinstance(self.parts, list) else [self.parts])]
        if self.speaker is not None:
            check_expression(self.speaker)
        for text, label in self.emotions.items():
            if label is not None and not isinstance(label, str):
                raise UserError(f"corpus.emotions.{text}={label}: give a label, or null to leave the recordings out")
        if not re.fullmatch(r"[^/\\\0\n]+", self.name) or self.name.startswith("."):
            raise UserError(f"corpus.name={self.name}: it must be fit for the name of a folder")


def check_expression(text: str) -> None:
    """Raise a UserError where a text is no regular expression with a group."""
    try:
        groups = re.compile(text).groups
    except re.error as error:
        raise UserError(f"corpus.speaker={text}: it is no regular expression ({error})") from error
    if not groups:
        raise UserError(f"corpus.speaker={text}: put the speaker in parentheses, as in '(S[0-9]+)_'")
