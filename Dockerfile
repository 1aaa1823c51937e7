# The image that steps on Kubeflow and Dask's workers run; `make image` builds it.

# The Debian of the last stage, with a compiler: some packages come as sources.
FROM python:3.10-bookworm AS dependencies
ARG GPU=""
WORKDIR /build
COPY requirements.lock requirements-gpu.lock ./
# What builds the sources is installed first: it is of the lock too, and pip would else fetch any version of it. The
# registry is a secret because its address may hold a password.
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
# This Python comes without compiled files. A cluster may choose any user id, so everybody may write the home.
RUN python -m compileall -q -x /test /usr/local/lib/python3.10 && mkdir --mode 1777 /home/shiftvit
# Two layers: a change of the code sends the second, which is small.
COPY --from=dependencies /opt/shiftvit /opt/shiftvit
COPY --from=project /opt/project /opt/shiftvit
ENV HOME=/home/shiftvit PATH=/opt/shiftvit/bin:$PATH
WORKDIR /home/shiftvit
# By number: where runAsNonRoot is asked for, Kubernetes takes no name.
USER 1000:1000
CMD ["shiftvit", "--help"]
