"""Part a: the tests of tests/gpu on the device, a row of the table as each ends.

With `--small` those on one encoder in 16 bits alone: the tests of the project run all of them on the CPU.
"""

import sys
from pathlib import Path

import pytest
from document import Document, failure
from options import given

TESTS = Path(__file__).resolve().parents[2] / "tests" / "gpu"


class Rows:
    """A pytest plugin that writes what it sees at once: a cut loses the test that was running."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.failures: list[tuple[str, str]] = []
        self.passed = 0

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Write a row when a test is over, skipped or in error."""
        if report.when != "call" and report.passed:
            return
        name = report.nodeid.split("::")[-1].replace("test_", "", 1).replace("_", " ")
        result = "skipped: " + reason(report) if report.skipped else report.outcome
        measured = "; ".join(f"{key} {value}" for key, value in report.user_properties)
        self.document.row(name, result, f"{report.duration:.1f} s", measured)
        self.passed += report.passed
        if report.failed:
            self.failures.append((name, report.longreprtext))


def reason(report: pytest.TestReport) -> str:
    said = report.longrepr
    return str(said[2] if isinstance(said, tuple) else said).removeprefix("Skipped: ")


def main() -> None:
    options = given()
    which = (
        ["-m", "gpu"] if options.device == "cuda" else ["-k", "cpu and 16_bits and wavlm" if options.small else "cpu"]
    )
    document = options.document.table("claim", "result", "time", "measured")
    rows = Rows(document)
    base = ["--basetemp", str(options.work / "pytest"), "-p", "no:cacheprovider", "-q"]
    status = pytest.main([*which, *base, str(TESTS)], plugins=[rows])
    document.end()
    document.write(f"{rows.passed} claims hold, {len(rows.failures)} do not.")
    for name, text in rows.failures:
        document.write(f"{name}:", failure(text))
    if status:
        sys.exit(f"pytest ended with status {int(status)}: see the table")


if __name__ == "__main__":
    main()
