import pytest
from conftest import composed

from ser.errors import UserError
from ser.runs.plan import expand_runs


def folders(*overrides):
    return [run.output_dir for run in expand_runs(composed("train", "model=tiny", "output_dir=out", *overrides))]


def test_a_protocol_without_folds_is_one_run_in_its_folder():
    assert folders() == ["out"]


def test_a_protocol_with_folds_is_a_run_for_each():
    assert folders("protocol=emobox") == [f"out/fold{fold}" for fold in range(1, 7)]


def test_one_fold_lies_where_the_run_of_all_folds_looks_for_it():
    assert folders("protocol=emobox", "protocol.fold=3") == ["out/fold3"]


def test_seeds_repeat_everything():
    assert folders("seeds=[0,5]") == ["out/seed0", "out/seed5"]
    assert folders("seeds=[0,5]", "protocol=emobox")[5:7] == ["out/seed0-fold6", "out/seed5-fold1"]


def test_one_seed_of_several_lies_where_the_run_of_all_seeds_looks_for_it():
    chosen = ("seeds=[0,5]", "only_seed=5", "protocol=emobox", "protocol.fold=3")
    assert folders(*chosen) == ["out/seed5-fold3"]
    (run,) = expand_runs(composed("train", *chosen))
    assert run.seed == 5
    assert run.only_seed is None  # the same settings as among all runs


def test_a_seed_that_is_not_among_the_seeds_is_refused():
    with pytest.raises(UserError, match=r"only_seed=1: choices: 0, 5 \(seeds\)"):
        composed("train", "seeds=[0,5]", "only_seed=1")


def test_each_run_has_its_own_seed_and_fold():
    run = expand_runs(composed("train", "seeds=[0,5]", "protocol=emobox"))[-1]
    assert (run.seed, run.seeds, run.protocol.fold) == (5, [5], 6)


@pytest.mark.parametrize("seeds", ["[]", "[1,1]"])
def test_no_seed_and_the_same_seed_twice_are_refused(seeds):
    with pytest.raises(UserError, match="at least one seed, and each once"):
        composed("train", f"seeds={seeds}")


def test_a_run_of_several_seeds_is_named_by_all_of_them():
    assert composed("train", "model=tiny", "seeds=[0,1,2]").output_dir == "runs/ravdess-paper-tiny-seed0-1-2"
