"""A page for the tests to look at: 24 speakers with random answers, a hostile one, what they were computed with."""

from dataclasses import replace

import numpy as np

from ser.corpora.ravdess import EMOTIONS
from ser.data.manifest import Utterance
from ser.evaluation import metrics
from ser.evaluation.confident_errors import ConfidentError, rank_errors_by_confidence
from ser.evaluation.variation import measure_variation
from ser.models.outputs import softmax
from ser.reports import figures, html_report, provenance, report, tables

HOSTILE = """</pre><script>document.title = "owned"</script><img src="x" onerror='alert(1)'>"""
USED = {
    "command": "ser train model=tiny 'seed=[0,1]'",
    "seconds": 994.0,
    "python": "3.11.7",
    "packages": {"ser": "0.1.0", "torch": "2.9.0"},
    "commit": None,
    "system": "Linux",
    "processor": "EPYC",
    "cores": 2,
    "threads": 2,
    "gpu": ["H100"],
    "cuda": "12.8",
}
PROVENANCE = provenance.Provenance(
    corpus="ravdess",
    description="RAVDESS, speech part (CC BY-NC-SA 4.0)",
    synthetic=False,
    protocol={"name": "emobox", "fold": 2, "seed": 0, "test_sha256": "ab12"},
    split="test",
    protocol_text="Speaker-independent: no test speaker occurs in the training split.",
    leaks=[],
    speaker_independent=True,
    model="tiny",
    seed=0,
    step=300,
)


def answers(speakers=24, name="Actor_{0:02d}/{1}-{0:02d}.wav", emotions=EMOTIONS):
    """Two clips of each emotion and speaker, with random probabilities that lean to the truth."""
    rows = [
        Utterance(
            path=name.format(speaker, 2 * place + take),
            emotion=emotion,
            speaker=str(speaker),
            gender=("female", "male")[speaker % 2],
            intensity=("normal", "strong")[take],
            statement="kids",
        )
        for speaker in range(1, speakers + 1)
        for place, emotion in enumerate(emotions)
        for take in range(2)
    ]
    logits = np.random.default_rng(0).normal(size=(len(rows), len(emotions)))
    logits += 2 * metrics.one_hot([row.emotion for row in rows], emotions)
    return report.SplitPredictions(rows, emotions, softmax(logits))


def error_recordings(scored):
    """The most confident mistakes, each with a tone of its own."""
    return [
        ConfidentError(
            scored.utterances[place],
            scored.labels[place],
            float(scored.probabilities[place].max()),
            (8000 * np.sin(2 * np.pi * (200 + place) * np.arange(8000) / 16000)).astype(np.int16),
        )
        for place in rank_errors_by_confidence(scored)
    ]


def runs(seeds=2, folds=6):
    values = {"clips": 64, "step": 300, "seconds": 61.0, "macro_f1": 0.5, "weighted_f1": 0.5, "accuracy": 0.5}
    return [
        {**values, "fold": fold, "seed": seed, "unweighted_average_recall": 0.4 + 0.02 * fold + 0.1 * seed}
        for fold in range(1, folds + 1)
        for seed in range(seeds)
    ]


def write_full(folder):
    """A page with everything in it, as the commands make one; returns what was measured."""
    scored = answers()
    measured = report.build_report(
        scored, replace(PROVENANCE, leaks=["Clip 7 is on both sides."]), measure_variation(runs())
    )
    tables.write(folder, measured)
    row = {"step": 300, "train_loss": 1.0, "train_accuracy": 0.5, "eval_loss": 1.0, "eval_accuracy": 0.5}
    figures.save(figures.training_figure([[row]], [300], "validation", "title"), folder / "training_graph")
    html_report.write(folder, measured, USED, error_recordings(scored))
    return measured


def write_hostile(folder):
    """A page on which everything that a user may name tries to be more than a name."""
    scored = answers(2, "{0}-{1}" + HOSTILE, ["angry", "<b>sad</b>"])
    scored = replace(scored, probabilities=1 - scored.probabilities)  # mostly mistakes
    source = replace(
        PROVENANCE, description=HOSTILE, model=HOSTILE, protocol_text=HOSTILE, leaks=[HOSTILE], synthetic=True
    )
    measured = report.build_report(scored, source)
    tables.write(folder, measured)
    html_report.write(folder, measured, {**USED, "command": HOSTILE}, error_recordings(scored))
