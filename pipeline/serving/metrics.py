"""The server's Prometheus metrics."""

import prometheus_client as prometheus

CONTENT_TYPE = prometheus.CONTENT_TYPE_LATEST
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_IMAGES = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class Metrics:
    """The metrics of one server."""

    def __init__(self) -> None:
        prometheus.disable_created_metrics()  # would add a time of creation for each metric
        registry = self._registry = prometheus.CollectorRegistry()
        prometheus.ProcessCollector(registry=registry)
        counter, gauge, histogram = prometheus.Counter, prometheus.Gauge, prometheus.Histogram
        self.requests = counter("shiftvit_requests", "Predict requests, by HTTP status", ["code"], registry=registry)
        seconds = "Seconds from the headers of a predict request to its response"
        self.seconds = histogram("shiftvit_request_seconds", seconds, buckets=_SECONDS, registry=registry)
        self.images = counter("shiftvit_images", "Classified images", registry=registry)
        batch = "Images per call of the model"
        self.batch = histogram("shiftvit_batch_images", batch, buckets=_IMAGES, registry=registry)
        self.running = gauge("shiftvit_running_requests", "Predict requests in progress", registry=registry)
        version = "Number of the served version; 0 without one"
        self.version = gauge("shiftvit_served_version", version, registry=registry)

    def render(self) -> bytes:
        """Returns the metrics in Prometheus' text format."""
        return prometheus.generate_latest(self._registry)
