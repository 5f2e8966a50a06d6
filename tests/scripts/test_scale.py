"""The script that measures growth: its figures, on processes and corpora of known size."""

import sys
from pathlib import Path

import pytest

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="only Linux reports anonymous memory")
CODE = "import time; held = bytearray({size}); sum(range(2_000_000)); time.sleep(0.3); print('0.5 0.25')"


@pytest.fixture
def scale(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).resolve().parents[2] / "scripts"))
    import scale

    return scale


@LINUX
def test_the_largest_memory_of_a_process_is_measured(scale):
    small, large = (scale.measure([sys.executable, "-c", CODE.format(size=size)]) for size in (1, 200_000_000))
    assert large["peak"] - small["peak"] == pytest.approx(200_000_000, rel=0.1)
    assert small["seconds"] > small["cpu"] > 0


@LINUX
def test_a_stage_prints_its_own_time_without_imports(scale):
    measured = scale.measure([sys.executable, "-c", CODE.format(size=1), "--stage"])
    assert (measured["seconds"], measured["cpu"]) == (0.5, 0.25)


def test_a_stage_that_fails_ends_the_script(scale):
    with pytest.raises(SystemExit, match="exit 3"):
        scale.measure([sys.executable, "-c", "raise SystemExit(3)"])


def test_growth_is_fitted_between_the_two_largest_sizes(scale):
    def size(rows, cpu, peak):
        return {"rows": rows, "brief": False, "stages": {"open": {"seconds": 2 * cpu, "cpu": cpu, "peak": peak}}}

    results = [size(1000, 5, 90e6), size(10_000, 1, 100e6), size(100_000, 20, 118e6)]
    assert scale.fit(results[1:], "open") == ("1.30", "200")
    table = scale.tabulate(results)
    assert "| open | 10.0 s (5.0), 90 MB | 2.0 s (1.0), 100 MB | 40.0 s (20.0), 118 MB | 1.30 | 200 |" in table
