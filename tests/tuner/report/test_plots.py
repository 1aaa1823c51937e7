import itertools
import math
import re
from xml.etree import ElementTree

import pytest
from made_results import MAGNITUDE, OPS, RATE, UNCHANGED, curve, failed_trial, make_results, make_trial, stopped_trial

from charts import svg
from tuner.report import plots
from tuner.results import Dimension


def curves(drawing):
    """Returns class, title, points and style of each line, bottom layer first."""
    lines = []
    for group in ElementTree.fromstring(drawing).iter("g"):
        if group.get("class", "").split(" ")[0] == "curve":
            path = group.find("path[@class='stroke']").get("d")
            points = [tuple(map(float, point.split(" "))) for point in path[1:].split("L")]
            lines.append((group.get("class"), group.find("title").text, points, group.get("style")))
    return lines


def texts(drawing):
    return {"".join(t.itertext()): t for t in ElementTree.fromstring(drawing).iter("text") if t.get("x")}


def heights(drawing, trial):
    return [y for _, title, points, _ in curves(drawing) if title.startswith(f"trial {trial}:") for _, y in points]


def test_best_and_first_curve_are_emphasised_and_on_top():
    scores = {"00": 0.5, "01": 0.6, "02": 0.4, "03": 0.55}
    drawing = plots.learning_curves(make_results(*(make_trial(trial, score) for trial, score in scores.items())))

    assert [(kind, title[:8]) for kind, title, _, _ in curves(drawing)] == [
        ("curve", "trial 02"),
        ("curve", "trial 03"),
        ("curve first", "trial 00"),
        ("curve best", "trial 01"),
    ]
    assert texts(drawing)["best: trial 01, 60.0%"].get("class") == "best"
    assert texts(drawing)["first: trial 00, 50.0%"].get("class") == "first"


def test_the_lowest_score_is_best_if_lower_is_better():
    trials = [make_trial("00", 0.5, objective="val_loss"), make_trial("01", 0.4, objective="val_loss")]

    drawing = plots.learning_curves(make_results(*trials, objective="val_loss", greater=False))

    assert "best: trial 01, 0.4" in texts(drawing)


def test_a_single_trial_is_best_and_first():
    assert "best and first: trial 00, 70.0%" in texts(plots.learning_curves(make_results(make_trial("00"))))


def test_curves_run_over_the_epochs_from_left_to_right():
    rising = make_trial("00", 0.6, curve=curve(0.2, 0.4, 0.6))

    (_, _, points, _), *_ = curves(plots.learning_curves(make_results(rising)))

    assert [x for x, _ in points] == [70, 345, 620]
    assert [y for _, y in points] == [344, 184, 24]


def test_a_diverged_trial_does_not_flatten_the_others():
    normal = make_trial("00", 0.6, curve=curve(0.2, 0.6))

    drawing = plots.learning_curves(make_results(normal, failed_trial("01", curve=curve(0.3, -1e9))))

    assert heights(drawing, "00") == [344, 24]
    assert heights(drawing, "01") == [264, 344]


def test_missing_and_infinite_values_are_left_out():
    gaps = make_trial("00", curve=(*curve(0.2, math.nan, 0.4), {"epoch": 4, "loss": 1.0}))

    (_, _, points, _), *rest = curves(
        plots.learning_curves(make_results(gaps, failed_trial("01", curve=curve(math.inf))))
    )

    assert len(points) == 2 and rest == []


@pytest.mark.parametrize("other", [0.7001, 0.71, 0.9])
def test_end_labels_do_not_overlap(other):
    drawing = plots.learning_curves(make_results(make_trial("00", 0.7), make_trial("01", other)))

    one, two = (float(t.get("y")) for words, t in texts(drawing).items() if "trial" in words)

    assert abs(one - two) >= svg.LINE_HEIGHT


def test_spread_keeps_the_order_and_moves_only_overlapping_labels():
    assert svg.spread([50, 10, 12, 11], 5) == [50, 10, 20, 15]


def positions(drawing, trial):
    """Returns the positions of a trial on the axes, from 0 to 1."""
    ends = [t for t in ElementTree.fromstring(drawing).iter("path") if t.get("class") == "rule"]
    top, bottom = (float(end.split(" ")[1]) for end in ends[0].get("d")[1:].split("L"))
    return [round((bottom - y) / (bottom - top), 3) for y in heights(drawing, trial)]


