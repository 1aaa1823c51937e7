"""TFX's Tuner, which also keeps the results of all trials and their report."""

import contextlib
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
from tfx.utils.typing_utils import ArtifactMultiDict

from components.tuner import execution
from components.tuner.config import TunerConfig
from shiftvit.config import from_dict, to_dict
from shiftvit.dataset import dataset_of_files
from shiftvit.features import TRAIN
from shiftvit.files import lease, paths, states
from shiftvit.stack import STACK
from tuner.report.document import render
from tuner.results import REPORT_FILE, RESULTS_FILE, to_json
from tuner.search import Search

_BUDGET = ("trials", "minutes", "workers")  # a larger budget resumes the search that a smaller one ended


def tuner_fn(fn_args: FnArgs) -> TunerFnResult:
    """Returns the search that `custom_config`, a TunerConfig, describes.

    Of two executions with one folder, the second waits for the end of the first, and then finds its trials.
    """
    config = from_dict(TunerConfig, fn_args.custom_config)
    folder = Path(config.resume_root) / _digest(config, fn_args.train_files)
    dataset = dataset_of_files(fn_args.train_files)
    experiment = config.experiment.for_data(dataset)
    experiment.train.check_split(sum(dataset.class_counts[TRAIN]))
    held = execution.held.get().enter_context(lease.hold(folder))
    states.reopen(folder)  # a larger budget may add trials
    search = Search(config.tune, experiment, fn_args.train_files, fn_args.eval_files, folder)
    return TunerFnResult(tuner=search, fit_kwargs={"check": held.check})


def _digest(config: TunerConfig, train_files: list[str]) -> str:
    """Returns a name for the state of the search, the same for searches on one stack that differ only in budget."""
    settings = to_dict(config)
    root = settings.pop("resume_root")
    settings["tune"] = {name: value for name, value in settings["tune"].items() if name not in _BUDGET}
    files = [paths.relative(file, root) for file in train_files]
    content = json.dumps([settings, files, STACK], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:16]


class Executor(standard.Executor):
    """Searches as TFX's executor does, and writes the results of all trials and their report beside TFX's table."""

    def Do(
        self, input_dict: ArtifactMultiDict, output_dict: ArtifactMultiDict, exec_properties: dict[str, Any]
    ) -> None:
        with contextlib.ExitStack() as stack:
            execution.held.set(stack)
            search = standard.search(input_dict, exec_properties, self._get_tmp_dir(), print_tuning_summary=False)
            standard.write_best_hyperparameters(search, output_dict)
            outputs = output_dict[standard_component_specs.TUNER_RESULTS_KEY]
            folder, results = Path(artifact_utils.get_single_uri(outputs)), search.results()
            (folder / RESULTS_FILE).write_text(to_json(results), encoding="utf-8")
            (folder / REPORT_FILE).write_text(render(results), encoding="utf-8")
            search.folder.remove_task()
            states.mark_finished(search.folder.path)
        states.prune(search.folder.path.parents[1])


class Tuner(StockTuner):
    """TFX's Tuner with our executor."""

    EXECUTOR_SPEC = ExecutorClassSpec(Executor)
