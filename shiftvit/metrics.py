"""The loss, the metrics, their names and the objective of tuning: the one owner of all four."""

import tensorflow as tf

LOSS = "loss"
TOP1 = "top1"
TOP5 = "top5"

OBJECTIVE = f"val_{TOP1}"  # on the eval split; greater is better


class SmoothedCrossEntropy(tf.keras.losses.Loss):
    """Softmax cross-entropy of logits (N, classes) against class ids (N,), with label smoothing."""

    def __init__(self, label_smoothing: float = 0.0):
        super().__init__(name="smoothed_cross_entropy")
        self.label_smoothing = label_smoothing

    def call(self, y_true, y_pred):
        """Returns the loss of each example, (N,)."""
        class_ids = tf.reshape(tf.cast(y_true, tf.int32), [-1])
        targets = tf.one_hot(class_ids, tf.shape(y_pred)[-1], dtype=y_pred.dtype)
        return tf.keras.losses.categorical_crossentropy(
            targets, y_pred, from_logits=True, label_smoothing=self.label_smoothing
        )


def make_metrics() -> list[tf.keras.metrics.Metric]:
    """Returns the metrics every fit and evaluation records."""
    return [
        tf.keras.metrics.SparseCategoricalAccuracy(name=TOP1),
        tf.keras.metrics.SparseTopKCategoricalAccuracy(k=5, name=TOP5),
    ]
