import pytest

from pipeline.lineage import Artifact, Execution
from pipeline.local import conclude_search
from shiftvit.errors import UserError


def test_a_search_from_the_cache_whose_results_are_gone_is_told_with_a_way_out(tmp_path):
    left = {"tuner_results": (Artifact(1, "TunerResults", str(tmp_path / "gone"), {}),)}
    search = Execution(6, "Tuner", "run", "cached", 0.0, 1.0, {}, left)

    with pytest.raises(UserError, match=r"gone: an earlier run left .* another train\.seed"):
        conclude_search({"Tuner": search})
