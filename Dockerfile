# The image of Kubeflow steps and Dask workers. `make image` builds it.

# The Debian release of the final stage, with a compiler, because some packages are distributed as source only.
FROM python:3.10-bookworm AS dependencies
ARG GPU=""
WORKDIR /build
COPY requirements.lock requirements-gpu.lock ./
# The locked setuptools and wheel are installed first, to build the source packages; pip would otherwise download other
# versions of them. The registry is a secret because its address may contain a password.
RUN --mount=type=secret,id=pip,target=/etc/pip.conf \
    python -m venv --without-pip /opt/shiftvit && \
    awk '/^[a-z]/ { wanted = /^(setuptools|wheel)==/ } wanted' requirements.lock > build.lock && \
    pip --python /opt/shiftvit install --no-cache-dir --require-hashes --no-deps -r build.lock && \
    pip --python /opt/shiftvit install --no-cache-dir --require-hashes --no-deps --use-pep517 --no-build-isolation \
        -r requirements.lock ${GPU:+-r requirements-gpu.lock} && \
    pip --python /opt/shiftvit uninstall --yes mypy pytest pytest-xdist ruff uv

FROM dependencies AS project
COPY . .
RUN pip --python /opt/shiftvit install --no-index --no-deps --no-build-isolation --prefix /opt/project .

FROM python:3.10-slim-bookworm
# This Python has no compiled files. The home is writable by everybody, because a cluster may choose any user id.
RUN python -m compileall -q -x /test /usr/local/lib/python3.10 && mkdir --mode 1777 /home/shiftvit
# Two layers, so that a change of the code only replaces the second, which is small.
COPY --from=dependencies /opt/shiftvit /opt/shiftvit
COPY --from=project /opt/project /opt/shiftvit
ENV HOME=/home/shiftvit PATH=/opt/shiftvit/bin:$PATH
WORKDIR /home/shiftvit
# A number, because Kubernetes cannot check runAsNonRoot with a name.
USER 1000:1000
CMD ["shiftvit", "--help"]
