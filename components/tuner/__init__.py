"""The hyperparameter search as a TFX component."""
