"""What the other stack really made, read and used on this one.

SHIFTVIT_OTHER_WORKSPACE names a workspace in which the other stack ran `shiftvit run --set lite.enabled=true` to its
pushed model. It may have been moved since, and these tests leave it as it is. Without it they are skipped.
"""

import hashlib
import io
import json
import os
from pathlib import Path

import numpy as np
import pytest
import servers
import tensorflow as tf
from PIL import Image

from components.lite.convert import LiteModel
from components.serving_folder import LITE_FOLDER
from pipeline.cli.main import main
from pipeline.graph.nodes import Node
from pipeline.runs import predictions, versions, workspace_stack
from pipeline.runs.workspace import RunFolder, Workspace
from shiftvit.stack import STACK

VARIABLE = "SHIFTVIT_OTHER_WORKSPACE"
WORKSPACE = Workspace(Path(os.environ.get(VARIABLE, "")))

pytestmark = pytest.mark.skipif(VARIABLE not in os.environ, reason=f"{VARIABLE} names no workspace of the other stack")


@pytest.fixture(scope="module")
def version():
    return versions.list_versions(WORKSPACE)[0]


@pytest.fixture(scope="module")
def saved(version):
    """What the other stack answered to the test images with the pushed model, and sample images."""
    return predictions.load(RunFolder(WORKSPACE.runs / version.run).predictions)


@pytest.fixture(scope="module")
def answers(version, saved):
    """The probabilities that the model gives the sample images on this stack, float32 (N, classes)."""
    model = tf.saved_model.load(str(version.folder))
    return model.answer(tf.constant(saved.sample_images))["probabilities"].numpy()


@pytest.fixture(autouse=True)
def unchanged():
    before = content()
    yield
    assert content() == before


def content():
    """Returns a digest of each file in the workspace."""
    files = [path for path in sorted(WORKSPACE.root.rglob("*")) if path.is_file()]
    return {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def png(image):
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize("command", ["run", "tune --set tune.trials=2"])
def test_commands_that_run_the_graph_refuse_it(command, capsys):
    assert workspace_stack.read(WORKSPACE) != STACK

    assert main([*command.split(), "--workspace", str(WORKSPACE.root)]) == 2
    assert f"and this is the {STACK} stack" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["runs", "show", "report --json", "versions"])
def test_commands_that_read_it_work(command, capsys):
    assert main([*command.split(), "--workspace", str(WORKSPACE.root)]) == 0
    assert capsys.readouterr().out


def test_its_model_answers_the_test_split_as_on_its_own_stack(version, saved):
    folders = (WORKSPACE.artifacts / Node.EXAMPLE_GEN / "examples").iterdir()
    here = predictions.gather(str(version.folder), str(max(folders, key=lambda folder: int(folder.name))))

    assert here.split == saved.split, "the records are the same, read here"
    np.testing.assert_array_equal(here.answers, saved.answers)
    np.testing.assert_allclose(here.confidences, saved.confidences, atol=1e-5)


def test_predict_classifies_with_its_model(saved, answers, tmp_path, capsys):
    files = [tmp_path / f"{number}.png" for number in range(len(answers))]
    for file, image in zip(files, saved.sample_images, strict=True):
        file.write_bytes(png(image))

    assert main(["predict", "--json", "--workspace", str(WORKSPACE.root), *map(str, files)]) == 0
    predicted = json.loads(capsys.readouterr().out)
    assert [each["class_id"] for each in predicted] == answers.argmax(1).tolist()
    np.testing.assert_allclose([each["probability"] for each in predicted], answers.max(1), atol=1e-5)


def test_its_model_is_served(saved, answers):
    with servers.running(WORKSPACE) as server:
        answer = server.post({"instances": [servers.b64(png(image)) for image in saved.sample_images]}).json()

    np.testing.assert_allclose([each["probabilities"] for each in answer["predictions"]], answers, atol=1e-5)


def test_its_lite_files_run_here_and_agree_with_its_model(version, saved, answers):
    files = sorted((version.folder / LITE_FOLDER).glob("*.tflite"))
    if not files:
        pytest.skip("its run made no TFLite files")
    for file in files:
        classes, _ = LiteModel(file.read_bytes()).classes(saved.sample_images)
        assert (classes == answers.argmax(1)).mean() > 0.98, file.name
