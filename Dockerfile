# The image of Kubeflow steps and Dask workers. `make image` builds it.

ARG STACK=current

# The Debian release of the final stage, with a compiler, because some packages are distributed as source only.
FROM python:3.13-trixie AS full-current
FROM python:3.10-bookworm AS full-classic

FROM python:3.13-slim-trixie AS slim-current
# For Beam's workers, which may import TensorFlow before `shiftvit`, which sets this as well.
ENV TF_USE_LEGACY_KERAS=1
FROM python:3.10-slim-bookworm AS slim-classic

FROM full-${STACK} AS dependencies
ARG STACK
ARG GPU=""
WORKDIR /build
COPY requirements-*.lock ./
# The locked setuptools and wheel are installed first, to build the source packages; pip would otherwise download other
# versions of them. The registry is a secret because its address may contain a password.
RUN --mount=type=secret,id=pip,target=/etc/pip.conf \
    python -m venv --without-pip /opt/shiftvit && \
    awk '/^[a-z]/ { wanted = /^(setuptools|wheel)==/ } wanted' requirements-${STACK}.lock > build.lock && \
    pip --python /opt/shiftvit install --no-cache-dir --require-hashes --no-deps -r build.lock && \
    pip --python /opt/shiftvit install --no-cache-dir --require-hashes --no-deps --use-pep517 --no-build-isolation \
        -r requirements-${STACK}.lock ${GPU:+-r requirements-${STACK}-gpu.lock} && \
    pip --python /opt/shiftvit uninstall --yes mypy pytest pytest-xdist ruff uv

FROM dependencies AS project
COPY . .
RUN pip --python /opt/shiftvit install --no-index --no-deps --no-build-isolation --prefix /opt/project .

FROM slim-${STACK}
# This Python has no compiled files. The home is writable by everybody, because a cluster may choose any user id.
RUN python -m compileall -q -x /test /usr/local/lib/python3.* && mkdir --mode 1777 /home/shiftvit
# Two layers, so that a change of the code only replaces the second, which is small.
COPY --from=dependencies /opt/shiftvit /opt/shiftvit
COPY --from=project /opt/project /opt/shiftvit
ENV HOME=/home/shiftvit PATH=/opt/shiftvit/bin:$PATH
WORKDIR /home/shiftvit
# A number, because Kubernetes cannot check runAsNonRoot with a name.
USER 1000:1000
CMD ["shiftvit", "--help"]
