"""A server that implements the published description of KFP's API, v2beta1, and refuses anything else."""

import email
import email.policy
import http.server
import json
import re
import threading
import uuid
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import parse_qs, unquote, urlsplit

import yaml
from waiting import HANG_SECONDS

LISTING = {"page_token", "page_size", "sort_by", "filter"}
UPLOAD = {"name", "display_name", "description", "tags"}
RUN_INPUTS = {
    "experiment_id", "display_name", "description", "pipeline_spec", "pipeline_version_reference", "runtime_config",
    "service_account",
}  # fmt: skip
ID = "([0-9a-f-]{36})"
# Method, path, handler, and the allowed names in the query.
ROUTES = [
    ("GET", "healthz", "healthz", set()),
    ("POST", "pipelines/upload", "upload", UPLOAD | {"namespace"}),
    ("POST", "pipelines/upload_version", "upload_version", UPLOAD | {"pipelineid"}),
    ("GET", "pipelines/names/([^/]+)", "pipeline_by_name", {"namespace"}),
    ("GET", f"pipelines/{ID}/versions", "list_versions", LISTING),
    ("GET", "experiments", "list_experiments", LISTING | {"namespace"}),
    ("POST", "experiments", "create_experiment", set()),
    ("GET", "runs", "list_runs", LISTING | {"namespace", "experiment_id"}),
    ("POST", "runs", "create_run", {"experiment_id"}),
    ("GET", f"runs/{ID}", "get_run", {"experiment_id"}),
]
CODES = {400: 3, 401: 16, 403: 7, 404: 5, 409: 6, 500: 13}  # of google.rpc


class Refusal(Exception):
    def __init__(self, status, message):
        super().__init__(message)
        self.status, self.message = status, message


@dataclass
class Request:
    method: str
    path: str
    query: dict
    headers: email.message.Message
    body: object = None  # a JSON object, or the uploaded file's name and content


