import json
import shlex
from dataclasses import replace
from itertools import pairwise

import pytest
import yaml
from huggingface_hub import ModelCard
from huggingface_hub.repocard_data import eval_results_to_model_index, model_index_to_eval_results
from markdown_it import MarkdownIt

from ser.corpora import synthetic
from ser.models.checkpoint import stamp_of
from ser.publish.card import render_card
from ser.runs import finished

HEADINGS = [
    "What these numbers are about", "Confusions", "How to use it", "Training data and licence", "How it was made",
    "Limits",
]  # fmt: skip


@pytest.fixture
def run(finished_run):
    return finished.read(finished_run)


@pytest.fixture
def stamp(finished_run):
    return stamp_of(finished_run / "checkpoint")


def loaded(text, tmp_path):
    """As the hub's own client reads it."""
    (tmp_path / "README.md").write_text(text)
    return ModelCard.load(tmp_path / "README.md")


MARKDOWN = MarkdownIt("commonmark").enable("table")


def html(text):
    return MARKDOWN.render(ModelCard(text).text)


def headings(text):
    tokens = MARKDOWN.parse(ModelCard(text).text)
    return [after.content for token, after in pairwise(tokens) if token.type == "heading_open"]


def test_the_index_of_results_has_the_numbers_of_the_report_with_protocol_and_interval_in_words(run, stamp, tmp_path):
    found = loaded(render_card(run, stamp, "anna/model", carries_code=False), tmp_path).data
    assert found.model_name == "model"
    measured = {result.metric_type: result for result in found.eval_results}
    names = {"accuracy": "accuracy", "recall": "unweighted_average_recall", "f1": "macro_f1"}
    assert measured.keys() == names.keys()
    for kind, name in names.items():
        low, high = run.report["intervals"][name]
        assert measured[kind].metric_value == pytest.approx(run.report[name], abs=5e-5)
        assert f"95 % interval {100 * low:.1f} to {100 * high:.1f} %" in measured[kind].metric_name
        assert measured[kind].dataset_args["protocol"] == run.report["in_words"]
        assert "speakers of the training split" in measured[kind].dataset_name
        assert measured[kind].dataset_split == "test"


def test_the_index_of_results_survives_the_clients_own_reading(run, stamp):
    text = render_card(run, stamp, "anna/model", carries_code=False)
    index = yaml.safe_load(text.split("---\n")[1])["model-index"]
    assert eval_results_to_model_index(*model_index_to_eval_results(index)) == index


def test_the_card_has_the_sentences_of_the_report_page(run, stamp):
    text = html(render_card(run, stamp, "anna/model", carries_code=False))
    assert "24 of 24 test speakers also occur in the training split" in text
    assert "The checkpoint was selected on this same split, which makes the metrics optimistic" in text
    assert "further clips of the same speakers, not other speakers" in text
    assert "CC BY-NC-SA 4.0" in text
    assert f"<td>{100 * run.report['accuracy']:.1f} %</td>" in text
    assert "<th>surprised</th>" in text


def test_leaks_stand_beside_the_number(run, stamp):
    assert "Warning" not in render_card(run, stamp, "anna/model", carries_code=False)
    leaky = replace(
        run, report={**run.report, "leaks": ["Leak: a.wav (train) and b.wav (test) are the same recording."]}
    )
    text = html(render_card(leaky, stamp, "anna/model", carries_code=False))
    assert "Warning: the training split and the scored split share more than they should." in text
    assert "<li>Leak: a.wav (train) and b.wav (test) are the same recording.</li>" in text


@pytest.mark.parametrize(
    ("pretrained", "base_model", "sentence"),
    [
        ("facebook/hubert-large-ls960-ft", "facebook/hubert-large-ls960-ft", "huggingface.co/facebook/hubert-large"),
        ("/home/anna/hubert", None, "from a local folder called hubert"),
        (None, None, "no pretrained encoder is in it"),
    ],
)
def test_the_base_model_is_named_where_the_hub_has_it(pretrained, base_model, sentence, run, stamp, tmp_path):
    text = render_card(run, {**stamp, "pretrained": pretrained}, "anna/model", carries_code=False)
    found = loaded(text, tmp_path).data
    assert found.base_model == base_model
    assert found.license == "cc-by-nc-sa-4.0"
    assert (found.library_name, found.pipeline_tag) == ("transformers", "audio-classification")
    assert sentence in text
    assert "/home" not in text


def test_artificial_voices_are_called_so_and_set_no_licence(run, stamp, tmp_path):
    made = {**run.report, "corpus": "synthetic", "synthetic": True, "description": "SYNTHETIC corpus"}
    voices = {**stamp, "facts": synthetic.FACTS.to_json()}
    text = render_card(replace(run, report=made), voices, "anna/model", carries_code=False)
    assert "Not human speech." in text
    found = loaded(text, tmp_path).data
    assert (found.license, found.datasets) == (None, None)


@pytest.mark.parametrize("carries_code", [True, False])
def test_remote_code_is_trusted_only_where_there_is_some(carries_code, run, stamp):
    assert ("trust_remote_code=True" in render_card(run, stamp, "anna/model", carries_code)) == carries_code


def test_the_card_reports_that_silence_was_cut_off(run, stamp):
    trimmed = render_card(run, {**stamp, "audio": {"trim": True}}, "anna/model", carries_code=False)
    assert "The silence before and after the speech was cut off" in trimmed
    assert "silence before" not in render_card(run, stamp, "anna/model", carries_code=False)


HOSTILE = 'x\n---\nlicense: mit\n---\n# Mine\n<script>alert(1)</script> [l](https://evil) `c` | $$ *b* {{ 1 }} "q" \''


def test_hostile_names_are_shown_and_do_nothing(run, stamp, tmp_path):
    bad = {"description": HOSTILE, "in_words": HOSTILE, "leaks": [HOSTILE], "model": HOSTILE, "seed": HOSTILE}
    protocol = {**run.report["protocol"], "name": HOSTILE}
    command = shlex.join(["ser", "train", f"x={HOSTILE}\n```\n# Mine"])
    used = {**run.used, "command": command, "processor": HOSTILE, "commit": HOSTILE}
    hostile = replace(run, report={**run.report, **bad, "protocol": protocol}, used=used)
    text = render_card(
        hostile, {**stamp, "pretrained": HOSTILE.replace("/", "") + "/x"}, "anna/my_model", carries_code=False
    )
    found = loaded(text, tmp_path)
    assert found.data.license == "cc-by-nc-sa-4.0"
    assert set(found.data.to_dict()) == {
        "base_model", "datasets", "library_name", "license", "metrics", "model-index", "pipeline_tag", "tags",
    }  # fmt: skip
    assert headings(text) == ["my\\_model", *HEADINGS]
    page = html(text)
    assert "<script" not in page
    assert 'href="https://evil"' not in page
    assert "<code>c</code>" not in page
    assert "<em>b</em>" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt; [l](https://evil) `c` | $$ *b* {{ 1 }}" in page
    assert page.count("<table>") == 2


def test_the_command_of_the_card_names_no_local_folder(run, stamp):
    used = json.loads(json.dumps(run.used)) | {"command": "ser train model.pretrained=/home/anna/large seed=1"}
    text = render_card(replace(run, used=used), stamp, "anna/model", carries_code=False)
    assert "ser train model.pretrained=.../large seed=1" in text
    assert "Three dots stand for a local folder." in text
