"""The two software stacks that this project runs on, and which of them this process has. Imports nothing heavy.

`setup.py` chooses the packages by the version of Python, and so does this module. A further difference between the
stacks has one module: `shiftvit.optimizer` takes AdamW from `shiftvit.adamw_addons` or `shiftvit.adamw_keras`.
"""

import os
import sys

CLASSIC = "classic"  # Python 3.10, tfx 1.15, TensorFlow 2.15 with its Keras 2, TensorFlow Addons
CURRENT = "current"  # Python 3.11 to 3.13, tfx 1.21, TensorFlow 2.21 with tf-keras, which is Keras 2 too

STACK = CLASSIC if sys.version_info < (3, 11) else CURRENT


def choose_keras() -> None:
    """Makes `tf.keras` Keras 2 in this process and its children. Call it before `tf.keras` is used.

    Keras 3 does not train under MultiWorkerMirroredStrategy (keras issue 20585).
    """
    if STACK == CURRENT:
        os.environ["TF_USE_LEGACY_KERAS"] = "1"
