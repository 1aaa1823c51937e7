# Every target but image first makes .venv, if it is not there or not what the lock says. With GPU=1, CUDA is part of
# it, or of the image.

.PHONY: .venv .tools/kfp run test soak bench lint format image lock upgrade
.DEFAULT_GOAL := run

.venv:
	@.ci/bootstrap

.tools/kfp: .venv
	@.ci/kfp

run: .venv
	.venv/bin/shiftvit run

test: .venv .tools/kfp
	.venv/bin/pytest

# All that can go wrong, at length: three quarters of an hour. Prints the table of the README. The quick part, FAULTS, is
# in `test` too.
FAULTS = shiftvit/test_resume $(addprefix shiftvit/files/test_,atomic disk) tuner/test_search_disk \
	$(addprefix components/test_,data_gate model_gates component_disk pusher serving_folder) \
	$(addprefix pipeline/,runners/local/test_run_disk runs/test_workspace_lock runs/test_readers runs/test_versions \
	sources/test_hostile_archives serving/test_hostile_images)

soak: .venv
	.venv/bin/pytest -rP tests/soak/soak_*.py $(FAULTS:%=tests/%.py)

bench: .venv
	.venv/bin/shiftvit bench

lint: .venv
	.venv/bin/ruff check .
	.venv/bin/ruff format --check --quiet .

format: .venv
	.venv/bin/ruff check --fix --quiet .
	.venv/bin/ruff format .

# Takes IMAGE=name or IMAGE=name:tag; a name alone gets a tag that changes with the code.
image:
	@.ci/image

COMPILE = .venv/bin/uv pip compile $(UPGRADE) --python-version 3.10 --generate-hashes --no-emit-index-url --quiet
LOCK = $(COMPILE) setup.py --extra dev --extra dask

# Locks what setup.py asks for newly, and leaves the other versions as they are; `upgrade` takes the newest of all.
lock: .venv
	$(LOCK) --output-file requirements.lock
	$(LOCK) --extra gpu --constraint requirements.lock --no-header \
		| awk '/^[a-z]/ { wanted = /^nvidia-/ } wanted' > requirements-gpu.lock
	$(COMPILE) tests/pipeline/runners/kubeflow/kfp.in --output-file tests/pipeline/runners/kubeflow/kfp.lock

upgrade: UPGRADE = --upgrade
upgrade: lock
