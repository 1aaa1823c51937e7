"""Prints a table of results: for each test file, how many of its tests passed."""

from collections import Counter

# What each file tests. All but those called `soak_*` also run in `make test`.
TITLES = {
    "soak_kills.py": "A run killed (`kill -9`) at random moments and in every step pushes the same weights in the end",
    "soak_disk.py": "A disk that fills up in any step: one clear message, no partial files, and the next run continues",
    "soak_surroundings.py": "The quickstart in odd folders, streams, limits, users, environments: a model or why not",
    "test_resume.py": "A training killed within an epoch ends with the weights of an undisturbed one",
    "test_readers.py": "Loading the newest version in a loop during 50 pushes and rollbacks never fails",
    "test_serving_folder.py": "Versions appear and disappear atomically despite crashes and concurrent readers",
    "test_pusher.py": "Pushes that are killed, repeated or out of disk space",
    "test_versions.py": "Rollbacks to removed versions, killed rollbacks, and rollbacks recorded late",
    "test_atomic.py": "Atomic files and folders despite crashes",
    "test_disk.py": "A full disk while training and writing files",
    "test_component_disk.py": "A full disk during ingestion and export",
    "test_run_disk.py": "A full disk while preparing the source and recording the run",
    "test_search_disk.py": "A full disk during a search",
    "test_workspace_lock.py": "Two runs in one workspace, and locks of dead processes",
    "test_hostile_archives.py": "Damaged and malicious archives and pickles",
    "test_hostile_images.py": "Damaged and malicious images and requests",
    "test_data_gate.py": "Data that is not fit for training",
    "test_model_gates.py": "Models that must not be pushed, and one that must be",
}


def pytest_configure(config):
    """Counts the tests of all folders; a conftest.py imports this to print the table at the end of its tests."""
    if not config.pluginmanager.has_plugin(__name__):
        config.pluginmanager.register(Table(), __name__)


class Table:
    """Counts outcomes by file."""

    def __init__(self):
        self.outcomes = {name: Counter() for name in TITLES}
        self.seconds = Counter()

    def pytest_runtest_logreport(self, report):
        """Counts one phase of a test: setup, call or teardown."""
        name = report.nodeid.partition("::")[0].rpartition("/")[2]
        self.seconds[name] += report.duration
        if name in TITLES and (report.when == "call" or report.outcome != "passed"):
            self.outcomes[name][report.outcome] += 1

    def pytest_terminal_summary(self, terminalreporter):
        """Prints the table, as Markdown."""
        rows = []
        for name, outcomes in self.outcomes.items():
            tries = sum(outcomes.values()) - outcomes["skipped"]
            if tries:
                rows.append(f"| {TITLES[name]} | {tries} | {outcomes['passed']} | {self.seconds[name] / 60:.1f} |")
        if rows:
            heading = ["\n| test | tries | passed | minutes |", "|---|---:|---:|---:|"]
            terminalreporter.write_line("\n".join([*heading, *rows]))
