"""The TFX pipeline, the same for every runner."""
