import pytest

from ser.publish.redact import redact_command, redact_paths


@pytest.mark.parametrize(
    ("word", "sent"),
    [
        ("model.pretrained=/home/anna/encoders/large/", "model.pretrained=.../large"),
        ("root=~/RAVDESS", "root=.../RAVDESS"),
        ("'root=/home/anna/RAV DESS,v1'", "'root=.../RAV DESS,v1'"),
        (r"'root=C:\Users\anna\RAVDESS'", "root=.../RAVDESS"),
        (r"'root=\\server\anna\RAVDESS'", "root=.../RAVDESS"),
        (
            "'+trainer.extra_training_args.logging_dir=\"/home/anna/logs\"'",
            "'+trainer.extra_training_args.logging_dir=\".../logs\"'",
        ),
        ("url=file:///home/anna/RAVDESS", "url=file:.../RAVDESS"),
    ],
)
def test_a_command_names_no_local_folder(word, sent):
    assert redact_command(f"ser train {word} seed=1") == f"ser train {sent} seed=1"


@pytest.mark.parametrize("word", ["model.pretrained=facebook/hubert", "'seeds=[0,1]'", "model=a,b", "'x=it is'"])
def test_a_command_without_local_folders_is_sent_as_it_was(word):
    assert redact_command(f"ser train {word} seed=1") == f"ser train {word} seed=1"


def test_only_texts_that_are_paths_are_shortened():
    settings = {"a": ["../anna/folds.csv", "the training / test lists", 1.5, None], "b": {"c": "/home/anna/large"}}
    assert redact_paths(settings) == {"a": ["folds.csv", "the training / test lists", 1.5, None], "b": {"c": "large"}}
