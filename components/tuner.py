"""What the Tuner component runs: TFX's own Tuner, which also keeps the results of all trials and their report."""

import hashlib
import json
from pathlib import Path
from typing import Any

from tfx.components.trainer.fn_args_utils import FnArgs
from tfx.components.tuner import executor as standard
from tfx.components.tuner.component import Tuner as StockTuner
from tfx.components.tuner.component import TunerFnResult
from tfx.dsl.components.base.executor_spec import ExecutorClassSpec
from tfx.types import artifact_utils, standard_component_specs

from shiftvit.config import ExperimentConfig, from_dict
from tuner.config import TuneConfig
from tuner.report.document import render
from tuner.results import REPORT_FILE, RESULTS_FILE, to_json
from tuner.search import Search

_BUDGET = ("trials", "minutes", "workers")  # a search of the same settings goes on where a smaller budget ended it


def tuner_fn(fn_args: FnArgs) -> TunerFnResult:
    """Returns the search that `custom_config` describes: `tune`, the `experiment` of a trial, and the `resume_root`."""
    config = fn_args.custom_config
    search = Search(
        from_dict(TuneConfig, config["tune"]),
        from_dict(ExperimentConfig, config["experiment"]),
        fn_args.train_files,
        fn_args.eval_files,
        Path(config["resume_root"]) / _key(config, fn_args.train_files),
    )
    return TunerFnResult(tuner=search, fit_kwargs={})


def _key(config: dict[str, Any], train_files: list[str]) -> str:
    """Names the search by its content, so that the next execution of the same one goes on with it."""
    settings = {name: value for name, value in config["tune"].items() if name not in _BUDGET}
    content = json.dumps([config | {"tune": settings}, list(train_files)], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:16]


class Executor(standard.Executor):
    """Searches as TFX's executor does, and leaves all trials' results and their report beside TFX's own table."""

    def Do(self, input_dict, output_dict, exec_properties):
        """Runs the search; the arguments are TFX's."""
        search = standard.search(input_dict, exec_properties, self._get_tmp_dir(), print_tuning_summary=False)
        standard.write_best_hyperparameters(search, output_dict)
        outputs = output_dict[standard_component_specs.TUNER_RESULTS_KEY]
        folder, results = Path(artifact_utils.get_single_uri(outputs)), search.results()
        (folder / RESULTS_FILE).write_text(to_json(results))
        (folder / REPORT_FILE).write_text(render(results))


class Tuner(StockTuner):
    """TFX's Tuner with that executor."""

    EXECUTOR_SPEC = ExecutorClassSpec(Executor)
