import json

from helpers.commands import ser


def test_the_tiny_model_recognises_emotions_of_new_synthetic_speakers(tmp_path):
    # Fold 2 took no part in shaping the corpus or the model; the quickstart's own fold 1 did.
    for arguments in (("prepare-data", "corpus=synthetic"), ("train", "experiment=quickstart", "protocol.fold=2")):
        result = ser(*arguments, cwd=tmp_path)
        assert result.returncode == 0, result.stderr
    folder = tmp_path / "runs" / "synthetic-emobox-tiny-seed0" / "fold2"
    report = json.loads((folder / "classification_report.json").read_text())
    assert report["unweighted_average_recall"] >= 0.6
    # It is labelled synthetic in every file that it leads to.
    for path in [
        *folder.iterdir(),
        *(tmp_path / "data" / "synthetic").iterdir(),
        folder / "checkpoint" / "config.json",
    ]:
        if path.suffix in (".txt", ".json", ".csv", ".html", ".yaml", ".log"):
            assert "synthetic" in path.read_text().lower(), path
