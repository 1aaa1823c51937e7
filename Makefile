# Every target first makes .venv, if it is not there or not what requirements.lock says.

.PHONY: .venv run test lint format lock
.DEFAULT_GOAL := run

.venv:
	@.ci/bootstrap

run: .venv
	.venv/bin/shiftvit run

test: .venv
	.venv/bin/pytest

lint: .venv
	.venv/bin/ruff check .

format: .venv
	.venv/bin/ruff check --fix --quiet .
	.venv/bin/ruff format .

lock: .venv
	.venv/bin/uv pip compile setup.py --extra dev --python-version 3.10 --generate-hashes --no-emit-index-url \
		--quiet --upgrade --output-file requirements.lock
