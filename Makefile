# The two targets that matter: `make matrix` and `make test`. Both first bring
# the host to where it can run them (ci/setup-host.sh; nothing to do, nothing done).

GO           ?= go
BIN          := bin/ohpc-build
GOLANGCI     := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
GOFUMPT      := mvdan.cc/gofumpt@v0.12.0
VERSION      := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
# make passes its own jobserver down; go and rpmbuild bring their own parallelism.
MAKEFLAGS    += --no-print-directory
MATRIX_FLAGS ?=
TEST_FLAGS   ?=
FUZZTIME     ?= 2s
BENCH_FLAGS  ?=

.PHONY: all build push matrix test unit fuzz bench lint docs host clean help
all: build

help: ## what can be made
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

build: ## bin/ohpc-build
	$(GO) build -trimpath -ldflags "-X main.version=$(VERSION)" -o $(BIN) ./cmd/ohpc-build

push: ## bin/ohpc-build-push, which repo push needs for cloud storage
	$(GO) build -trimpath -o $(BIN)-push ./cmd/ohpc-build-push

host: ## install what the host needs (as root)
	@sh ci/setup-host.sh

matrix: host build ## the main job: build, sign, validate and publish the catalogue for every cell
	$(BIN) matrix $(MATRIX_FLAGS)

test: host ## all tests: unit, and integration with the real rpm, dnf, zypper, runc and qemu
	$(GO) vet ./...
	$(GO) test -count=1 -timeout 20m $(TEST_FLAGS) ./...

unit: ## the tests that need no container
	$(GO) test -short ./...

fuzz: ## every fuzz target for FUZZTIME each
	@sh ci/fuzz.sh $(FUZZTIME) $(GO)

bench: host build ## figures beside those of other programs (BENCH=name, TREE=checkout of OpenHPC)
	$(GO) run ./ci/bench $(if $(BENCH),-bench '$(BENCH)') $(if $(TREE),-tree '$(TREE)') $(BENCH_FLAGS)

lint: ## go vet, gofumpt and golangci-lint
	$(GO) vet ./...
	@out=$$($(GO) run $(GOFUMPT) -l .); if [ -n "$$out" ]; then echo "not formatted (run gofumpt -w):"; echo "$$out"; exit 1; fi
	$(GO) run $(GOLANGCI) run ./...

docs: build ## write the generated command and recipe reference
	$(GO) test ./recipes/schema -update
	$(GO) test ./cmd/ohpc-build -run TestCommandReference -update

clean: ## remove what was built here (the state folder stays: ohpc-build cache)
	rm -rf bin out
