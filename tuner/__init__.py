"""The hyperparameter search: its space, its budget and the KerasTuner that runs it."""
