"""Workers of other hosts, and the address at which they reach the chief."""

import os
import socket
import subprocess
import sys

import pytest
import searches
from ports import free_ports
from waiting import HANG_SECONDS

from shiftvit.errors import ConfigError
from tuner import chief, worker
from tuner.results import COMPLETED


@pytest.mark.slow
def test_a_worker_of_another_host_joins_through_the_environment(drawn_examples, tmp_path, monkeypatch):
    [port] = free_ports(1)
    chief = {"KERASTUNER_ORACLE_IP": "127.0.0.1", "KERASTUNER_ORACLE_PORT": str(port)}
    for name, value in (chief | {"KERASTUNER_TUNER_ID": "chief"}).items():
        monkeypatch.setenv(name, value)
    search = searches.make(drawn_examples, tmp_path / "search", trials=2, workers=0)

    worker = searches.start_worker(search.folder.path, chief | {"KERASTUNER_TUNER_ID": "host2"})
    search.search()

    assert worker.wait(HANG_SECONDS) == 0, "the chief has not ended the worker"
    assert [(trial.state, trial.worker) for trial in search.results().trials] == [(COMPLETED, "host2")] * 2


def test_a_worker_without_a_search_ends_with_one_sentence(tmp_path):
    chief = {"KERASTUNER_ORACLE_IP": "127.0.0.1", "KERASTUNER_ORACLE_PORT": "1", "KERASTUNER_TUNER_ID": "host2"}

    worker = searches.start_worker(tmp_path / "nothing", chief, stderr=subprocess.PIPE, text=True)

    message = worker.communicate(timeout=HANG_SECONDS)[1].splitlines()[-1]
    assert (worker.returncode, message) == (
        2,
        f"tuner.worker: {tmp_path}/nothing: no search was started there, or this host does not see it",
    )


def test_an_address_in_use_is_refused(drawn_examples, tmp_path, monkeypatch):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        for name, value in (("IP", "127.0.0.1"), ("PORT", str(port))):
            monkeypatch.setenv(f"KERASTUNER_ORACLE_{name}", value)
        monkeypatch.setenv("KERASTUNER_TUNER_ID", "chief")
        search = searches.make(drawn_examples, tmp_path / "search")

        with pytest.raises(ConfigError, match=f"cannot listen at 127.0.0.1:{port} for the workers"):
            search.search()


def test_a_search_refuses_to_start_in_the_environment_of_a_worker(drawn_examples, tmp_path, monkeypatch):
    monkeypatch.setenv("KERASTUNER_ORACLE_IP", "127.0.0.1")
    monkeypatch.setenv("KERASTUNER_TUNER_ID", "host2")

    with pytest.raises(ConfigError, match=r"KERASTUNER_TUNER_ID must be chief for this command.*tuner.worker FOLDER"):
        searches.make(drawn_examples, tmp_path / "search")


@pytest.mark.slow
def test_a_search_behind_a_dead_proxy_ends_as_without(drawn_examples, tmp_path, monkeypatch):
    for name in ("http", "https", "all", "grpc"):
        for variable in (f"{name}_proxy", f"{name}_PROXY".upper()):
            monkeypatch.setenv(variable, "http://127.0.0.1:9")
    search = searches.make(drawn_examples, tmp_path / "search", trials=2)
    search.search()

    assert [trial.state for trial in search.results().trials] == [COMPLETED] * 2


def test_a_worker_of_this_machine_that_reaches_no_search_ends_with_its_address(tmp_path):
    program = "import sys; from tuner import worker; worker._CONNECT_SECONDS = 0.1; sys.exit(worker.main())"
    address = {"KERASTUNER_ORACLE_IP": "127.0.0.1", "KERASTUNER_ORACLE_PORT": str(free_ports(1)[0])}
    started = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path), "--end-with-stdin"],
        env=os.environ | searches.PYTHON_PATH | address | {"KERASTUNER_TUNER_ID": "worker0"},
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )

    message = started.stderr.read().splitlines()[-1]
    assert message == f"tuner.worker: no answer from the search at 127.0.0.1:{address['KERASTUNER_ORACLE_PORT']}"
    assert started.wait(HANG_SECONDS) == 1
    started.stdin.close()


def test_a_worker_that_asks_for_no_trial_is_named_once_with_the_log(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(chief, "_SILENT_SECONDS", 0.0)
    pool = chief.WorkerPool(tmp_path, ("127.0.0.1", "1"), ())
    pool.silent_since = {"worker0": 0.0, "worker1": 0.0}
    for _ in range(2):
        pool.name_silent({"worker1"})

    assert [record.getMessage() for record in caplog.records if "worker" in record.getMessage()] == [
        f"worker0 of the search has not asked for a trial for a minute; see {chief._log()}"
    ]


def test_a_variable_that_is_empty_is_not_set(monkeypatch, capsys):
    for name, value in {"KERASTUNER_TUNER_ID": "w", "KERASTUNER_ORACLE_IP": "", "KERASTUNER_ORACLE_PORT": "1"}.items():
        monkeypatch.setenv(name, value)

    with pytest.raises(SystemExit, match="2"):
        worker.main(["folder"])
    assert "KERASTUNER_ORACLE_IP must be set" in capsys.readouterr().err