@dataclass
class State:
    token: str = ""
    multi_user: bool = False
    requests: list = field(default_factory=list)
    faults: dict = field(default_factory=dict)  # faults by method and path, one for each coming request
    pipelines: list = field(default_factory=list)
    versions: list = field(default_factory=list)
    experiments: list = field(default_factory=list)
    runs: list = field(default_factory=list)
    progress: list = field(default_factory=list)  # fields that successive answers about a run have; the last one stays
    released: threading.Event = field(default_factory=threading.Event)

    def fail(self, method, path, fault, times=1):
        """Makes requests fail: with a status, an answer, "lose" (carried out but not answered), or "hang"."""
        self.faults[method, path] = [fault] * times

    def asked(self, method, path):
        return [request for request in self.requests if (request.method, request.path) == (method, path)]


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # sends the answer in one packet; a second one would wait for an acknowledgement

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.handle_request("GET")

    def do_POST(self):
        self.handle_request("POST")

    @property
    def state(self):
        return self.server.state

    def handle_request(self, method):
        url = urlsplit(self.path)
        content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        path = url.path.removeprefix("/apis/v2beta1/")
        query = {key: values[0] for key, values in parse_qs(url.query, strict_parsing=bool(url.query)).items()}
        self.request_read = Request(method, path, query, self.headers)
        self.state.requests.append(self.request_read)
        faults = self.state.faults.get((method, path))
        fault = faults.pop() if faults else None
        if fault == "hang":
            self.state.released.wait(HANG_SECONDS)
            self.close_connection = True
        elif isinstance(fault, int):
            self.answer(fault, "<html>upstream</html>", {"Content-Type": "text/html"})
        elif isinstance(fault, tuple):
            status, headers, body = fault
            self.answer(status, body, headers)
        else:
            self.carry_out(method, url.path, content, lose=fault == "lose")

    def carry_out(self, method, path, content, lose):
        try:
            if self.state.token and self.headers.get("Authorization") != f"Bearer {self.state.token}":
                raise Refusal(401, "Unauthenticated: the request has no valid token")
            status, body = 200, self.route(method, path, content)
        except Refusal as refusal:
            status, body = refusal.status, self.error(refusal)
        if lose:
            self.close_connection = True
        else:
            self.answer(status, json.dumps(body), {"Content-Type": "application/json"})

    def error(self, refusal):
        if self.request_read.path.startswith("pipelines/upload"):  # handled outside of the gateway, with other fields
            return {"error_message": refusal.message, "error_details": refusal.message}
        return {"code": CODES[refusal.status], "message": refusal.message, "details": []}

    def answer(self, status, body, headers):
        self.send_response(status)
        for name, value in ({"Content-Length": len(body.encode())} | headers).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body.encode())

    def route(self, method, path, content):
        for allowed, pattern, name, query in ROUTES:
            match = re.fullmatch(f"/apis/v2beta1/{pattern}", path)
            if match and allowed == method:
                unknown = self.request_read.query.keys() - query
                if unknown:
                    raise Refusal(400, f"{path} has no {', '.join(unknown)}")
                self.read_body(content)
                return getattr(self, name)(*map(unquote, match.groups()), **self.request_read.query)
        raise Refusal(404, "Not Found")

    def read_body(self, content):
        kind = self.headers.get("Content-Type", "")
        if kind.startswith("multipart/form-data"):
            message = email.message_from_bytes(
                f"Content-Type: {kind}\r\n\r\n".encode() + content, policy=email.policy.HTTP
            )
            (part,) = message.iter_parts()
            if part.get_param("name", header="Content-Disposition") != "uploadfile":
                raise Refusal(400, "Failed to read pipeline from file")
            self.request_read.body = (part.get_filename(), part.get_payload(decode=True))
        elif content:
            self.request_read.body = json.loads(content)

    # Handlers of the routes.

    def healthz(self):
        return {"commit_sha": "unknown", "tag_name": "unknown", "multi_user": self.state.multi_user}

    def upload(self, name="", description="", namespace="", **_):
        self.check_file()
        if self.state.multi_user and not namespace:
            raise Refusal(400, "shared pipeline upload denied")
        if any((pipeline["name"], pipeline["namespace"]) == (name, namespace) for pipeline in self.state.pipelines):
            raise Refusal(409, "Failed to create a pipeline and a pipeline version")
        pipeline = make("pipeline_id", name=name, display_name=name, description=description, namespace=namespace)
        self.state.pipelines.append(pipeline)
        self.add_version(pipeline["pipeline_id"], name, description)
        return pipeline

    def upload_version(self, pipelineid="", name="", description="", **_):
        self.check_file()
        if all(pipeline["pipeline_id"] != pipelineid for pipeline in self.state.pipelines):
            raise Refusal(400, "Failed to create a pipeline version")
        if any((version["pipeline_id"], version["name"]) == (pipelineid, name) for version in self.state.versions):
            raise Refusal(409, "Failed to create a pipeline version")
        return self.add_version(pipelineid, name, description)

    def check_file(self):
        if not isinstance(self.request_read.body, tuple) or not self.request_read.query.get("name"):
            raise Refusal(400, "Failed to read pipeline from file")
        name, content = self.request_read.body
        spec = next(yaml.safe_load_all(content))
        if not name.endswith((".yaml", ".yml")) or "pipelineInfo" not in spec or "root" not in spec:
            raise Refusal(400, "unknown template format")

    def add_version(self, pipeline_id, name, description):
        if len(name) > 127:
            raise Refusal(400, "PipelineVersion.Name length cannot exceed 127")
        version = make("pipeline_version_id", pipeline_id=pipeline_id, name=name, description=description)
        self.state.versions.append(version)
        return version

    def pipeline_by_name(self, name, namespace=""):
        for pipeline in self.state.pipelines:
            if (pipeline["name"], pipeline["namespace"]) == (name, namespace):
                return pipeline
        raise Refusal(404, f"Pipeline {name} not found")

    def list_versions(self, pipeline_id, filter="", **_):
        own = [version for version in self.state.versions if version["pipeline_id"] == pipeline_id]
        return {"pipeline_versions": filtered(own, filter)}

    def list_experiments(self, filter="", namespace="", **_):
        if self.state.multi_user and not namespace:
            raise Refusal(400, "namespace is empty")
        own = [experiment for experiment in self.state.experiments if experiment["namespace"] == namespace]
        found = filtered(own, filter)
        return {"experiments": found} if found else {}

    def create_experiment(self):
        body = self.json_body({"display_name", "description", "namespace"}, {"display_name"})
        named = (body["display_name"], body.get("namespace", ""))
        if any((made["display_name"], made["namespace"]) == named for made in self.state.experiments):
            raise Refusal(409, f"Experiment {named[0]} already exists")
        self.state.experiments.append(make("experiment_id", **{"namespace": ""} | body))
        return self.state.experiments[-1]

    def list_runs(self, filter="", experiment_id="", sort_by="", **_):
        own = [run for run in self.state.runs if experiment_id in ("", run["experiment_id"])]
        found = filtered(own, filter)
        return {"runs": found[::-1] if sort_by == "created_at desc" else found} if found else {}

    def create_run(self, experiment_id=""):
        body = self.json_body(RUN_INPUTS, {"display_name"})
        reference = body.get("pipeline_version_reference", {})
        if all(reference.items() - version.items() for version in self.state.versions):
            raise Refusal(404, "PipelineVersion not found")
        if reference.keys() != {"pipeline_id", "pipeline_version_id"}:
            raise Refusal(400, "the reference has no version")
        if body.get("runtime_config", {}).keys() - {"parameters", "pipeline_root"}:
            raise Refusal(400, "unknown field of runtime_config")
        if all(body.get("experiment_id") != made["experiment_id"] for made in self.state.experiments):
            raise Refusal(404, "Experiment not found")
        self.state.runs.append(make("run_id", **body, state="PENDING"))
        return self.state.runs[-1]

    def get_run(self, run_id, **_):
        for run in self.state.runs:
            if run["run_id"] == run_id:
                state = self.state.progress
                return run | (state.pop(0) if len(state) > 1 else state[0] if state else {})
        raise Refusal(404, f"Run {run_id} not found")

    def json_body(self, allowed, required):
        body = self.request_read.body
        if not isinstance(body, dict) or body.keys() - allowed or required - body.keys():
            raise Refusal(400, f"a body with {body and sorted(body)} where {sorted(allowed)} are known")
        return body


def make(identifier, **values):
    return {identifier: str(uuid.uuid4()), "created_at": "2026-01-01T00:00:00Z"} | values


def filtered(things, text):
    for predicate in json.loads(text or "{}").get("predicates", []):
        equals = predicate.pop("operation") in ("EQUALS", 1)  # by name or number
        if not equals or predicate.keys() - {"key", "stringValue", "string_value"}:
            raise Refusal(400, f"Filter {text} is not understood")
        value = predicate.get("stringValue", predicate.get("string_value"))
        things = [thing for thing in things if thing.get(predicate["key"]) == value]
    return things


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.state = State()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}"


@contextmanager
def serve():
    server = Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.state.released.set()
        server.shutdown()
        thread.join()
        server.server_close()
