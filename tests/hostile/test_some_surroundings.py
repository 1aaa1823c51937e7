"""Three of the surroundings in which `soak_surroundings.py` runs the quickstart."""

import promised
import pytest
from surroundings import surroundings

NAMES = ("no such user, no HOME", "streams <&- >&- 2>&-", "PYTHONPATH=. with pipeline components tuner json")


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_run_pushes_a_model(name, tmp_path):
    [surrounding] = [each for each in surroundings() if each.name == name]

    promised.check(surrounding, tmp_path)


def test_there_are_many_surroundings_and_each_has_a_name_of_its_own():
    assert len({surrounding.name for surrounding in surroundings()}) == len(surroundings()) >= 100
