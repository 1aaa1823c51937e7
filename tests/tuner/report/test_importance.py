import numpy as np
import pytest
from made_results import AS_IT_STANDS, NORM, OPS, RATE, STRENGTH, make_results, make_trial

from tuner.report.importance import FEWEST, measure

SEED = 7


def drawn_trials(count, score, seed=SEED):
    """Trials of random settings, scored by a function of the values."""
    random = np.random.default_rng(seed)
    trials = []
    for number in range(count):
        values = {
            RATE.name: float(np.exp(random.uniform(np.log(RATE.low), np.log(RATE.high)))),
            NORM.name: str(random.choice(NORM.choices)),
            OPS.name: int(random.choice(OPS.choices)),
        }
        if values[OPS.name]:
            values[STRENGTH.name] = float(random.uniform(STRENGTH.low, STRENGTH.high))
        trials.append(make_trial(f"{number:02}", score(values, random), values=values))
    return trials


def rate_counts(values, _):
    return 0.5 - 0.1 * abs(np.log(values[RATE.name] / 0.002))


def norm_counts(values, _):
    return 0.6 if values[NORM.name] == "group1" else 0.5  # the one in the middle of the choices


def strength_counts(values, _):
    return 0.5 + 0.1 * values.get(STRENGTH.name, STRENGTH.default)


def chance(values, random):
    return random.uniform(0.4, 0.6)


@pytest.mark.parametrize(
    "score, name", [(rate_counts, RATE.name), (norm_counts, NORM.name), (strength_counts, STRENGTH.name)]
)
@pytest.mark.parametrize("greater", [True, False])
def test_what_made_the_score_comes_first(score, name, greater):
    found = measure(make_results(*drawn_trials(30, score), greater=greater))

    first, second = found.shares[:2]
    assert (found.doubt, found.trials, first.name) == (None, 30, name)
    assert found.r2 > 0.5
    assert first.mean > 0.6 > 0.3 > second.mean
    assert first.sd > 0


def test_the_shares_sum_to_one_and_are_in_order():
    shares = measure(make_results(*drawn_trials(30, rate_counts))).shares

    assert {share.name for share in shares} == {RATE.name, NORM.name, OPS.name, STRENGTH.name}
    assert sum(max(share.mean, 0) for share in shares) == pytest.approx(1)
    assert [share.mean for share in shares] == sorted((share.mean for share in shares), reverse=True)


def test_the_same_trials_always_tell_the_same():
    trials = drawn_trials(12, rate_counts)

    assert measure(make_results(*trials)) == measure(make_results(*trials))


def test_one_trial_that_diverged_does_not_hide_what_mattered():
    trials = drawn_trials(30, rate_counts)
    trials[3] = make_trial("03", -1e6, values=trials[3].values)

    found = measure(make_results(*trials))

    assert (found.doubt, found.shares[0].name) == (None, RATE.name)


def test_random_scores_do_not_tell():
    found = measure(make_results(*drawn_trials(30, chance)))

    assert found.shares == ()
    assert found.r2 <= 0
    assert "30 trials do not tell" in found.doubt and f"{found.r2:.2f}" in found.doubt


def test_random_scores_seldom_seem_to_tell():
    doubts = [measure(make_results(*drawn_trials(12, chance, seed))).doubt for seed in range(10)]

    assert doubts.count(None) <= 1


@pytest.mark.parametrize("count", [0, 5, FEWEST - 1])
def test_few_trials_do_not_tell(count):
    found = measure(make_results(*drawn_trials(count, rate_counts), make_trial("99", None)))

    assert (found.shares, found.r2, found.trials) == ((), None, count)
    assert f"fewer than {FEWEST} have a score ({count} so far)" in found.doubt


def test_equal_scores_do_not_tell():
    found = measure(make_results(*drawn_trials(10, lambda values, random: 0.5)))

    assert found.shares == () and "all have the same score" in found.doubt


def test_an_empty_space_does_not_tell():
    found = measure(make_results(*(make_trial(f"{number}", number / 10, values={}) for number in range(9)), space=()))

    assert found.shares == () and "no hyperparameter" in found.doubt


def test_a_space_of_one_dimension_gives_it_all():
    trials = drawn_trials(20, rate_counts)

    (share,) = measure(make_results(*trials, space=(RATE,))).shares

    assert (share.name, share.mean) == (RATE.name, pytest.approx(1))


def test_a_hyperparameter_that_never_changed_has_no_share():
    trials = [
        make_trial(t.id, t.score, values={**AS_IT_STANDS, RATE.name: t.values[RATE.name]})
        for t in drawn_trials(20, rate_counts)
    ]

    shares = {share.name: (share.mean, share.sd) for share in measure(make_results(*trials)).shares}

    assert shares[NORM.name] == shares[STRENGTH.name] == (0, 0)


def test_a_hyperparameter_that_is_switched_off_counts_as_its_default():
    off = drawn_trials(20, strength_counts)
    told = [make_trial(t.id, t.score, values={STRENGTH.name: STRENGTH.default, **t.values}) for t in off]

    assert measure(make_results(*off)) == measure(make_results(*told))


def test_values_outside_of_the_ranges_are_no_obstacle():
    trials = drawn_trials(20, rate_counts)
    trials[0] = make_trial("00", 0.1, values={RATE.name: 0.05, NORM.name: "none at all", OPS.name: 7})

    assert measure(make_results(*trials)).shares[0].name == RATE.name
