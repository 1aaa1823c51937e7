import asyncio

import pytest

from pipeline.serving.batcher import Batcher, InvalidItemError
from pipeline.serving.model import InvalidInputError


class FakeModel:
    """Returns each item as its output, and rejects every batch that contains b"bad"."""

    def __init__(self):
        self.calls = []

    def predict(self, signature, items):
        self.calls.append([signature, *items])
        if b"bad" in items:
            raise InvalidInputError("no image")
        return [{"item": item} for item in items]


def predict(requests, max_batch):
    """Runs a batcher on requests (model, signature, items) that all arrive before it starts.

    Returns:
        For each request its items or exception, and the observed batch sizes.
    """
    sizes = []

    async def main():
        batcher = Batcher(max_batch, 0.0, sizes.append)
        jobs = [asyncio.ensure_future(batcher.predict(*request)) for request in requests]
        await asyncio.sleep(0)  # lets every job queue up
        runner = asyncio.ensure_future(batcher.run())
        results = await asyncio.gather(*jobs, return_exceptions=True)
        runner.cancel()
        return results

    results = asyncio.run(main())
    return [[row["item"] for row in each] if isinstance(each, list) else each for each in results], sizes


def test_concurrent_requests_share_a_call_of_the_model():
    model = FakeModel()

    results, sizes = predict([(model, "s", [b"a", b"b"]), (model, "s", [b"c"])], max_batch=3)

    assert results == [[b"a", b"b"], [b"c"]]
    assert model.calls == [["s", b"a", b"b", b"c"]] and sizes == [3]


def test_batches_stay_below_the_limit_and_large_requests_are_split():
    results, sizes = predict([(FakeModel(), "s", [b"a"] * 2), (FakeModel(), "s", [b"b"] * 5)], max_batch=2)

    assert results == [[b"a"] * 2, [b"b"] * 5]
    assert sizes == [2, 2, 2, 1]


def test_models_and_signatures_are_not_mixed():
    first, second = FakeModel(), FakeModel()

    results, _ = predict([(first, "s", [b"a"]), (second, "s", [b"b"]), (first, "t", [b"c"])], max_batch=8)

    assert results == [[b"a"], [b"b"], [b"c"]]
    assert first.calls == [["s", b"a"], ["t", b"c"]] and second.calls == [["s", b"b"]]


def test_bad_item_fails_only_its_own_request():
    model = FakeModel()

    results, sizes = predict([(model, "s", [b"a"]), (model, "s", [b"b", b"bad"]), (model, "s", [b"c"])], max_batch=4)

    assert results[0] == [b"a"] and results[2] == [b"c"] and sizes[0] == 4
    assert isinstance(results[1], InvalidItemError) and (results[1].index, str(results[1])) == (1, "no image")


def test_other_exceptions_fail_every_request_of_the_batch():
    class Broken:
        def predict(self, signature, items):
            raise MemoryError("no memory")

    model = Broken()
    results, _ = predict([(model, "s", [b"a"]), (model, "s", [b"b"])], max_batch=4)

    assert [type(result) for result in results] == [MemoryError] * 2


def test_cancelled_requests_are_skipped():
    async def main():
        batcher = Batcher(8, 0.0, lambda size: None)
        cancelled, kept = (asyncio.ensure_future(batcher.predict(model, "s", [item])) for item in (b"a", b"b"))
        await asyncio.sleep(0)
        cancelled.cancel()
        runner = asyncio.ensure_future(batcher.run())
        assert await kept == [{"item": b"b"}]
        runner.cancel()
        with pytest.raises(asyncio.CancelledError):
            await cancelled

    model = FakeModel()
    asyncio.run(main())

    assert model.calls == [["s", b"b"]]
