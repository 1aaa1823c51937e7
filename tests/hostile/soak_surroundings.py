"""The quickstart, as small as it gets, in every surrounding."""

import promised
import pytest
from surroundings import surroundings


@pytest.mark.parametrize("surrounding", surroundings(), ids=lambda surrounding: ascii(surrounding.name)[1:-1])
def test_run_pushes_a_model_or_says_why_not(surrounding, tmp_path):
    promised.check(surrounding, tmp_path)
