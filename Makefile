# Every target except image first makes .venv, unless it matches the lock files already. STACK=classic or STACK=current
# chooses the stack of .venv, or of the image; GPU=1 adds CUDA to either.

.PHONY: .venv .tools/kfp run test test-fast soak bench lint format image lock upgrade
.DEFAULT_GOAL := run

.venv:
	@.ci/bootstrap

.tools/kfp: .venv
	@.ci/kfp

run: .venv
	.venv/bin/shiftvit run

# One worker per core, up to 8: each takes about 2 GB. A file's tests stay on one worker, which makes their fixtures once;
# tests/conftest.py starts the longest files first.
PYTEST = .venv/bin/pytest -n logical --maxprocesses 8 --dist loadfile --no-loadscope-reorder

test: .venv .tools/kfp
	$(PYTEST)

test-fast: .venv .tools/kfp
	$(PYTEST) -m "not slow"

# Everything that can go wrong, at length: two hours on 2 cores. Prints the table of docs/reliability.md.
# `make test` runs FAULTS too.
FAULTS = shiftvit/test_resume $(addprefix shiftvit/files/test_,atomic disk) tuner/test_search_disk \
	$(addprefix components/test_,data_gate model_gates component_disk pusher serving_folder) \
	$(addprefix pipeline/,runners/local/test_run_disk runs/test_workspace_lock runs/test_readers runs/test_versions \
	sources/test_hostile_archives serving/test_hostile_images)

soak: .venv
	.venv/bin/pytest -rP tests/soak/soak_*.py $(FAULTS:%=tests/%.py)
	.venv/bin/pytest -n 2 tests/hostile/soak_*.py

bench: .venv
	.venv/bin/shiftvit bench

lint: .venv
	.venv/bin/ruff check .
	.venv/bin/ruff format --check --quiet .
	.venv/bin/mypy

format: .venv
	.venv/bin/ruff check --fix --quiet .
	.venv/bin/ruff format .

# IMAGE=name or IMAGE=name:tag sets the image's name. A name without a tag gets one that changes with the code.
image:
	@.ci/image

COMPILE = .venv/bin/uv pip compile $(UPGRADE) --generate-hashes --no-emit-index-url --quiet
KFP = tests/pipeline/runners/kubeflow/kfp
FOR_classic = --python-version 3.10
FOR_current = --universal --python-version 3.11

# Locks new requirements of setup.py and keeps all other versions; `upgrade` takes the newest version of everything. The
# current stack's locks are for Python 3.11 and newer: a few packages have a version for each.
lock: lock-classic lock-current
	$(COMPILE) --python-version 3.10 $(KFP).in --output-file $(KFP).lock

lock-%: .venv
	$(COMPILE) $(FOR_$*) setup.py --extra dev --extra dask --output-file requirements-$*.lock
	$(COMPILE) $(FOR_$*) setup.py --extra dev --extra dask --extra gpu --constraint requirements-$*.lock --no-header \
		| awk '/^[a-z]/ { wanted = /^nvidia-/ } wanted' > requirements-$*-gpu.lock

upgrade: UPGRADE = --upgrade
upgrade: lock
