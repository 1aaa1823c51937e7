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


def test_energy_is_that_of_all_processors_while_the_block_ran_also_past_the_end_of_a_counter(tmp_path):
    one, two = make_zone(tmp_path, "intel-rapl:0", 700), make_zone(tmp_path, "intel-rapl:1", 100)
    part = make_zone(tmp_path, "intel-rapl:0:0", 0)

    with EnergyMeter(tmp_path, interval=0.02) as meter:
        for value in (900, 200, 600):  # 200, then 300 over the end, then 400
            atomic.write_file(one, str(value))
            wait_until(lambda value=value: meter._last[one.parent] == value)
        two.write_text("150")
        part.write_text("999")

    assert meter.joules == pytest.approx((200 + 300 + 400 + 50) / 1e6)


def test_energy_is_not_known_where_no_counter_is_or_one_cannot_be_read(tmp_path):
    with EnergyMeter(tmp_path / "none") as nothing:
        pass
    make_zone(tmp_path, "intel-rapl:0", 700)
    os.remove(make_zone(tmp_path, "intel-rapl:1", 700))
    with EnergyMeter(tmp_path) as half:
        pass

    assert nothing.joules is half.joules is None


def test_the_machine_tells_what_a_run_ran_on():
    told = describe()

    assert told["processor"] and told["cores"] == len(os.sched_getaffinity(0))
    assert 2**28 < told["memory_bytes"] < 2**50
    assert told["versions"]["tensorflow"].startswith("2.") and told["versions"]["python"].startswith("3.")
