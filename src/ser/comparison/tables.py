"""A comparison as Markdown, CSV, LaTeX, HTML and figure."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tabulate import tabulate

from ser.comparison.blocks import Block, Repeated
from ser.comparison.degraded import UNDER_STRESS, stress_cells
from ser.comparison.figure import comparison_figure
from ser.comparison.formats import duration, p_value, percent, size
from ser.comparison.paper import TABLE_III, Published
from ser.data.published import TEST_LISTS
from ser.errors import UserError
from ser.files import write_csv, write_text
from ser.reports import figures, html_report
from ser.reports.rendering import template_environment
from ser.runs.finished import Run

BEGINNING = b"Each block is one protocol."
"""The first bytes of the comparison.md of every release."""
NEVER_ACROSS = "Each block is one protocol. Metrics of different blocks are not comparable."
UAR = "unweighted_average_recall"
NOT_OURS = "Published: Gavali & Verma 2023, Table III, one run of each model, on their machine and without intervals."


def check_place(folder: Path) -> None:
    """Raise a UserError where something else than an earlier comparison would be replaced."""
    text = folder / "comparison.md"
    ours = text.is_file() and text.read_bytes().startswith(BEGINNING)
    if not ours and (theirs := sorted(folder.glob("comparison.*"))):
        raise UserError(f"{theirs[0]}: not written by `ser compare`; give another output_dir")


def write(folder: Path, blocks: Sequence[Block], published: bool) -> None:
    """Write `comparison.md`, `.csv`, `.tex`, `.html`, `.png` and `.pdf` into `folder`.

    Args:
        folder: the output folder.
        blocks: the runs.
        published: show Table III of the paper beside its models, under its protocol.
    """
    write_text(folder / "comparison.md", markdown(blocks, published))
    rows = [numbers(block, run, published) for block in blocks for run in block.runs]
    write_csv(folder / "comparison.csv", rows[0].keys(), (row.values() for row in rows))
    write_text(folder / "comparison.tex", latex(blocks, published))
    figures.save(comparison_figure(blocks), folder / "comparison")
    write_text(folder / "comparison.html", html(blocks, published, folder / "comparison.png"))


def markdown(blocks: Sequence[Block], published: bool) -> str:
    parts = [NEVER_ACROSS]
    for block in blocks:
        parts += [f"## {block.title}", block.description, table(cells(block, published), "github")]
        parts += [table(pair_cells(block), "github")] if block.pairs else []
        parts += [table(stress_cells(block), "github")] if stress_cells(block) else []
        parts += notes(block, published)
    return "\n\n".join(parts) + "\n"


def latex(blocks: Sequence[Block], published: bool) -> str:
    """Return a `tabular` for each block, for a document that uses booktabs, with the notes as comments."""
    parts = []
    for block in blocks:
        lines = [NEVER_ACROSS, block.title, block.description, *notes(block, published)]
        parts.append("\n".join(f"% {line}" for line in lines))
        parts.append(table(cells(block, published), "latex_booktabs"))
    return "\n\n".join(parts) + "\n"


def html(blocks: Sequence[Block], published: bool, image: Path) -> str:
    """Render the page of a comparison."""
    described = "; ".join(
        f"{block.title}: "
        + ", ".join(f"{block.names[run.folder]} {percent(run.report[UAR])} {interval(run)}" for run in block.runs)
        for block in blocks
    )
    parts = [
        {
            "title": block.title,
            "description": block.description,
            "tables": [rows for rows in (cells(block, published), pair_cells(block), stress_cells(block)) if rows],
            "notes": notes(block, published),
        }
        for block in blocks
    ]
    picture = html_report.picture(image, f"Unweighted average recall with its 95 % interval. {described}.")
    return str(
        template_environment()
        .get_template("comparison.html")
        .render(title="Comparison of runs", blocks=parts, note=NEVER_ACROSS, picture=picture)
    )


COLUMNS = "trained: parameters; clips/s: in training; runtime: that of training up to the step."
VALIDATION = "validation: UAR on the validation split; "


def notes(block: Block, published: bool) -> list[str]:
    """Return the notes below the tables of a block."""
    return [
        *map(repetition, block.repeated),
        VALIDATION * is_validated(block) + COLUMNS,
        *([choice(block)] if len(block.runs) > 1 else []),
        *([legend(block)] if block.pairs else []),
        *([UNDER_STRESS] if stress_cells(block) else []),
        *([NOT_OURS] if published and has_published(block) else []),
    ]


def table(rows: Sequence[dict[str, str]], format: str) -> str:
    return str(tabulate(rows, headers="keys", tablefmt=format, disable_numparse=True))


def cells(block: Block, published: bool) -> list[dict[str, str]]:
    """Return the rows of a block, formatted."""
    rows, called = [], block.names
    for run, validation in zip(block.runs, block.validation, strict=True):
        row = {
            "run": called[run.folder],
            "accuracy": f"{percent(run.report['accuracy'])} ({at_step(run)})",
            "UAR [95 % interval]": f"{percent(run.report['unweighted_average_recall'])} {interval(run)}",
            **({"validation": mark(validation, run is block.chosen)} if is_validated(block) else {}),
            "size on disk": size(run.used["checkpoint_bytes"]),
            "runtime to that step": duration(run.used["training"]["seconds_to_step"]),
            "trained": f"{run.used['parameters']['trained'] / 1e6:.1f} M",
            "clips/s": f"{run.used['training']['clips_per_second']:.1f}",
        }
        if published and has_published(block):
            row["published"] = in_the_paper(TABLE_III.get(run.report["model"]))
        rows.append(row)
    return rows


def is_validated(block: Block) -> bool:
    """Return whether a run of the block has a validation split, which has a column then."""
    return any(recall is not None for recall in block.validation)


def mark(validation: float | None, best: bool) -> str:
    """Return the UAR on the validation split, with a star for the best run."""
    return "-" if validation is None else f"{percent(validation)}{' *' if best else ''}"


def numbers(block: Block, run: Run, published: bool) -> dict[str, Any]:
    """Return the CSV row of a run: SI units, shares between 0 and 1."""
    low, high = run.report["intervals"][UAR]
    row = {
        "block": block.title,
        "folder": str(run.folder),
        "model": run.report["model"],
        "seed": seeds(run),
        "clips": len({utterance.path for utterance in run.predictions.utterances}),
        "accuracy": run.report["accuracy"],
        "unweighted_average_recall": run.report[UAR],
        "interval_low": low,
        "interval_high": high,
        "validation_unweighted_average_recall": block.validation[block.runs.index(run)],
        "resampled": run.report["resampled"],
        "macro_f1": run.report["macro_f1"],
        "step": run.report["step"],
        "checkpoint_bytes": run.used["checkpoint_bytes"],
        **run.used["training"],
        "parameters": run.used["parameters"]["all"],
        "parameters_trained": run.used["parameters"]["trained"],
    }
    if published:
        theirs = TABLE_III.get(run.report["model"]) if has_published(block) else None
        row.update({f"published_{name}": getattr(theirs, name, None) for name in Published._fields})
    return row


def pair_cells(block: Block) -> list[dict[str, str]]:
    called = block.names
    return [
        {
            "better": called[pair.first.folder],
            "worse": called[pair.second.folder],
            "difference in accuracy": f"{100 * pair.difference:+.1f} points",
            "p, clips (McNemar)": "-" if pair.clips is None else p_value(pair.clips),
            "p, speakers (permutation)": p_value(pair.speakers),
            "adjusted": p_value(pair.adjusted),
        }
        for pair in block.pairs
    ]


def choice(block: Block) -> str:
    """Say which run is the best one to choose, and by what."""
    if block.chosen is None:
        return "No run is marked as the best: not all of them have a validation split, and tested clips do not choose."
    return (
        "* the highest UAR on the validation split. Settings are chosen by it; the order of the rows, by tested clips, "
        "chooses nothing."
    )


def legend(block: Block) -> str:
    independent = "speakers" if block.runs[0].report["speakers_are_new"] else "clips"
    return (
        f"Paired tests on the same clips. Adjusted: the p of {independent}, the independent units here, after Holm's "
        f"correction for {len(block.pairs)} pair{'s' * (len(block.pairs) > 1)}. A p above 0.05: no significant "
        "difference."
    )


def repetition(group: Repeated) -> str:
    numbers = ", ".join(map(str, sorted(run.report["seed"] for run in group.runs)))
    (accuracy, a_deviation), (recall, r_deviation) = group.accuracy, group.unweighted_average_recall
    return (
        f"{group.runs[0].report['model']} over the seeds {numbers}: accuracy {percent(accuracy)} +- "
        f"{100 * a_deviation:.1f}, UAR {percent(recall)} +- {100 * r_deviation:.1f} (mean and standard deviation)"
    )


def has_published(block: Block) -> bool:
    """Whether the block is the experiment of the paper: its protocol and its splits."""
    protocol = block.runs[0].report["protocol"]
    return protocol["name"] == "paper" and protocol.get("test_sha256") in TEST_LISTS["paper"]


def in_the_paper(theirs: Published | None) -> str:
    if theirs is None:
        return "-"
    return f"{100 * theirs.accuracy:.0f} % (at step {theirs.step}), {size(theirs.bytes)}, {duration(theirs.seconds)}"


def seeds(run: Run) -> str:
    return str(run.report["seed"]).strip("[]")


def at_step(run: Run) -> str:
    spread = run.report["spread"]
    return f"at step {run.report['step']}" if spread is None else f"{len(spread['runs'])} runs"


def interval(run: Run) -> str:
    low, high = run.report["intervals"][UAR]
    return f"[{100 * low:.1f}, {100 * high:.1f}]"