def test_lines_cross_the_axes_at_the_values_and_end_at_the_score():
    trials = [
        make_trial("00", 0.5),
        make_trial("01", 0.6, values={RATE.name: 0.008, "model.norm": "layer", OPS.name: 1, MAGNITUDE.name: 0.5}),
        make_trial("02", 0.7),
        failed_trial("03"),
    ]

    drawing = plots.parallel_coordinates(make_results(*trials))

    assert positions(drawing, "01") == [1, 1, 0.5, 0.5, 0.5]
    assert positions(drawing, "02")[-1] == 1
    assert positions(drawing, "00")[:3] == [0.5, 0.5, 0]
    assert "trial 03" not in drawing


def test_a_hyperparameter_that_is_switched_off_is_below_its_axis():
    drawing = plots.parallel_coordinates(make_results(make_trial("00"), make_trial("01", 0.8)))

    assert positions(drawing, "00")[3] < -0.05
    assert "off" in texts(drawing)


def test_off_is_not_labelled_if_nothing_is_off():
    values = {**UNCHANGED, MAGNITUDE.name: 0.5}

    assert "off" not in texts(plots.parallel_coordinates(make_results(make_trial("00", values=values))))


@pytest.mark.parametrize("greater, order", [(True, ["03", "02", "00", "01"]), (False, ["01", "00", "02", "03"])])
def test_lines_are_coloured_by_rank_and_the_best_is_thick_and_on_top(greater, order):
    trials = [make_trial(f"0{n}", score) for n, score in enumerate([0.5, 0.6, 0.49, -1e9])]

    lines = curves(plots.parallel_coordinates(make_results(*trials, greater=greater)))

    style = {
        title[6:8]: re.fullmatch(r"--shade: var\(--s(\d)\); --width: (.*)px", style) for _, title, _, style in lines
    }
    assert [style[trial][1] for trial in order] == ["0", "2", "4", "6"]
    assert [style[trial][2] for trial in order] == ["1.5", "1.5", "1.5", "4"]
    assert lines[-1][1].startswith(f"trial {order[-1]}:")


def test_axis_names_neither_overlap_nor_leave_the_drawing():
    space = [Dimension(f"data.randaugment_magnitude_{n}", 0.5, low=0.0, high=1.0, log=False) for n in range(12)]
    values = {dimension.name: 0.5 for dimension in space}

    drawing = ElementTree.fromstring(
        plots.parallel_coordinates(make_results(make_trial("00", values=values), space=space))
    )

    width = float(drawing.get("viewBox").split(" ")[2])
    turned = [t for t in drawing.iter("text") if t.get("transform")]
    starts = [re.match(r"translate\((\S+) (\S+)\) rotate\(-30\)", t.get("transform")).groups() for t in turned]
    assert len(starts) == 13
    for (x, y), text in zip(starts, turned, strict=True):
        length = len(text.text) * svg.LETTER_WIDTH
        assert float(x) + length * math.cos(math.radians(30)) <= width
        assert float(y) - length * math.sin(math.radians(30)) >= 12
    gaps = [float(after[0]) - float(before[0]) for before, after in itertools.pairwise(starts)]
    assert min(gaps) * math.sin(math.radians(30)) >= svg.LINE_HEIGHT  # between two lines of text


def test_only_some_of_many_choices_are_labelled():
    dimension = Dimension("many", 0, tuple(range(100)))

    drawing = plots.parallel_coordinates(make_results(make_trial("00", values={"many": 0}), space=[dimension]))

    levels = sorted(float(t.get("y")) for words, t in texts(drawing).items() if words.isdigit())
    assert len(levels) > 10
    assert min(after - before for before, after in itertools.pairwise(levels)) >= svg.LINE_HEIGHT


def test_lengths_of_bars_and_whiskers_are_values_and_errors():
    drawing = plots.bars([plots.Bar("a", 2.0, "two"), plots.Bar("b", 1.0, "one", 0.5), plots.Bar("c", -1.0, "-")], "")

    root = ElementTree.fromstring(drawing)
    assert [float(bar.get("width")) for bar in root.iter("rect")] == [320, 160, 0]
    (whisker,) = (path.get("d") for path in root.iter("path"))
    start, end = map(float, re.match(r"M(\S+) .*H([\d.]+)m", whisker).groups())
    assert end - start == pytest.approx(160)


def test_bars_of_zero_are_drawn():
    assert 'width="0.0"' in plots.bars([plots.Bar("a", 0.0, "none")], "")


def test_bars_have_the_state_as_their_class():
    assert 'class="bar stopped"' in plots.bars([plots.Bar("a", 1.0, "1 s", kind=stopped_trial("00").state)], "")


@pytest.mark.parametrize("draw", [plots.learning_curves, plots.parallel_coordinates])
def test_without_epochs_or_scores_there_is_no_chart(draw):
    assert draw(make_results(failed_trial("00"))) == ""
