"""Finished runs without training: folders as `ser train` writes them, with answers made in the test."""

import json

import numpy as np
import yaml

from ser.data import manifest
from ser.data.manifest import Utterance
from ser.reports import provenance, report, tables
from ser.runs import finished

EMOTIONS = ("angry", "calm", "disgust", "fearful", "happy", "neutral", "sad", "surprised")


def toy_run(
    folder, model="tiny", protocol="emobox", lists="same", seed=0, hits=0.8, new=True, learning_rate=1e-4, speakers=12,
    validation=None,
):  # fmt: skip
    """A run of 8 clips for each speaker, of whose answers the share `hits` is right; `validation` is its UAR there."""
    folder.mkdir()
    rows = [
        Utterance(path=f"{speaker}/{emotion}.wav", emotion=emotion, speaker=str(speaker))
        for speaker in range(speakers)
        for emotion in EMOTIONS
    ]
    answers = rows * (len(seed) if isinstance(seed, list) else 1)
    generator = np.random.default_rng(1)
    shares = generator.random((len(answers), 8))
    for place, row in enumerate(answers):
        truth = EMOTIONS.index(row.emotion)
        # The same clips are hard for every run.
        shares[place, truth if generator.random() < hits else (truth + 1) % 8] = 3
    source = provenance.Provenance(
        corpus="ravdess", description="RAVDESS", synthetic=False,
        protocol={"name": protocol, "fold": None, "seed": 0, "test_sha256": lists}, split="test",
        protocol_text="Words.", leaks=[], speaker_independent=new, model=model, seed=seed, step=600,
    )  # fmt: skip
    scored = report.SplitPredictions(answers, EMOTIONS, shares / shares.sum(axis=1, keepdims=True))
    tables.write_tables(folder, report.build_report(scored, source))
    manifest.write(folder / "test.csv", rows)
    (folder / "config.yaml").write_text(yaml.safe_dump({"seed": seed, "trainer": {"learning_rate": learning_rate}}))
    if validation is not None:
        rows_of_history = f"validation,300,0.99\nvalidation,600,{validation}\n"
        (folder / "history.csv").write_text(f"evaluated_on,step,eval_unweighted_average_recall\n{rows_of_history}")
    used = {
        "training": {"seconds_to_step": 61.0, "seconds": 90.0, "clips_per_second": 12.3},
        "parameters": {"all": 2_000_000, "trained": 1_000_000},
        "checkpoint_bytes": 8_000_000,
    }
    (folder / "environment.json").write_text(json.dumps(used))
    return finished.read(folder)
