import re

from components.example_gen.source_identity import PROPERTIES
from components.model_card import write
from shiftvit.config import ExperimentConfig, to_dict

SECTIONS = [  # of Mitchell et al. (2019)
    "Model details",
    "Intended use",
    "Factors",
    "Metrics",
    "Evaluation data",
    "Training data",
    "Quantitative analyses",
    "Ethical considerations",
    "Caveats and recommendations",
]
METRICS = {
    "top1": 0.9,
    "loss": 0.25,
    "ece": 0.03125,
    "macro_f1": 0.444,
    "examples": 1000,
    "class_top1": [0.8, None],
    "confusion": [[8, 2], [0, 0]],
    "corrupted_top1": {"blur": {"top1": 0.5, "examples": 40}},
}
CHANGE = {"top1_change": {"estimate": 0.012, "low": 0.004, "high": 0.02, "gained": 30, "lost": 18}}
DATA = {
    "class_names": '["cat", "dog"]',
    "image_size": 32.0,
    "source_kind": "archive",
    "source_sha256": "abc123",
    "source_published": 1,
    "count_train": 40_000.0,  # Kubeflow returns integers as floats
    "count_eval": 10_000.0,
    "count_test": 1000.0,
}


def card(data=DATA, **metrics):
    return write(METRICS | metrics, to_dict(ExperimentConfig()), data, pushed=1_800_000_000)


def test_sections_are_the_standard_ones_in_order():
    assert re.findall("^## (.+)$", card(), re.MULTILINE) == SECTIONS
    assert all(lines.strip() for lines in re.split("^## .+$", card(), flags=re.MULTILINE)[1:])


def test_metrics_have_intervals():
    lines = card(**CHANGE).splitlines()

    assert "| all | 1,000 | 90.0% | 88.0% to 91.7% |  |  |" in lines
    assert "| cat | 10 | 80.0% | 49.0% to 94.3% | 100.0% | 88.9% |" in lines
    assert "| with blur | 40 | 50.0% | 35.2% to 64.8% |  |  |" in lines
    assert not any(line.startswith("| dog") for line in lines), "the class has no test images"
    assert "Macro-F1: 44.4%. Loss: 0.2500." in lines
    assert any("changed by +1.2 points (95% interval +0.4 to +2.0)" in line for line in lines)


def test_metrics_that_were_not_measured_are_omitted():
    assert "changed by" not in card()
    assert "corrupted" not in card(corrupted_top1={})
    assert "op-5" not in card(), "there are two classes"
    assert "\nMacro-F1: 44.4%. Top-5: 99.5%. Loss: 0.2500.\n" in card(top5=0.995)
    assert "- Top-5: share of images" in card(top5=0.995)


def test_card_describes_data_and_training():
    text = card()

    assert "images of 32 x 32 pixels into 2 classes: cat, dog" in text
    assert "Split test, 1,000 images" in text and "Split train, 40,000 images" in text
    assert "Split eval, 10,000 images" in text and "Pushed on 2027-01-15 (UTC)" in text
    assert "Source: archive, SHA-256 abc123 (as published)." in text
    assert "learning_rate=0.001" in text and "dims=96,192,384,768" in text and "flip=true" in text


def test_source_without_published_checksum():
    for value in (0, None):  # Kubeflow returns 0 as None
        assert "(not as published)" in card(DATA | {"source_published": value})


def test_card_uses_all_properties_of_a_source():
    assert set(PROPERTIES) == set(DATA)
