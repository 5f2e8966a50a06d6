"""scripts/voices.py: what `ser adapt` gains on the other clips of a speaker."""

import numpy as np
import pytest
from helpers.scripts import import_script

from ser.models.adaptation import LinearHead


@pytest.fixture
def script(monkeypatch):
    return import_script(monkeypatch, "voices")


def shifted_speaker(script, clips=6, shift=4.0):
    """A speaker of two emotions whose clips all lie on one side of the boundary of the checkpoint."""
    labels = np.repeat([0, 1], clips)
    pooled = np.stack([np.where(labels == 0, -1.0, 1.0) + shift, np.ones(2 * clips)], axis=1)
    return script.Speaker("anna", LinearHead(np.array([[-1.0, 0.0], [1.0, 0.0]]), np.zeros(2)), pooled, labels)


@pytest.mark.parametrize("kind", ["labelled", "unlabelled"])
def test_a_speaker_is_scored_on_the_clips_that_were_not_adapted_to(script, kind, monkeypatch):
    speaker, adapted_to = shifted_speaker(script), []
    adapt = script.adapt
    monkeypatch.setattr(script, "adapt", lambda one, chosen, how: adapted_to.append(chosen) or adapt(one, chosen, how))
    row = script.measure([speaker], per=2, kind=kind, repetitions=3)
    assert [int(chosen.sum()) for chosen in adapted_to] == [4, 4, 4]
    assert len(row.truth) == sum(int((~chosen).sum()) for chosen in adapted_to) == 3 * 8
    assert np.mean(np.equal(row.before, row.truth)) == 0.5
    assert np.mean(np.equal(row.after, row.truth)) == 1.0
    assert script.describe(row, 2)[2] == "1, 0"


def test_runs_are_measured_on_their_tested_speakers(script, exported_run, data_dir, capsys):
    script.main([str(exported_run / "fold1"), "--data-dir", str(data_dir), "--clips", "1", "--repetitions", "2"])
    printed = capsys.readouterr().out
    assert "1 of each emotion" in printed
    assert "unlabelled" in printed
    assert "4 speakers, 2 draws each" in printed
