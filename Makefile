# make demo   train the reference methods and PF-MSMTrec on real logs (about 4 minutes on 2 cores)
# make test   the whole test suite
# make lint   ruff and mypy
# make parity one experiment in one process, in a Flower simulation and deployed: the same bits (about 3 minutes)
# make kills  deployments whose processes are killed while they train: the same bits (about 3 minutes)
# make changes   a deployment whose certificate is renewed and that takes in a node, in a run (about 3 minutes)
# make proxy  a deployment behind a real nginx, which must be installed (about 2 minutes)
# make docs   the documentation as a site, into site/; a broken link fails
# make bench  every target of speed beside what this machine makes of it (40 minutes, 5 GB of disk; BENCH=training runs one)
# make measure-federation   what a deployment costs, in seconds and memory (half an hour); make federation-page   docs/deployment.md from that
# make results DATA=kuairand   a benchmark for docs/results/ (a night); make results-page   docs/results.md from what is there
# make dist   sdist and wheel, into dist/, and what PyPI would refuse about them
# Each makes .venv first, once. PYTHON chooses the interpreter (3.11 or newer).
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo test lint parity kills changes proxy docs dist bench bench-page results results-page measure-data measure-predict measure-serving measure-federation federation-page clean

demo: $(READY)
	$(BIN)/msmtrec demo

test: $(READY)
	$(BIN)/python -m pytest

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Ray, which only simulations need, is installed the first time.
parity: $(READY)
	$(BIN)/python -c "import ray" 2>/dev/null || $(BIN)/python -m pip install -qq --disable-pip-version-check -c constraints.txt -e '.[flower-sim]'
	PYTHONPATH=tests $(BIN)/python -m deployed.parity

kills: $(READY)
	PYTHONPATH=tests $(BIN)/python -m deployed.kills

changes: $(READY)
	PYTHONPATH=tests $(BIN)/python -m deployed.changes

proxy: $(READY)
	PYTHONPATH=tests $(BIN)/python -m deployed.proxy

docs: $(READY)
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --site-dir site

# Without isolation: the pinned build backend, and no network.
dist: $(READY)
	$(BIN)/python -m pip install -qq --disable-pip-version-check -c constraints.txt -e '.[dist]'
	rm -rf dist
	$(BIN)/python -m hatchling build
	$(BIN)/python -m twine check --strict dist/*

# One core is enough but for `cores`; nothing else should run. BENCH names scripts of benchmarks/, QUICK=1 cuts sizes down.
bench: $(READY)
	$(BIN)/python benchmarks/bench.py $(BENCH) $(if $(QUICK),--quick)

# Profiles of what missed its target, and docs/performance.md from the figures of the last `make bench`.
bench-page: $(READY)
	$(BIN)/python benchmarks/profiles.py
	$(BIN)/python benchmarks/page.py

# The figures of docs/results/: DATA names a benchmark of configs/bench/, a night or more, or a config of configs/results/ whose settings are chosen
# already. Called again it goes on.
FOUND := runs/results-$(DATA)
results: $(READY)
	@test -f "configs/bench/$(DATA).yaml" -o -f "configs/results/$(DATA).yaml" || { echo "name a data set: make results DATA=kuairand (or another of configs/bench/ and configs/results/)"; exit 2; }
ifneq ($(wildcard configs/bench/$(DATA).yaml),)
	$(BIN)/msmtrec bench configs/bench/$(DATA).yaml --out $(FOUND) $(if $(wildcard $(FOUND)/bench.yaml),--resume)
	cp $(FOUND)/bench.csv docs/results/$(DATA).csv
else
	$(BIN)/msmtrec train configs/results/$(DATA).yaml --out $(FOUND) $(if $(wildcard $(FOUND)/config.yaml),--resume)
	cp $(FOUND)/results.csv docs/results/$(DATA).csv
endif
	$(BIN)/msmtrec show $(FOUND) --summary > $(FOUND)/summary.json
	cp $(FOUND)/summary.json docs/results/$(DATA).json

# docs/results.md from the files of docs/results/.
results-page: $(READY)
	$(BIN)/python benchmarks/results_page.py

# 2 GB of logs, written once and encoded ten times: a quarter of an hour, 5 GB of disk; nothing else should run.
measure-data: $(READY)
	$(BIN)/python benchmarks/data_at_size.py

# a hundred million rows with the models of a finished run on KuaiRand-Pure: RUN=DIR; six minutes, 2 GB of disk
measure-predict: $(READY)
	$(BIN)/python benchmarks/predict_at_size.py $(RUN)

# Latency and throughput of msmtrec serve with the models of make demo: two minutes; nothing else should run.
measure-serving: $(READY)
	$(BIN)/python benchmarks/serving_speed.py
	$(BIN)/python benchmarks/serving_speed.py --batching

# Federations in one process, deployed with TLS, and in a Flower simulation: half an hour, 16 GB of memory, 20 GB of disk; nothing else should run.
# Interrupted, it goes on. QUICK=1 only looks whether it works.
measure-federation: $(READY)
	$(BIN)/python -c "import ray" 2>/dev/null || $(BIN)/python -m pip install -qq --disable-pip-version-check -c constraints.txt -e '.[flower-sim]'
	$(BIN)/python benchmarks/federation_overhead.py $(if $(QUICK),--quick)

# The measured part of docs/deployment.md from the figures of the last `make measure-federation`.
federation-page: $(READY)
	$(BIN)/python benchmarks/federation_overhead.py --page

# torch first and by itself: an exact pin takes whichever build (CPU or CUDA) pip is configured for.
$(READY): pyproject.toml constraints.txt
	@echo "installing into $(VENV), once: a minute or more"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -qq --disable-pip-version-check -c constraints.txt torch
	$(BIN)/python -m pip install -qq --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $(READY)

clean:
	rm -rf $(VENV) runs site dist
