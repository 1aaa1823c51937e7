import os

import pytest
from waiting import wait_until

from pipeline.runs.machine import EnergyMeter, describe
from shiftvit.files import atomic


def make_zone(folder, name, microjoules, limit=1000):
    zone = folder / name
    zone.mkdir(parents=True)
    (zone / "energy_uj").write_text(f"{microjoules}\n")
    (zone / "max_energy_range_uj").write_text(f"{limit}\n")
    return zone / "energy_uj"


def test_energy_is_the_sum_over_processors_even_if_a_counter_wraps_around(tmp_path):
    one, two = make_zone(tmp_path, "intel-rapl:0", 700), make_zone(tmp_path, "intel-rapl:1", 100)
    part = make_zone(tmp_path, "intel-rapl:0:0", 0)

    with EnergyMeter(tmp_path, interval=0.02) as meter:
        for value in (900, 200, 600):  # +200, then +300 with a wrap-around, then +400
            atomic.write_file(one, str(value))
            wait_until(lambda value=value: meter._last[one.parent] == value)
        two.write_text("150")
        part.write_text("999")

    assert meter.joules == pytest.approx((200 + 300 + 400 + 50) / 1e6)


def test_energy_is_unknown_without_readable_counters(tmp_path):
    with EnergyMeter(tmp_path / "none") as without_counters:
        pass
    make_zone(tmp_path, "intel-rapl:0", 700)
    os.remove(make_zone(tmp_path, "intel-rapl:1", 700))
    with EnergyMeter(tmp_path) as with_unreadable_counter:
        pass

    assert without_counters.joules is None and with_unreadable_counter.joules is None


def test_description_has_hardware_and_versions():
    machine = describe()

    assert machine["processor"] and machine["cores"] == len(os.sched_getaffinity(0))
    assert 2**28 < machine["memory_bytes"] < 2**50
    assert machine["versions"]["tensorflow"].startswith("2.") and machine["versions"]["python"].startswith("3.")
