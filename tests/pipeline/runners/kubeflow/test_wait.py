"""Waiting for a submitted run."""

import pytest

from pipeline.runners.kubeflow import submit
from pipeline.runners.kubeflow.submit import RUN, Names
from shiftvit.errors import NotBlessedError, UserError


def task(name, state, **more):
    return {"display_name": name, "state": state} | more


def answer(state, *tasks, **more):
    return {"state": state, "run_details": {"task_details": list(tasks)}} | more


def wait(server, file, *progress):
    """Returns the reported states, and None or the error of the wait."""
    server.state.progress = list(progress)
    run, reported = submit.submit(file, server.url, names=Names(run="r")), []
    try:
        run.wait(lambda name, state: reported.append((name, state)))
    except UserError as error:
        assert "\n" not in str(error) and run.url in str(error)
        return reported, str(error)
    return reported, None


def test_wait_reports_each_change_and_returns_on_success(server, file):
    reported, error = wait(
        server,
        file,
        {"state": "PENDING"},
        answer("RUNNING", task("root", "RUNNING"), task("Trainer-driver", "SUCCEEDED"), task("Trainer", "RUNNING")),
        answer("RUNNING", task("Trainer", "RUNNING"), task("executor", "RUNNING")),
        answer(
            "SUCCEEDED", task("Trainer", "SUCCEEDED"), task("Refused-driver", "SUCCEEDED"), task("Refused", "SKIPPED")
        ),
    )

    assert error is None
    assert reported == [
        (RUN, "PENDING"),
        ("Trainer-driver", "SUCCEEDED"), ("Trainer", "RUNNING"), (RUN, "RUNNING"),
        ("Trainer", "SUCCEEDED"), ("Refused-driver", "SUCCEEDED"), ("Refused", "SKIPPED"), (RUN, "SUCCEEDED"),
    ]  # fmt: skip


@pytest.mark.parametrize("state", ["SUCCEEDED", "FAILED"])  # as kubeflow.refused says
def test_a_refused_model_is_told_from_a_failure(server, file, state):
    server.state.progress = [answer(state, task("Pusher", "SUCCEEDED"), task("Refused", state))]
    run = submit.submit(file, server.url, names=Names(run="r"))

    with pytest.raises(
        NotBlessedError, match=r"^run r pushed no version: the log of its step Refused says why; see ht"
    ):
        run.wait(lambda *_: None)


def test_wait_survives_missing_answers(server, file):
    server.state.progress = [{"state": "SUCCEEDED"}]
    run = submit.submit(file, server.url)
    server.state.fail("GET", f"runs/{run.id}", 503, times=3)

    run.wait(lambda *_: None)

    assert len(server.state.asked("GET", f"runs/{run.id}")) == 4


ERROR = {"error": {"code": 13, "message": "exit\ncode 3"}}


@pytest.mark.parametrize(
    ("tasks", "more", "message"),
    [
        ([task("Trainer", "FAILED", **ERROR)], {}, " failed at Trainer (exit code 3); "),
        ([task("Trainer", "FAILED", state_history=[{"state": "RUNNING"}, ERROR])], {}, " at Trainer (exit code 3); "),
        ([task("root", "FAILED"), task("executor", "FAILED"), task("Trainer", "FAILED")], {}, " at Trainer (no"),
        ([task("root", "FAILED"), task("Trainer-driver", "FAILED", **ERROR)], {}, " at Trainer-driver (exit code 3); "),
        ([task("Trainer", "SUCCEEDED"), task("root-driver", "FAILED", **ERROR)], {}, " at root-driver (exit code 3); "),
        ([], {}, "run r failed; "),
        ([], ERROR, "run r failed: exit code 3; "),
    ],
)
def test_a_failure_is_reported_with_the_task_and_kfps_reason(server, file, tasks, more, message):
    reported, error = wait(server, file, answer("FAILED", *tasks, **more))

    assert message in error and reported[-1] == (RUN, "FAILED")


@pytest.mark.parametrize(
    ("state", "message"), [("CANCELED", "run r was cancelled; "), ("SKIPPED", "run r was skipped; ")]
)
def test_a_run_that_ends_without_success_is_an_error(server, file, state, message):
    assert message in wait(server, file, {"state": state})[1]
