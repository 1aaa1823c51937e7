"""`shiftvit serve`: the newest pushed version over HTTP, in TensorFlow Serving's REST form."""
