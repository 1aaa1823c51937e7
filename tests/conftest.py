import os

# Before TensorFlow is imported: its chatter would drown a failure.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
