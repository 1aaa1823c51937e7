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
    "top5": 0.995,
    "loss": 0.25,
    "ece": 0.03125,
    "examples": 1000,
    "class_top1": [0.8, None],
    "confusion": [[8, 2], [0, 0]],
    "corrupted_top1": {"blur": {"top1": 0.5, "examples": 40}},
}
CHANGE = {"top1_change": {"estimate": 0.012, "low": 0.004, "high": 0.02, "gained": 30, "lost": 18}}
DATA = {
    "class_names": '["cat", "dog"]',
    "source_kind": "archive",
    "source_sha256": "abc123",
    "source_published": 1,
    "count_train": 40_000.0,  # as Kubeflow hands whole numbers over
    "count_eval": 10_000.0,
    "count_test": 1000.0,
}


def card(data=DATA, **metrics):
    return write(METRICS | metrics, to_dict(ExperimentConfig()), data, pushed=1_800_000_000)


def test_it_has_the_standard_sections_in_their_order():
    assert re.findall("^## (.+)$", card(), re.MULTILINE) == SECTIONS
    assert all(lines.strip() for lines in re.split("^## .+$", card(), flags=re.MULTILINE)[1:])


def test_its_figures_are_those_of_the_evaluator_with_intervals():
    lines = card(**CHANGE).splitlines()

    assert "| all | 1,000 | 90.0% | 88.0% to 91.7% |" in lines
    assert "| cat | 10 | 80.0% | 49.0% to 94.3% |" in lines
    assert "| with blur | 40 | 50.0% | 35.2% to 64.8% |" in lines
    assert not any(line.startswith("| dog") for line in lines), "it has no test images"
    assert "Top-5: 99.5%. Loss: 0.2500." in lines
    assert any("changed by +1.2 points (95% interval +0.4 to +2.0)" in line for line in lines)


def test_what_was_not_measured_is_left_out():
    assert "changed by" not in card()
    assert "corrupted" not in card(corrupted_top1={})


def test_it_tells_the_data_and_how_the_model_was_trained():
    told = card()

    assert "Split test, 1,000 images" in told and "Split train, 40,000 images" in told
    assert "split eval, 10,000 images" in told and "Pushed on 2027-01-15 (UTC)" in told
    assert "Source: archive, SHA-256 abc123 (a published one)." in told
    assert "learning_rate=0.001" in told and "dims=96,192,384,768" in told and "flip=true" in told


def test_a_source_that_is_not_published_is_told_as_such_also_where_its_zero_was_lost():
    for value in (0, None):
        assert "(not a published one)" in card(DATA | {"source_published": value})


def test_it_asks_for_the_properties_that_it_tells():
    assert set(PROPERTIES) == set(DATA)
