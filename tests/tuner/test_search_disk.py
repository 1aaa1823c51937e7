import pytest
import searches

from shiftvit.errors import DiskFullError
from tuner.results import COMPLETED


@pytest.mark.slow
def test_a_full_disk_fails_no_trial_and_the_search_resumes_once_there_is_space(small_disk, drawn_examples):
    folder = small_disk.folder / "search"
    search = searches.make(drawn_examples, folder, trials=1)
    with (
        small_disk.filled(left=500_000),
        pytest.raises(DiskFullError, match="a trial of the search ran out of space"),
    ):
        search.search()

    again = searches.make(drawn_examples, folder, trials=1)
    again.search()

    assert [(trial.state, trial.cause) for trial in again.results().trials] == [(COMPLETED, None)]
