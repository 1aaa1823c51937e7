"""The training loss, the weights of the classes in it, and the metrics that Keras computes with it."""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from shiftvit.metrics import TOP1, TOP5, has_top5


class SmoothedCrossEntropy(tf.keras.losses.Loss):
    """Softmax cross-entropy with label smoothing.

    Predictions are logits (N, classes). Targets are class ids, (N,) or (N, 1), or the shares of the classes in mixed
    images, (N, classes).
    """

    def __init__(self, label_smoothing: float = 0.0) -> None:
        super().__init__(name="smoothed_cross_entropy")
        self.label_smoothing = label_smoothing

    def call(self, y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        """Returns the loss of each example, (N,)."""
        targets = tf.cast(y_true, y_pred.dtype)
        if not _are_shares(y_true, y_pred):
            targets = tf.one_hot(_class_ids(y_true, y_pred), tf.shape(y_pred)[-1], dtype=y_pred.dtype)
        return tf.keras.losses.categorical_crossentropy(
            targets, y_pred, from_logits=True, label_smoothing=self.label_smoothing
        )


def balanced_weights(class_counts: Sequence[int]) -> np.ndarray:
    """Returns a weight for each class, float32 (classes,), so that all classes weigh the same together.

    The weight is inverse to the number of images of the class, and its mean over the images is 1. A class without
    images has the weight 0.

    >>> balanced_weights([40, 10, 0]).tolist()
    [0.625, 2.5, 0.0]
    """
    counts = np.array(class_counts, float)
    even = counts.sum() / np.count_nonzero(counts)
    return np.divide(even, counts, out=np.zeros_like(counts), where=counts > 0).astype(np.float32)


def weigh(targets: tf.Tensor, class_weights: np.ndarray) -> tf.Tensor:
    """Returns the weights of images, float32 (N,): of a mixed image, the sum of its shares times their weights.

    Args:
        targets: class ids, int64 (N,), or the shares of the classes, float32 (N, classes).
        class_weights: by class id, float32 (classes,).
    """
    if targets.dtype.is_floating:
        return tf.linalg.matvec(targets, class_weights)
    return tf.gather(class_weights, targets)


def make_metrics(num_classes: int) -> list[tf.keras.metrics.Metric]:
    """Returns the metrics of every fit and evaluation; the true class of a mixed image is that of its largest share."""
    ranks = {TOP1: 1, TOP5: 5} if has_top5(num_classes) else {TOP1: 1}
    return [tf.keras.metrics.MeanMetricWrapper(_in_top, name, k=k) for name, k in ranks.items()]


def _in_top(y_true: tf.Tensor, y_pred: tf.Tensor, k: int) -> tf.Tensor:
    return tf.keras.metrics.sparse_top_k_categorical_accuracy(_class_ids(y_true, y_pred), y_pred, k=k)


def _class_ids(y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
    if _are_shares(y_true, y_pred):
        return tf.argmax(y_true, axis=-1, output_type=tf.int32)
    return tf.reshape(tf.cast(y_true, tf.int32), [-1])


def _are_shares(y_true: tf.Tensor, y_pred: tf.Tensor) -> bool:
    return len(y_true.shape) == 2 and y_true.shape[-1] == y_pred.shape[-1]
