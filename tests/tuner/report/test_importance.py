import numpy as np
import pytest
from made_results import MAGNITUDE, NORM, OPS, RATE, UNCHANGED, make_results, make_trial

from tuner.report.importance import MIN_TRIALS, measure

SEED = 7


def random_trials(count, score, seed=SEED):
    """Returns trials with random values; `score` computes their scores from the values and the generator."""
    rng = np.random.default_rng(seed)
    trials = []
    for number in range(count):
        values = {
            RATE.name: float(np.exp(rng.uniform(np.log(RATE.low), np.log(RATE.high)))),
            NORM.name: str(rng.choice(NORM.choices)),
            OPS.name: int(rng.choice(OPS.choices)),
        }
        if values[OPS.name]:
            values[MAGNITUDE.name] = float(rng.uniform(MAGNITUDE.low, MAGNITUDE.high))
        trials.append(make_trial(f"{number:02}", score(values, rng), values=values))
    return trials


def score_by_rate(values, _):
    return 0.5 - 0.1 * abs(np.log(values[RATE.name] / 0.002))


def score_by_norm(values, _):
    return 0.6 if values[NORM.name] == "group1" else 0.5  # in the middle of the choices


def score_by_magnitude(values, _):
    return 0.5 + 0.1 * values.get(MAGNITUDE.name, MAGNITUDE.default)


def random_score(values, rng):
    return rng.uniform(0.4, 0.6)


@pytest.mark.parametrize(
    "score, name", [(score_by_rate, RATE.name), (score_by_norm, NORM.name), (score_by_magnitude, MAGNITUDE.name)]
)
@pytest.mark.parametrize("greater", [True, False])
def test_the_hyperparameter_behind_the_scores_ranks_first(score, name, greater):
    importance = measure(make_results(*random_trials(30, score), greater=greater))

    first, second = importance.shares[:2]
    assert (importance.obstacle, importance.trials, first.name) == (None, 30, name)
    assert importance.r2 > 0.5
    assert first.mean > 0.6 > 0.3 > second.mean
    assert first.std > 0


def test_positive_shares_sum_to_one_and_are_sorted():
    shares = measure(make_results(*random_trials(30, score_by_rate))).shares

    assert {share.name for share in shares} == {RATE.name, NORM.name, OPS.name, MAGNITUDE.name}
    assert sum(max(share.mean, 0) for share in shares) == pytest.approx(1)
    assert [share.mean for share in shares] == sorted((share.mean for share in shares), reverse=True)


def test_importance_is_deterministic():
    trials = random_trials(12, score_by_rate)

    assert measure(make_results(*trials)) == measure(make_results(*trials))


def test_a_diverged_trial_does_not_hide_the_importance():
    trials = random_trials(30, score_by_rate)
    trials[3] = make_trial("03", -1e6, values=trials[3].values)

    importance = measure(make_results(*trials))

    assert (importance.obstacle, importance.shares[0].name) == (None, RATE.name)


def test_random_scores_show_no_importance():
    importance = measure(make_results(*random_trials(30, random_score)))

    assert importance.shares == ()
    assert importance.r2 <= 0
    assert "30 trials do not show" in importance.obstacle and f"{importance.r2:.2f}" in importance.obstacle


def test_random_scores_rarely_show_importance():
    obstacles = [measure(make_results(*random_trials(12, random_score, seed))).obstacle for seed in range(5)]

    assert obstacles.count(None) <= 1


@pytest.mark.parametrize("count", [0, 5, MIN_TRIALS - 1])
def test_few_trials_show_no_importance(count):
    importance = measure(make_results(*random_trials(count, score_by_rate), make_trial("99", None)))

    assert (importance.shares, importance.r2, importance.trials) == ((), None, count)
    assert f"fewer than {MIN_TRIALS} have a score ({count} so far)" in importance.obstacle


def test_equal_scores_show_no_importance():
    importance = measure(make_results(*random_trials(10, lambda values, rng: 0.5)))

    assert importance.shares == () and "all have the same score" in importance.obstacle


def test_an_empty_space_has_no_importance():
    importance = measure(
        make_results(*(make_trial(f"{number}", number / 10, values={}) for number in range(9)), space=())
    )

    assert importance.shares == () and "no hyperparameter" in importance.obstacle


def test_a_single_hyperparameter_has_the_whole_importance():
    trials = random_trials(20, score_by_rate)

    (share,) = measure(make_results(*trials, space=(RATE,))).shares

    assert (share.name, share.mean) == (RATE.name, pytest.approx(1))


def test_a_hyperparameter_that_never_changed_has_no_share():
    trials = [
        make_trial(t.id, t.score, values={**UNCHANGED, RATE.name: t.values[RATE.name]})
        for t in random_trials(20, score_by_rate)
    ]

    shares = {share.name: (share.mean, share.std) for share in measure(make_results(*trials)).shares}

    assert shares[NORM.name] == shares[MAGNITUDE.name] == (0, 0)


def test_a_hyperparameter_that_is_switched_off_counts_as_its_default():
    switched_off = random_trials(20, score_by_magnitude)
    default = [make_trial(t.id, t.score, values={MAGNITUDE.name: MAGNITUDE.default, **t.values}) for t in switched_off]

    assert measure(make_results(*switched_off)) == measure(make_results(*default))


def test_values_outside_the_space_are_allowed():
    trials = random_trials(20, score_by_rate)
    trials[0] = make_trial("00", 0.1, values={RATE.name: 0.05, NORM.name: "none at all", OPS.name: 7})

    assert measure(make_results(*trials)).shares[0].name == RATE.name
