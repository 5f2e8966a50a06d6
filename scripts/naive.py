"""The plain way to fine-tune, which `benchmark.py` measures `ser` against; started by it, in a process of its own.

What a tutorial has: torchaudio's resampling, `datasets.map` to lists of floats, the feature extractor as collator, the
stock classifier with eager attention, batches of 4 in random order with 2 accumulation steps, and the stock Trainer,
which waits for every checkpoint. Two things are mended, without which it would train something else: the loss is
divided by the accumulation steps (transformers issue 47688), and the CNN is frozen as the paper's is.
"""

import argparse
import csv
import json
import time
from pathlib import Path
from typing import Any

import soundfile
import torch
import torchaudio
from datasets import Dataset
from transformers import AutoFeatureExtractor, AutoModelForAudioClassification, Trainer, TrainingArguments, set_seed

from ser.training.throughput import PhaseTimer, peak_memory

RATE = 16_000  # Hz


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, required=True, help="the corpus")
    parser.add_argument("--lists", type=Path, required=True, help="folder of train.csv and test.csv")
    parser.add_argument("--checkpoint", required=True)
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--every", type=int, required=True, help="steps from one evaluation and checkpoint to the next")
    parser.add_argument("--logging", type=int, required=True, help="steps from one logged loss to the next")
    parser.add_argument("--bf16", action="store_true", help="bf16=True of the Trainer, on a CPU as well")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, required=True)
    given = parser.parse_args()

    set_seed(given.seed)
    extractor = AutoFeatureExtractor.from_pretrained(given.checkpoint)
    model = AutoModelForAudioClassification.from_pretrained(given.checkpoint, attn_implementation="eager")
    model.freeze_feature_encoder()
    model.accepts_loss_kwargs = False
    started = time.monotonic()
    train, test = (
        decoded(given.root, given.lists / f"{side}.csv", model.config.label2id) for side in ("train", "test")
    )
    preparing = time.monotonic() - started

    def collate(rows: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
        clips = [{"input_values": extractor(row["samples"], sampling_rate=RATE).input_values[0]} for row in rows]
        batch = extractor.pad(clips, padding=True, return_tensors="pt")
        return {**batch, "labels": torch.tensor([row["label"] for row in rows])}

    clock = PhaseTimer()
    trainer = Trainer(
        model=model,
        args=arguments(given),
        train_dataset=train,
        eval_dataset=test,
        data_collator=collate,
        compute_metrics=lambda answers: {"accuracy": float((answers[0].argmax(-1) == answers[1]).mean())},
        callbacks=[clock],
    )
    trainer.train()
    result = {
        "prepare": preparing, "phases": clock.phases, "log": trainer.state.log_history, "memory": peak_memory(),
        "clips": len(train) + len(test),
    }  # fmt: skip
    given.output.write_text(json.dumps(result))


def decoded(root: Path, path: Path, labels: dict[str, int]) -> Dataset:
    with path.open(newline="", encoding="utf-8") as file:
        rows = [{"path": row["path"], "label": labels[row["emotion"]]} for row in csv.DictReader(file)]

    def decode(row: dict[str, Any]) -> dict[str, Any]:
        samples, rate = soundfile.read(root / row["path"], dtype="float32", always_2d=True)
        waveform = torch.from_numpy(samples.mean(axis=1))
        return {"samples": torchaudio.functional.resample(waveform, rate, RATE).numpy()}

    return Dataset.from_list(rows).map(decode)


def arguments(given: argparse.Namespace) -> TrainingArguments:
    return TrainingArguments(
        output_dir=str(given.output.parent / "naive"),
        per_device_train_batch_size=4,
        gradient_accumulation_steps=2,
        per_device_eval_batch_size=4,
        max_steps=given.steps,
        learning_rate=1e-4,
        eval_strategy="steps",
        eval_steps=given.every,
        save_steps=given.every,
        logging_steps=given.logging,
        save_total_limit=2,
        remove_unused_columns=False,
        use_cpu=not torch.cuda.is_available(),
        bf16=given.bf16,
        fp16=torch.cuda.is_available() and not given.bf16,  # what the peer has on a GPU; float32 on a CPU
        report_to=[],
        disable_tqdm=True,
        seed=given.seed,
    )


if __name__ == "__main__":
    main()
