from importlib import metadata

from ser.runs import environment


def test_the_version_is_that_of_the_distribution_whose_name_is_not_the_package_s():
    assert environment.describe_environment("train")["packages"]["ser"] == metadata.version("ser-finetune")


def test_a_checkout_that_is_not_installed_has_no_version_and_runs(monkeypatch):
    monkeypatch.setattr(environment, "DISTRIBUTION", "no-such-distribution")
    assert environment.describe_environment("train")["packages"]["ser"] == "not installed"
