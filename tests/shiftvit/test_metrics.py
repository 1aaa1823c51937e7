import numpy as np
import pytest

from shiftvit.loss import SmoothedCrossEntropy, make_metrics
from shiftvit.metrics import OBJECTIVE, TOP1, TOP5

LOGITS = np.random.default_rng(0).standard_normal((6, 10)).astype(np.float32) * 3
CLASS_IDS = np.array([0, 9, 3, 3, 7, 1])


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("shape", [(6,), (6, 1)])
def test_the_loss_is_softmax_cross_entropy_with_smoothed_targets(smoothing, shape):
    targets = np.eye(10)[CLASS_IDS] * (1 - smoothing) + smoothing / 10
    log_probabilities = LOGITS - np.log(np.exp(LOGITS).sum(axis=1, keepdims=True))
    expected = -(targets * log_probabilities).sum(axis=1)

    loss = SmoothedCrossEntropy(smoothing)

    np.testing.assert_allclose(loss.call(CLASS_IDS.reshape(shape), LOGITS), expected, rtol=1e-5)
    assert float(loss(CLASS_IDS.reshape(shape), LOGITS)) == pytest.approx(expected.mean(), rel=1e-5)


def test_top1_and_top5_are_the_shares_of_correct_predictions():
    rank = (LOGITS[np.arange(6), CLASS_IDS][:, None] < LOGITS).sum(axis=1)
    found = {metric.name: metric for metric in make_metrics(10)}
    for metric in found.values():
        metric.update_state(CLASS_IDS, LOGITS)

    assert set(found) == {TOP1, TOP5}
    assert float(found[TOP1].result()) == pytest.approx((rank < 1).mean())
    assert float(found[TOP5].result()) == pytest.approx((rank < 5).mean())


@pytest.mark.parametrize(("classes", "names"), [(2, [TOP1]), (5, [TOP1]), (6, [TOP1, TOP5])])
def test_top5_is_measured_only_with_more_than_five_classes(classes, names):
    assert [metric.name for metric in make_metrics(classes)] == names


def test_the_loss_accepts_shares_of_the_classes():
    shares = np.random.default_rng(1).dirichlet(np.ones(10), 6).astype(np.float32)
    log_probabilities = LOGITS - np.log(np.exp(LOGITS).sum(axis=1, keepdims=True))
    expected = -((shares * 0.9 + 0.01) * log_probabilities).sum(axis=1)

    np.testing.assert_allclose(SmoothedCrossEntropy(0.1).call(shares, LOGITS), expected, rtol=1e-5)


def test_the_class_of_a_mixed_image_is_that_of_its_largest_share():
    shares = np.eye(10, dtype=np.float32)[CLASS_IDS] * 0.6 + 0.04
    for metric, same in zip(make_metrics(10), make_metrics(10), strict=True):
        metric.update_state(shares, LOGITS)
        same.update_state(CLASS_IDS, LOGITS)
        assert float(metric.result()) == float(same.result()) > 0


def test_the_objective_is_top_1_on_the_eval_split():
    assert f"val_{TOP1}" == OBJECTIVE
