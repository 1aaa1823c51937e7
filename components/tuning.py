"""What the Tuner component runs."""

from tfx.v1 import components as tfx_components

from shiftvit.config import ExperimentConfig, from_dict
from tuner.search import make_tuner


def tuner_fn(fn_args: tfx_components.FnArgs) -> tfx_components.TunerFnResult:
    """Returns the search in `custom_config`: the `experiment` of a trial, and how many `trials`."""
    config = fn_args.custom_config
    tuner = make_tuner(
        from_dict(ExperimentConfig, config["experiment"]),
        config["trials"],
        fn_args.train_files,
        fn_args.eval_files,
        fn_args.working_dir,
    )
    return tfx_components.TunerFnResult(tuner=tuner, fit_kwargs={})
