"""The exported model as TFLite files, for devices that run no TensorFlow."""
