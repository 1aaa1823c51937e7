import io
import json
import math
import re
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout

import pytest

import benchmarks
from benchmarks import input_pipeline, machine, records, timing, train_loop
from pipeline.cli.main import main

TINY = (
    "model.image_size=8",
    "model.patch_size=2",
    "model.dims=16,32",
    "model.depths=1,1",
    "model.n_div=4",
    "train.batch_size=8",
    "train.precision=mixed_bfloat16",
)
ROWS = {
    "step": ["Keras example, float32", "ours, float32", "ours, mixed_bfloat16", "shift", "optimizer", "measured step"],
    "layers": ["shift", "norm", "bias and gelu", "merge"],
    "input": ["raw", "+ crop and flip", "+ RandAugment, 2 operations", "+ mixup or cutmix, 0.5", "+ erasing, 0.25"],
    "latency": ["1", "8", "64"],
}
MAY_BE_NEGATIVE = ("added µs", "rest")  # differences of two timings


def run(*options):
    """Runs benchmarks with as little work as possible; returns their stdout and stderr. The figures mean nothing."""
    settings = [word for setting in TINY for word in ("--set", setting)]
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setattr(timing, "_MIN_TURN", 0.0)
        patch.setattr(input_pipeline, "_TURN", 0.0)
        patch.setattr(machine, "SIDE", 64)
        patch.setattr(machine, "COPIED_BYTES", 2**20)
        patch.setattr(records, "COUNT", 100)
        patch.setattr(train_loop, "STEPS", 1)
        assert main(["bench", "--seconds", "0", *settings, *options]) == 0
    return out.getvalue(), err.getvalue()


@pytest.fixture(scope="module")
def output():
    """stdout and stderr of all benchmarks."""
    return run()


def read_tables(text):
    """Returns the rows of the Markdown tables in `text` as (name, {heading: cell})."""
    rows, headings = [], None
    for line in text.splitlines():
        if not line.startswith("|"):
            headings = None
        elif headings is None:
            headings = [cell.strip() for cell in line.strip("|").split("|")]
        elif not set(line) <= set("|-: "):
            cells = [cell.strip() for cell in line.strip("|").split("|")]
            rows.append((cells[0], dict(zip(headings[1:], cells[1:], strict=True))))
    return rows


@pytest.mark.slow
def test_every_benchmark_prints_its_rows(output):
    rows = [row for row, _ in read_tables(output[0])]

    for name in benchmarks.NAMES:
        assert set(ROWS[name]) <= set(rows), name
        assert f"{name}: complete" in output[1]
    assert output[0].count("### ") == 5 and "shiftvit.progress" not in output[1]


@pytest.mark.slow
def test_json_has_the_same_rows_as_the_text():
    (table,) = json.loads(run("input", "--json")[0])

    assert [row[0] for row in table["rows"]] == ROWS["input"]
    assert all(len(row) == len(table["headings"]) for row in table["rows"])


@pytest.mark.slow
def test_figures_are_finite_and_positive(output):
    for row, cells in read_tables(output[0]):
        for heading, cell in cells.items():
            if heading in ("shape", "precision") or not cell:
                continue
            figure = float(re.fullmatch(r"(-?[\d.,]+)%?", cell)[1].replace(",", ""))
            assert math.isfinite(figure), (row, heading, cell)
            assert figure > 0 or {row, heading} & set(MAY_BE_NEGATIVE), (row, heading, cell)


@pytest.mark.slow
def test_each_table_ends_with_the_limits_of_the_machine(output):
    for table in output[0].strip().split("### ")[1:]:
        assert table.strip().splitlines()[-1].startswith("Limits of this machine (")


@pytest.mark.slow
def test_parts_and_rest_add_up_to_the_step(output):
    rows = dict(read_tables(output[0].split("### ")[2]))

    milliseconds = {row: float(cells["ms"].replace(",", "")) for row, cells in rows.items()}
    step, total, rest = (milliseconds.pop(name) for name in ("measured step", "sum of the parts", "rest"))
    assert total == pytest.approx(sum(milliseconds.values()), rel=0.02)
    assert step == pytest.approx(total + rest, rel=0.02, abs=0.02 * total)
    # One block in each of two stages; norms of stem, blocks, merge and head; two products in each block.
    times = {row: rows[row]["times a step"] for row in ("shift", "norm", "products of the MLPs", "stem", "merge")}
    assert times == {"shift": "2", "norm": "5", "products of the MLPs": "4", "stem": "1", "merge": "1"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["stepp"], "unknown benchmark 'stepp'; did you mean step?"),
        (["--preset", "keras"], "unknown preset 'keras'"),
        (["--set", "model.dim=3"], "unknown key model.dim"),
        (["--seconds", "-1"], "--seconds=-1.0 must be from 0 to 86400"),
        (["--seconds", "nan"], "--seconds=nan must be from 0 to 86400"),
        (["step", "--set", "model.dims=96,192,384,512"], "set model.dims=96,192,384,768"),
        (["step", "--set", "model.n_div=48"], "model.n_div=48"),
    ],
)
def test_wrong_usage_prints_one_sentence_and_exits_with_2(capsys, options, message):
    assert main(["bench", *options]) == 2
    out, err = capsys.readouterr()
    last_line = err.splitlines()[-1]
    assert last_line.startswith("shiftvit: ") and message in last_line and out == ""


def test_benchmarks_do_not_import_tfx():
    program = (
        "import sys; from benchmarks import suite; print({'tfx', 'apache_beam', 'keras_tuner'} & set(sys.modules))"
    )
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (loaded.returncode, loaded.stdout.strip()) == (0, "set()"), loaded.stderr
