# The whole developer interface. ARGS is passed through: make run ARGS="--port 9000", make test ARGS="-k rsi".
.PHONY: setup run test soak check bench lock
ARGS ?=
PYTHON = .venv/bin/python
LOCK = .venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-header --no-annotate --no-emit-index-url $(ARGS) pyproject.toml
PARTS = api worker flower remote-results
PROMISE = tests/e2e/test_durability.py tests/integration/test_frozen.py tests/integration/test_poison.py \
	tests/integration/test_job_machine.py

setup:
	@scripts/setup.sh

run: setup
	@.venv/bin/kalpi up $(ARGS)

test: setup
	@$(PYTHON) -m pytest $(ARGS)

# What tests/soak.py says, for as long as the promise about failures goes on.
soak: setup
	@SOAK=1 $(PYTHON) -m pytest -rP $(PROMISE) $(ARGS)

check: setup
	@$(PYTHON) scripts/check.py

bench: setup
	@$(PYTHON) -m bench $(ARGS)

# Keeps today's versions unless told otherwise: make lock ARGS=--upgrade
lock: setup
	@$(LOCK) --all-extras -o locks/dev.txt
	@for part in $(PARTS); do $(LOCK) --extra $$part -c locks/dev.txt -o locks/$$part.txt || exit 1; done
	@$(PYTHON) scripts/check_lock.py
