"""The server's Prometheus metrics."""

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
    """The metrics of one server."""

    def __init__(self) -> None:
        disable_created_metrics()  # would add a time of creation for each metric
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self.requests = Counter(
            "shiftvit_requests", "Predict requests, by HTTP status", ["code"], registry=self._registry
        )
        self.seconds = Histogram(
            "shiftvit_request_seconds",
            "Seconds from the headers of a predict request to its response",
            buckets=_SECONDS,
            registry=self._registry,
        )
        self.images = Counter("shiftvit_images", "Classified images", registry=self._registry)
        self.batch = Histogram(
            "shiftvit_batch_images", "Images per call of the model", buckets=_IMAGES, registry=self._registry
        )
        self.running = Gauge("shiftvit_running_requests", "Predict requests in progress", registry=self._registry)
        self.version = Gauge(
            "shiftvit_served_version", "Number of the served version; 0 without one", registry=self._registry
        )

    def render(self) -> bytes:
        """Returns the metrics in Prometheus' text format."""
        return exposition.generate_latest(self._registry)
