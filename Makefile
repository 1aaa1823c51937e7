# Every target first makes .venv, if it is not there or not what the lock says; with GPU=1, CUDA is part of it.

.PHONY: .venv run test bench lint format lock
.DEFAULT_GOAL := run

.venv:
	@.ci/bootstrap

run: .venv
	.venv/bin/shiftvit run

test: .venv
	.venv/bin/pytest

bench: .venv
	.venv/bin/shiftvit bench

lint: .venv
	.venv/bin/ruff check .
	.venv/bin/ruff format --check --quiet .

format: .venv
	.venv/bin/ruff check --fix --quiet .
	.venv/bin/ruff format .

LOCK = .venv/bin/uv pip compile setup.py --extra dev --python-version 3.10 --generate-hashes --no-emit-index-url --quiet

lock: .venv
	$(LOCK) --upgrade --output-file requirements.lock
	$(LOCK) --extra gpu --constraint requirements.lock --no-header \
		| awk '/^[a-z]/ { wanted = /^nvidia-/ } wanted' > requirements-gpu.lock
