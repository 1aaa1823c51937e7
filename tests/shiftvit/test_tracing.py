"""No function of the project is rewritten before TensorFlow traces it."""

import re

import tensorflow as tf
import trainings
from known_data import CLASS_NAMES

from shiftvit import train
from shiftvit.export import ServingModule
from shiftvit.features import EVAL, split_folder

REWRITTEN = re.compile(r"<function (\S+) at \S+> is not cached")  # as AutoGraph logs it
OF_KERAS = {"Model.make_train_function.<locals>.train_function", "Model.make_test_function.<locals>.test_function"}


def test_training_evaluating_and_serving_rewrite_no_function(drawn_examples, tmp_path, capsys):
    files = [f"{split_folder(drawn_examples, EVAL)}/*"]
    tf.autograph.set_verbosity(1, alsologtostdout=True)
    try:
        model = train.train(trainings.random_experiment(epochs=1), files, files, resume_dir=f"{tmp_path}/resume")
        server = ServingModule(model, CLASS_NAMES, 32)
        server.serve_images.get_concrete_function()
    finally:
        tf.autograph.set_verbosity(0)

    assert set(REWRITTEN.findall(capsys.readouterr().out)) == OF_KERAS
