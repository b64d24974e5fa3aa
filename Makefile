# Pelorus. `make help` lists the targets; README.md is the place to start.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := build

# Quiet, reproducible runs: no telemetry, no network for modules that are in the cache already.
export GOFLAGS ?= -mod=readonly
export GOTOOLCHAIN ?= local

ifdef PELORUS_MYSQL_PREFIX
export PELORUS_MYSQLD ?= $(PELORUS_MYSQL_PREFIX)/bin/mysqld
endif

BIN := bin/pelorus
TOOL := go tool -modfile=tools/go.mod
# Two test binaries at a time: the tests start real servers, and the smallest supported machine has two cores.
TEST_P ?= 2
DEMO_DIR ?= pelorus-data
# What `make test-long` runs: longer outages, runs and hostile input (PELORUS_LONG) in about 35 minutes, then each of some thirty fuzz targets for
# FUZZ_TIME, together with building them about 25. Packages of internal and cmd run with the race detector, the rest one at a time.
LONG ?= ./internal/... ./cmd/... ./test/... ./examples/...
FUZZ_TIME ?= 45s
LONG_UNIT = $(filter ./internal/% ./cmd/%,$(LONG))
LONG_SERVERS = $(filter-out $(LONG_UNIT),$(LONG))
# What is said of allocations and memory can't be measured under the race detector: these run once more without it.
MEMORY := -count=1 -timeout 5m -run 'AllocatesNothing|AreSmall' ./internal/gateway/session ./internal/mysql/wire

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build
build: ## build bin/pelorus
	go build -o $(BIN) ./cmd/pelorus

.PHONY: setup
setup: ## install what the tests and the demo need and this machine lacks (apt; MySQL beside it)
	@scripts/setup.sh all

.PHONY: demo
demo: ## a sharded, replicated cluster with a sample shop, from nothing
	@scripts/setup.sh server
	@$(MAKE) --no-print-directory build
	@$(BIN) up --detach --dir $(DEMO_DIR) --config examples/shop/cluster.yaml
	@go run ./examples/shop
	@printf '%s\n' '' 'Your turn:' \
	  "  mysql -h 127.0.0.1 -P 15306 -u root shop      (or: $(BIN) sql --keyspace shop)" \
	  "  $(BIN) explain --keyspace shop 'SELECT * FROM orders WHERE customer_id = 7'" \
	  '  $(BIN) status' \
	  '  $(BIN) reparent planned shop/-80' \
	  '  $(BIN) down --dir $(DEMO_DIR) --purge'

.PHONY: test
test: setup lint ## everything that must hold before a commit: lint, unit tests, tests on real servers
	@go run ./test/summary -p $(TEST_P) -timeout 15m -race ./internal/... ./cmd/... -- $(MEMORY) -- -p 1 -count=1 -timeout 25m ./test/... ./examples/...

.PHONY: test-unit
test-unit: ## the unit tests alone
	@go run ./test/summary -p $(TEST_P) -timeout 15m -race ./internal/... ./cmd/...

.PHONY: test-long
test-long: setup ## the tests in their long form, then fuzzing of each parser: about an hour (LONG="./test/fault/...": a part)
	@PELORUS_LONG=1 go run ./test/summary $(if $(LONG_UNIT),-p $(TEST_P) -timeout 15m -race $(LONG_UNIT)) -- $(if $(LONG_SERVERS),-p 1 -count=1 -timeout 25m $(LONG_SERVERS))
	@scripts/fuzz.sh $(FUZZ_TIME) $(LONG)

# BENCH holds flags of test/bench: BENCH="-quick", BENCH="-flavor mariadb -threads 8 -seconds 10".
.PHONY: bench
bench: build ## sysbench: direct, through Pelorus, through MySQL Router, taking turns (BENCH="-quick": two minutes)
	@scripts/setup.sh bench
	@go run ./test/bench -pelorus $(BIN) $(BENCH)

.PHONY: lint
lint: ## gofmt, vet, staticcheck, buf
	@bad=$$(gofmt -l $$(git ls-files '*.go')); if [ -n "$$bad" ]; then echo "not gofmt-ed (run gofmt -w):"; echo "$$bad"; exit 1; fi
	@go vet ./...
	@$(TOOL) staticcheck ./...
	@$(TOOL) buf lint
	@scripts/breaking.sh

.PHONY: generate
generate: ## write the generated code again from proto/
	$(TOOL) buf generate

.PHONY: clean
clean: ## stop the demo's cluster and remove what was built
	@if [ -x $(BIN) ] && [ -d $(DEMO_DIR) ]; then $(BIN) down --dir $(DEMO_DIR) --purge; fi
	rm -rf bin
