"""The table of results: a row for each file of tests, which tells how many of its tries ended as promised."""

from collections import Counter

# What each file proves. Those that are not in this folder are quick, and run in every `make test` too.
TITLES = {
    "soak_kills.py": "`kill -9` at any moment, and in every step, then the same command: the same weights, pushed",
    "soak_disk.py": "a disk that fills in one step of a run: a sentence, nothing half-written; then it goes on",
    "test_resume.py": "a training killed in mid-epoch ends with the weights of one that was not",
    "test_readers.py": "who loads the newest version in a loop, during 50 pushes and rollbacks",
    "test_serving_folder.py": "versions that appear and go, whoever dies or reads meanwhile",
    "test_pusher.py": "pushes: killed, repeated, without room",
    "test_versions.py": "rollbacks: of removed versions, killed, recorded later",
    "test_atomic.py": "files and folders that appear whole, whoever dies",
    "test_disk.py": "a full disk in training and in files",
    "test_component_disk.py": "a full disk in ingestion and export",
    "test_run_disk.py": "a full disk at the source and around a run",
    "test_search_disk.py": "a full disk in a search",
    "test_workspace_lock.py": "two at once in a workspace, and a lock that a dead one left",
    "test_hostile_archives.py": "damaged and hostile archives and pickles",
    "test_hostile_images.py": "damaged and hostile images and requests",
    "test_data_gate.py": "data that is not fit to train on",
    "test_model_gates.py": "models that must not be pushed, and one that must",
}


def pytest_configure(config):
    """Has the tests of all folders counted."""
    config.pluginmanager.register(Table())


class Table:
    """Counts, by file, how each try ended."""

    def __init__(self):
        self.outcomes = {name: Counter() for name in TITLES}
        self.seconds = Counter()

    def pytest_runtest_logreport(self, report):
        """Takes in one phase of a test."""
        name = report.nodeid.partition("::")[0].rpartition("/")[2]
        self.seconds[name] += report.duration
        if name in TITLES and (report.when == "call" or report.outcome != "passed"):
            self.outcomes[name][report.outcome] += 1

    def pytest_terminal_summary(self, terminalreporter):
        """Prints the table, as Markdown."""
        terminalreporter.write_line("\n| what | tries | as promised | minutes |\n|---|---|---|---|")
        for name, ended in self.outcomes.items():
            tries = sum(ended.values()) - ended["skipped"]
            if tries:
                terminalreporter.write_line(
                    f"| {TITLES[name]} | {tries} | {ended['passed']} | {self.seconds[name] / 60:.1f} |"
                )
