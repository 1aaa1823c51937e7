"""`shiftvit serve` serves the newest pushed version with TensorFlow Serving's REST API; `shiftvit predict` runs one."""
