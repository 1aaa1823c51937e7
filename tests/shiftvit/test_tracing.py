"""No function of the project is rewritten before TensorFlow traces it."""

import os
import re
import subprocess
import sys

import trainings
from waiting import HANG_SECONDS

REWRITTEN = re.compile(r"<function (\S+) at \S+> is not cached")  # as AutoGraph logs it, once per process
NOT_OURS = {
    "Model.make_train_function.<locals>.train_function",
    "Model.make_test_function.<locals>.test_function",
    "canonicalize_signatures.<locals>.signature_wrapper",
}
PROGRAM = """
import sys
import tensorflow as tf
import trainings
from known_data import CIFAR10
from shiftvit import export, train

tf.autograph.set_verbosity(1, alsologtostdout=True)
config, (files, folder) = trainings.random_experiment(epochs=1), sys.argv[1:]
model = train.train(config, [files], [files], resume_dir=f"{folder}/resume")
export.export(model, config.model, CIFAR10, f"{folder}/model")
"""


def test_training_evaluating_and_exporting_rewrite_no_function(drawn_examples, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, f"{drawn_examples}/Split-eval/*", str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
        env=os.environ | {"PYTHONPATH": f"{trainings.ROOT}{os.pathsep}{trainings.ATTEMPT.parent}"},
    )

    assert done.returncode == 0, done.stderr
    assert set(REWRITTEN.findall(done.stdout)) == NOT_OURS
