import os
import subprocess
import sys
import zipfile
from pathlib import Path

import psutil
import pytest
from helpers.commands import PYTHON

SCRIPTS = Path(__file__).parents[2] / "scripts"


def script(name, *arguments, folder):
    environment = {**os.environ, "PYTHON": PYTHON}
    command = ["bash", SCRIPTS / name, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environment)


@pytest.fixture(scope="module")
def document(tmp_path_factory):
    """What `scripts/gpu.sh --device cpu --small` writes."""
    folder = tmp_path_factory.mktemp("gpu")
    result = script("gpu.sh", "--device", "cpu", "--small", "--out", "gpu.md", folder=folder)
    text = (folder / "gpu.md").read_text(encoding="utf-8")
    assert result.returncode == 0, text + result.stdout + result.stderr
    return text


def test_every_part_writes_its_tables_and_none_fails(document):
    for heading in ("## a. Tests", "## b. Speed", "## c. Where the time goes", "## d. A real run"):
        assert heading in document
    for table in (
        "| card | none (--device cpu)",
        "| claim | result | time | measured |",
        "| | naive | fast |",
        "| the ten largest operators |",
        "| after `trainer=fast` | a step |",
        "| accuracy |",
        "| ONNX provider |",
    ):
        assert table in document, table
    assert "Really run, `trainer=fast`, 6 steps" in document
    for bad in ("**Failed**", "**failed**", "Cut off", "cut off", "not measured"):
        assert bad not in document


def test_claims_about_the_device_are_named_with_what_was_measured(document):
    rows = [line for line in document.splitlines() if line.startswith("| 16 bits answer")]
    assert len(rows) == 2
    assert all("| passed |" in row and "logits off by" in row for row in rows)
    assert "2 claims hold, 0 do not." in document


def test_a_part_that_fails_is_reported_in_the_document_and_the_next_one_runs(tmp_path):
    broken = tmp_path / "scripts"
    for path in [*SCRIPTS.glob("gpu/*.py"), SCRIPTS / "gpu.sh"]:
        (broken / path.relative_to(SCRIPTS)).parent.mkdir(parents=True, exist_ok=True)
        (broken / path.relative_to(SCRIPTS)).write_text(path.read_text())
    (broken / "gpu" / "header.py").write_text("")
    (broken / "gpu" / "part_tests.py").write_text("raise RuntimeError('no such kernel')")
    (broken / "gpu" / "part_corpus.py").write_text("")
    command = ["bash", broken / "gpu.sh", "--device", "cpu", "--small", "--only", "a,d", "--out", tmp_path / "gpu.md"]
    result = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHON": PYTHON})
    text = (tmp_path / "gpu.md").read_text()
    assert result.returncode == 1
    assert "RuntimeError: no such kernel" in text
    assert text.index("**Failed** (status 1)") < text.index("## d. A real run")
    assert "d: ok" in result.stdout


def is_gone(process):
    """Whether a process has ended, be it that nobody has asked for its status."""
    try:
        return psutil.Process(process).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_a_process_whose_time_is_over_leaves_none_behind(monkeypatch):
    monkeypatch.syspath_prepend(str(SCRIPTS / "gpu"))
    from processes import run

    grandchild = "import subprocess, time; print(subprocess.Popen(['sleep', '60']).pid, flush=True); time.sleep(60)"
    ended = run([sys.executable, "-c", grandchild], limit=3)
    assert ended.status is None
    assert any(is_gone(int(ended.output)) for _ in range(200_000))  # killed is not yet dead


def test_an_unknown_part_is_refused_with_the_choices(tmp_path):
    result = script("gpu.sh", "--only", "a,x", "--out", tmp_path / "gpu.md", folder=tmp_path)
    assert result.returncode == 2
    assert "no part x; choices: a,b,c,d" in result.stderr
    assert not (tmp_path / "gpu.md").exists()


def test_wheels_of_what_is_here_are_left_alone(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(SCRIPTS / "gpu"))
    from packed import installed

    for name in ("numpy", "ser_no_such_package"):
        with zipfile.ZipFile(tmp_path / f"{name}-99.0-py3-none-any.whl", "w") as wheel:
            wheel.writestr(f"{name}/__init__.py", "")
            wheel.writestr(f"{name}-99.0.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 99.0\n")
            tags = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
            wheel.writestr(f"{name}-99.0.dist-info/WHEEL", tags)
            wheel.writestr(f"{name}-99.0.dist-info/RECORD", "")
    site = Path(installed(tmp_path, tmp_path / "site"))
    assert (site / "ser_no_such_package").is_dir()
    assert not (site / "numpy").exists()


def test_a_trace_is_read_as_time_in_kernels_gaps_and_waits(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(SCRIPTS / "gpu"))
    import json

    from traces import read

    def event(category, name, begin, duration):
        return {"ph": "X", "cat": category, "name": name, "ts": begin, "dur": duration}

    events = [
        event("kernel", "gemm", 10, 30), event("kernel", "softmax", 50, 10), event("kernel", "gemm", 55, 15),
        event("cuda_runtime", "cudaStreamSynchronize", 0, 7), event("cuda_runtime", "cudaLaunchKernel", 0, 3),
        event("cpu_op", "aten::mm", 0, 100),
    ]  # fmt: skip
    (tmp_path / "trace.json").write_text(json.dumps({"traceEvents": events}))
    trace = read(tmp_path / "trace.json", "cuda")
    assert (trace.span, trace.busy, trace.launches) == (60, 50, 3)
    assert trace.kernels == {"gemm": 40, "softmax": 10}
    assert trace.waits == {"cudaStreamSynchronize": 7}


def test_a_row_of_the_profile_that_takes_too_long_is_given_up(monkeypatch):
    for folder in (SCRIPTS, SCRIPTS / "gpu"):
        monkeypatch.syspath_prepend(str(folder))
    from part_profile import limited

    with pytest.raises(TimeoutError, match="not done after 0 s"), limited(0.01):
        for _ in iter(int, 1):  # without end
            pass
    with limited(60):
        pass
