"""Hyperparameter search with KerasTuner: search space, oracle, workers, trials, results and report."""
