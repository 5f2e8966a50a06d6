"""The model card: results with their protocol, training data and use.

`card.md` beside this module is its template; the numbers and their words are those of the report page.
"""

import re
from pathlib import Path
from typing import Any

from huggingface_hub import EvalResult, ModelCardData
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from tabulate import tabulate

from ser.corpora import recorded_facts
from ser.corpora.facts import Facts
from ser.evaluation.metrics import COUNT_METRICS
from ser.models.hub import looks_like_hub_name
from ser.models.stamp import audio_config
from ser.publish.redact import last_part, redact_command
from ser.reports import html_report, html_text
from ser.reports.formats import percent, reach
from ser.reports.provenance import Provenance
from ser.reports.report import Report, build_report
from ser.runs.finished import Run

METRICS = {name: metric for name, metric in COUNT_METRICS.items() if metric.hub_name}
"""Metrics of the hub's index of results, where averages are over the emotions."""


def render_card(run: Run, stamp: dict[str, Any], repo: str, carries_code: bool) -> str:
    """Return README.md of a repository.

    Args:
        run: the run of the checkpoint.
        stamp: the entry of `ser` in the config of the checkpoint.
        repo: its name on the hub.
        carries_code: whether transformers needs code that comes with the checkpoint.
    """
    provenance = Provenance.from_report(run.report)
    report = build_report(run.predictions, provenance)
    pretrained = stamp["pretrained"]
    base_model = pretrained if pretrained is not None and looks_like_hub_name(pretrained) else None
    content = {
        "provenance": provenance,
        "report": report,
        "corpus": (facts := recorded_facts(stamp)),
        "repo": Markup(repo),
        "name": repo.split("/")[1],
        "base_model": base_model,
        "local_encoder": pretrained and last_part(pretrained),
        "trim": audio_config(stamp).trim,
        "carries_code": carries_code,
        "resampling": html_text.describe_intervals(report),
        "confusions": html_text.describe_confusion(report.counts, report.predictions.emotions),
        "metrics": html_report.metrics_table(report),
        "counts": html_report.counts_table(report.counts, report.predictions.emotions),
        "used": run.used,
        "command": redact_command(run.used["command"]),
    }
    body = make_environment().get_template("card.md").render(content)
    return f"---\n{front_matter(report, facts, base_model, repo).to_yaml()}\n---\n\n{body}"


def front_matter(report: Report, facts: Facts, base_model: str | None, repo: str) -> ModelCardData:
    """Return the metadata that the hub reads from the card."""
    provenance = report.provenance
    return ModelCardData(
        library_name="transformers",
        pipeline_tag="audio-classification",
        license=facts.license,
        base_model=base_model,
        datasets=None if provenance.synthetic else [provenance.corpus],
        tags=["speech-emotion-recognition", "ser", *["synthetic-data"] * provenance.synthetic],
        metrics=[metric.hub_name for metric in METRICS.values()],
        model_name=repo.split("/")[1],
        eval_results=[eval_result(report, name) for name in METRICS],
    )


def eval_result(report: Report, name: str) -> EvalResult:
    """Return a metric for the index of results, with its interval and its protocol in words."""
    provenance = report.provenance
    speakers = "speaker-independent" if provenance.speaker_independent else html_text.describe_shared(provenance)
    return EvalResult(
        task_type="audio-classification",
        task_name="Speech emotion recognition",
        dataset_type=provenance.corpus,
        dataset_name=one_line(f"{provenance.description}, protocol {provenance.protocol['name']}, {speakers}"),
        dataset_config=one_line(provenance.protocol["name"]),
        dataset_split=provenance.split,
        dataset_args={
            "protocol": one_line(provenance.protocol_text),
            "intervals": html_text.describe_intervals(report),
        },
        metric_type=METRICS[name].hub_name,
        metric_value=round(report.metrics[name], 4),
        metric_name=one_line(f"{METRICS[name].label} (95 % interval {reach(report.intervals[name])})"),
        metric_args=None if name == "accuracy" else {"average": "macro"},
    )


def make_environment() -> Environment:
    templates = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        finalize=escape_markdown,  # names of speakers, models and protocols may hold anything
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    templates.filters.update(percent=percent, reach=reach, fenced=fence_code, table=render_table)
    return templates


def escape_markdown(value: object) -> str:
    r"""Escape a text so that Markdown shows it as it is; `Markup` stays.

    >>> print(escape_markdown("moonshine_tiny <b>"))
    moonshine\_tiny \<b\>
    """
    return value if isinstance(value, Markup) else re.sub(r"([\\`*_\[\]<>|#&~$!])", r"\\\1", one_line(str(value)))


def fence_code(text: str) -> Markup:
    """Return a block of code between fences that the text cannot close."""
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
    return Markup(f"{fence}bash\n{text}\n{fence}")


def render_table(rows: html_report.Table) -> Markup:
    cells = [[escape_markdown(cell) for cell in row] for row in rows.rows]
    header = [escape_markdown(name) for name in rows.header]
    return Markup(tabulate(cells, headers=header, tablefmt="github", disable_numparse=True))


def one_line(text: str) -> str:
    return " ".join(text.split())
