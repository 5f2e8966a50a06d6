"""ser evaluate checkpoint=runs/..."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from ser import config, console
from ser.acceleration.cpu_backend import enable_onednn_fp32_matmul
from ser.data.prepared_corpus import CorpusClips
from ser.errors import UserError
from ser.evaluation.mp3 import check_mp3
from ser.evaluation.scoring import Scorer
from ser.evaluation.stress import predict_stressed
from ser.experiments.elsewhere import name_of, score_elsewhere
from ser.locks import locked
from ser.models import checkpoint
from ser.models.hub import find_checkpoint
from ser.out_of_memory import explaining_out_of_memory
from ser.reports import stress
from ser.reports.provenance import build_provenance
from ser.reports.report import build_report
from ser.reports.write import write_report
from ser.runs.environment import describe_environment
from ser.runs.folder import REPORT, RunFolder
from ser.runs.trained_data import evaluation_name, folder_beside, leave_out_adapted, load_trained_data

WRITTEN = (
    "report.html",
    "predictions.csv",
    "breakdown.csv",
    "confusion_matrix.csv",
    *(f"{name}{suffix}" for name in ("confusion_matrix", "speakers", "reliability") for suffix in (".png", ".pdf")),
    *(f"classification_report{suffix}" for suffix in (".txt", ".json")),
)
"""The files of an evaluation."""
SOMETIMES = stress.FILES
"""Those that some evaluations have."""


def evaluate(cfg: config.Evaluate) -> None:
    """Score a checkpoint on a split of the protocol that it was trained under."""
    console.start_logging()
    console.quiet_transformers()
    enable_onednn_fp32_matmul()
    if cfg.stress:
        check_mp3()
    if cfg.corpus is not None:
        return evaluate_elsewhere(cfg)
    assert cfg.checkpoint is not None
    folder = find_checkpoint(cfg.checkpoint)
    stamp = checkpoint.stamp_of(folder)
    protocol, prepared, splits = load_trained_data(stamp, folder, cfg.root, cfg.data_dir)
    if not splits.get(cfg.split):
        raise UserError(f"split={cfg.split.value}: protocol '{protocol.name}' has no such split; choices: train, test")
    utterances = leave_out_adapted(stamp, prepared, splits.get(cfg.split))
    if not utterances:
        raise UserError(f"checkpoint={cfg.checkpoint}: it is adapted to every clip of the {cfg.split.value} split")
    scored: dict[str, Any] = {cfg.split.value: utterances}
    splits = replace(splits, **scored)
    target = output_folder(cfg, folder)
    classifier, extractor = checkpoint.load(folder, prepared.emotions)
    with explaining_out_of_memory(f"lower batch_size={cfg.batch_size}"):
        scorer = Scorer.from_classifier(classifier, extractor, checkpoint.audio_config(stamp).trim, cfg.batch_size)
        predictions = scorer.predict(prepared, utterances)
        clips = CorpusClips(prepared, utterances)
        stressed = predict_stressed(scorer.predict_clips, clips, utterances) if cfg.stress else None
    provenance = build_provenance(protocol, splits, cfg.split, stamp, prepared)
    report = build_report(predictions, provenance, stressed=stressed)
    with locked(target):
        write_report(target, report, describe_environment("evaluate"), prepared)
    console.print_report(target)


def evaluate_elsewhere(cfg: config.Evaluate) -> None:
    """Score a checkpoint or anybody's predictions on a corpus of choice."""
    assert cfg.corpus is not None
    target = output_folder(cfg, None)
    with explaining_out_of_memory(f"lower batch_size={cfg.batch_size}"):
        scored = score_elsewhere(cfg)
    report = build_report(scored.predictions, scored.provenance, stressed=scored.stressed)
    with locked(target):
        write_report(target, report, describe_environment("evaluate"), scored.prepared)
    console.print_report(target)


def output_folder(cfg: config.Evaluate, checkpoint_folder: Path | None) -> Path:
    """Return the folder of the reports; without a checkpoint folder it lies in `evaluations`.

    Raises:
        UserError: a run is there, or a file that no evaluation wrote and that would be replaced.
    """
    if cfg.output_dir is not None:
        target = Path(cfg.output_dir)
        if RunFolder(target).is_run():
            raise UserError(f"output_dir={target}: a run is here; give another output_dir")
        there = [name for name in (*WRITTEN, *SOMETIMES) if (target / name).exists()]
        if there and not (target / REPORT).is_file():
            raise UserError(f"output_dir={target}: {there[0]} is here, from no evaluation; give another output_dir")
        return target
    if checkpoint_folder is None:
        assert cfg.corpus is not None
        model = name_of(str(cfg.checkpoint or cfg.predictions))
        protocol = [cfg.protocol.name, cfg.split.value] if cfg.protocol else []
        return Path("evaluations") / "-".join([model, "on", cfg.corpus.name, *protocol])
    return folder_beside(checkpoint_folder, evaluation_name(cfg.split))
