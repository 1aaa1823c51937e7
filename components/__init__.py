"""The components of the TFX pipeline."""
