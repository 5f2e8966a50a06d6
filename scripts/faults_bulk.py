"""Bulk predictions that are killed at random moments and continued."""

import os
import shutil
import signal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from faults_ground import RECIPES, Ground, Part, Running, ser, tidy

RECORDINGS = 10_000
OUTPUTS = ("answers.csv", "answers.jsonl", "answers.parquet", "answers/")


def bulk(ground: Ground, count: int) -> Part:
    """End `ser predict` of 10 000 recordings with SIGKILL, each up to five times, and continue it."""
    part, place = Part("bulk"), ground.place()
    ended = ser(place, "train", *RECIPES["one run"], "output_dir=run")
    assert ended.code == 0, ended.output
    link_recordings(place)
    expected, seconds = uninterrupted(place)
    sent = trial = 0
    while sent < count:
        output = OUTPUTS[trial % len(OUTPUTS)]
        times = min(count - sent, ground.random.choice((1, 2, 3, 5)))
        sent += one_output(ground, part, place, output, times, seconds)
        same(part, expected[output], place / output, f"{output}, continued")
        left = sorted(path.name for path in place.glob("*answers*") if path != place / output)
        left += [path.name for path in place.glob(".*")]
        part.check(not left, f"{output}: left behind: {', '.join(left)}")
        remove(place / output)
        trial += 1
        print(f"  {part.name}: {sent} of {count}", flush=True)
    return part


def link_recordings(place: Path) -> None:
    """Give 64 clips 10 000 names."""
    clips = sorted((place / "corpus").rglob("*.wav"))
    for number in range(RECORDINGS):
        path = place / "recordings" / f"{number // 1000:02d}" / f"{number:05d}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        os.link(clips[number * 7 % len(clips)], path)


def uninterrupted(place: Path) -> tuple[dict[str, list[pa.Table] | bytes], float]:
    """Every output of a command that nothing disturbs, and the seconds that one takes."""
    expected, seconds = dict[str, list[pa.Table] | bytes](), 0.0
    for output in OUTPUTS:
        ended = predict(place, output).end()
        assert ended.code == 0, ended.output
        expected[output], seconds = content(place / output), ended.seconds
        remove(place / output)
    return expected, seconds


def one_output(ground: Ground, part: Part, place: Path, output: str, times: int, seconds: float) -> int:
    """Kill the command at moments drawn over the time it takes, and continue it; how often it was still running."""
    sent = 0
    for _ in range(times):
        process = predict(place, output, "resume=true")
        if process.wait(ground.random.uniform(0, seconds)) is not None:
            break
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(60)
        part.count("killed while it wrote" if list(place.glob("answers.partial*")) else "killed before it wrote")
        sent += 1
    last = predict(place, output, "resume=true").end()
    tidy(part, last, f"{output}, continued")
    part.check(last.code == 0, f"{output}, continued: status {last.code} ({last.last})")
    return sent


def predict(place: Path, output: str, *words: str) -> Running:
    return Running(place, "predict", "checkpoint=run", "audio=recordings", f"output={output}", *words)


def content(output: Path) -> list[pa.Table] | bytes:
    if output.suffix in (".csv", ".jsonl"):
        return output.read_bytes()
    return [pq.read_table(path) for path in (sorted(output.iterdir()) if output.is_dir() else [output])]


def same(part: Part, expected: list[pa.Table] | bytes, output: Path, what: str) -> None:
    part.check(output.exists() and content(output) == expected, f"{what}: other than uninterrupted")


def remove(output: Path) -> None:
    if output.is_dir():
        shutil.rmtree(output)
    else:
        output.unlink(missing_ok=True)
