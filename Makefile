# The whole developer interface. ARGS is passed through: make run ARGS="--port 9000", make test ARGS="-k rsi".
.PHONY: setup run test check bench lock
ARGS ?=
PYTHON = .venv/bin/python
LOCK = .venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-header --no-annotate --no-emit-index-url $(ARGS) pyproject.toml
PARTS = api worker flower

setup:
	@scripts/setup.sh

run: setup
	@.venv/bin/kalpi up $(ARGS)

test: setup
	@$(PYTHON) -m pytest $(ARGS)

check: setup
	@$(PYTHON) scripts/check.py

bench: setup
	@$(PYTHON) -m bench $(ARGS)

# Keeps today's versions unless told otherwise: make lock ARGS=--upgrade
lock: setup
	@$(LOCK) --all-extras -o locks/dev.txt
	@for part in $(PARTS); do $(LOCK) --extra $$part -c locks/dev.txt -o locks/$$part.txt || exit 1; done
	@$(PYTHON) scripts/check_lock.py
