# Each target does all the set-up it needs and can be repeated.
SHELL := /bin/bash
PYTHON := .venv/bin/python
.PHONY: demo test lint bench soak asan tsan fuzz setup test-v2

demo:
	scripts/setup packages
	scripts/setup venv
	$(PYTHON) scripts/demo.py

test: setup
	scripts/test

lint: setup
	scripts/lint

bench:
	scripts/setup packages
	scripts/setup venv
	$(PYTHON) tests/py/bench/bench.py

# One of them: $(PYTHON) tests/py/soak/soak.py NAME --count N
soak:
	scripts/setup packages
	scripts/setup venv
	$(PYTHON) tests/py/soak/soak.py all

asan:
	scripts/setup packages
	scripts/test asan

# Those of the C++ tests that use threads.
tsan:
	scripts/setup packages
	scripts/test tsan

# The tests of tasks on cgroup v2, in an emulated Debian.
test-v2: setup
	scripts/test-v2

fuzz:
	scripts/setup packages
	scripts/fuzz

setup:
	scripts/setup
