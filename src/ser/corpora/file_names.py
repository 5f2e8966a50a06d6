"""Scan a corpus whose file names say everything: one regular expression and tables of its codes."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from ser.corpora.recordings import (
    AUDIO_SUFFIXES,
    OTHER_SUFFIXES,
    Recording,
    Scan,
    describe_file,
    files_below,
    show,
    why_no_file,
    why_unwritable,
)
from ser.errors import UserError
from ser.tables import shorten

Codes = Mapping[str, str]
"""The groups of a name."""


def no_reason(codes: Codes) -> str:
    return ""


@dataclass(frozen=True)
class FileNames:
    """The names of a corpus.

    The groups `emotion`, `speaker`, `gender`, `intensity`, `statement`, `repetition`, `session`, `language` and `id`
    of `pattern` are fields of a recording; other groups serve the functions below.
    """

    corpus: str
    """What the corpus is called in messages."""
    pattern: str
    """Regular expression of a whole name without its suffix, of the path below the root if it holds a `/`."""
    codes: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """By group: code -> meaning. Another code is an impossible name."""
    fields: Callable[[Codes], Codes] = dict
    """Fields of a recording that follow from the codes; it gets the meanings, and returns them with its own."""
    impossible: Callable[[Codes], str] = no_reason
    """What is wrong with codes that exist each by itself; empty if nothing."""
    left_out: Callable[[Codes], str] = no_reason
    """Why a recording is left out, as a plural; empty if it is used. It gets the codes as they are written."""
    broken: Sequence[str] = ()
    """Names of published files that are known to be broken; without a suffix: in every container."""
    suffixes: frozenset[str] = AUDIO_SUFFIXES

    def match(self, path: str) -> Codes | None:
        """Return the codes of a path below the root; None if it is not named as the corpus names its files."""
        place = PurePosixPath(path)
        text = str(place.with_suffix("")) if "/" in self.pattern else place.stem
        # As few folders as possible before the pattern, so that those in it are found where it makes them optional.
        expression = f"(?:.*?/)??{self.pattern}" if "/" in self.pattern else self.pattern
        match = re.fullmatch(expression, text)
        return {name: code for name, code in match.groupdict().items() if code is not None} if match else None

    def mistake(self, codes: Codes) -> str:
        """Return what is wrong with the codes of a name; empty if nothing."""
        for part, code in codes.items():
            if code not in (table := self.codes.get(part, {code: code})):
                choices = list(table)
                some = ", ".join(choices) if len(choices) < 10 else f"{choices[0]} to {choices[-1]}"
                return f"{part} {code}: it must be one of {some}"
        return self.impossible(codes)

    def recording(self, path: str) -> Recording:
        """Read the codes of a valid name."""
        codes = self.match(path)
        assert codes is not None, path
        meanings = {part: self.codes.get(part, {}).get(code, code) for part, code in codes.items()}
        known = {name: text for name, text in self.fields(meanings).items() if name in Recording.__dataclass_fields__}
        return Recording(**{"path": path, "emotion": "", "speaker": "", **known})


def scan_names(root: Path, names: FileNames) -> Scan:
    """List the recordings below `root`, whatever its folders are called; folders that are links are followed.

    Of a recording in several containers the WAV file is taken, or else the first.

    Raises:
        UserError: a folder that cannot be read; names with impossible codes, or that are no UTF-8, all of them at once;
            or two files of one name and container with different sizes.
    """
    found, mistakes, seen, recordings = Scan(), list[str](), dict[tuple[str, ...], str](), list[Recording]()
    for path in sorted(files_below(root), key=lambda path: (PurePosixPath(path).suffix.lower() != ".wav", path)):
        codes, suffix = names.match(path), PurePosixPath(path).suffix.lower()
        if codes is None or why_no_file(root, path):
            found.leave_out(describe_file(root, path, names.corpus), show(path))
        elif mistake := names.mistake(codes) or why_unwritable(path):
            mistakes.append(f"{show(path)} ({mistake})")
        elif reason := names.left_out(codes) or why_not_read(suffix, names):
            found.leave_out(reason, show(path))
        elif {PurePosixPath(path).stem, PurePosixPath(path).name} & set(names.broken):
            found.leave_out("files that are broken as published", show(path))
        else:
            recording = names.recording(path)
            key = (recording.speaker, recording.name)
            if key in seen and PurePosixPath(seen[key]).suffix.lower() != suffix:
                found.leave_out("copies in another format", show(path))
            elif key in seen:
                # Popular copies hold the whole tree twice.
                if (root / seen[key]).stat().st_size != (root / path).stat().st_size:
                    mistakes.append(f"{show(path)} (another recording than {show(seen[key])}, under the same name)")
                found.leave_out("second copies of a recording", show(path))
            else:
                seen[key] = path
                recordings.append(recording)
    if mistakes:
        raise UserError(f"root={root}: {len(mistakes)} impossible names: " + "; ".join(shorten(mistakes)))
    found.recordings = sorted(recordings, key=lambda recording: recording.path)
    return found


def why_not_read(suffix: str, names: FileNames) -> str:
    """Return why a file with a valid name is no recording; empty if it is one."""
    if suffix in names.suffixes:
        return ""
    return "audio or video files that are not read" if suffix in OTHER_SUFFIXES else "files that are no audio"
