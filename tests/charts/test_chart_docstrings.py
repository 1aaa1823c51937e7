import doctest

import pytest

from charts import axis, formats, markup, svg


@pytest.mark.parametrize("module", [axis, formats, markup, svg])
def test_examples_in_docstrings_are_correct(module):
    failed, attempted = doctest.testmod(module)

    assert failed == 0 < attempted
