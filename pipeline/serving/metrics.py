"""What the server tells Prometheus of itself."""

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    exposition,
)

CONTENT_TYPE = exposition.CONTENT_TYPE_LATEST
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_IMAGES = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class Metrics:
    """Counts what happens, for one server."""

    def __init__(self):
        disable_created_metrics()  # else every figure has a second one, of when it began
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self.requests = Counter(
            "shiftvit_requests", "Predict requests, by HTTP status", ["code"], registry=self._registry
        )
        self.seconds = Histogram(
            "shiftvit_request_seconds",
            "From the head of a predict request to its answer",
            buckets=_SECONDS,
            registry=self._registry,
        )
        self.images = Counter("shiftvit_images", "Images that were answered", registry=self._registry)
        self.batch = Histogram(
            "shiftvit_batch_images", "Images that the model was asked at once", buckets=_IMAGES, registry=self._registry
        )
        self.running = Gauge("shiftvit_running_requests", "Predict requests that run", registry=self._registry)
        self.version = Gauge("shiftvit_served_version", "0 where none is", registry=self._registry)

    def render(self) -> bytes:
        """Returns all of it in Prometheus' text form."""
        return exposition.generate_latest(self._registry)
