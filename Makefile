# What is checked, and how, stands in .ci/run: these targets call its steps.

ROUNDS    ?= 200
HISTORY   ?= 50
PLATFORMS ?= linux/amd64 linux/arm64 darwin/amd64 darwin/arm64 windows/amd64 windows/arm64

.DEFAULT_GOAL := help
.PHONY: help build demo test race lint fuzz e2e bench chaos soak ci dist clean

help: ## say what there is
	@awk 'BEGIN {FS = ":.*## "} /^[a-z0-9-]+:.*## / {printf "make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## build ./holdpoint
	go build -o holdpoint ./cmd/holdpoint

demo: ## show the gate at work, in a second
	go run ./cmd/holdpoint demo

test: ## run all tests
	go test ./...

race: ## run the tests of everything concurrent under the race detector
	bash .ci/run race

lint: ## gofmt, go vet, go mod tidy and staticcheck
	bash .ci/run lint

fuzz: ## fuzz every target for FUZZTIME (5s)
	bash .ci/run fuzz

e2e: ## run scripts, documents and crash tests against the real program
	go test -count=1 ./e2e

bench: ## measure throughput against the broker alone, latency, rules and verification
	go test -run '^$$' -bench . -benchtime 1x ./cmd/holdpoint
	go test -run '^$$' -bench . ./rules ./audit

chaos: ## kill the gate, its stages and nodes of its cluster ROUNDS (200) times
	HOLDPOINT_TEST_CRASHES=$(ROUNDS) go test -count=1 -timeout 0 -v -run 'TestCrash|TestCluster' ./e2e

soak: ## run the random histories HISTORY (50) times over, with new seeds
	go test -count=$(HISTORY) -timeout 0 -run 'TestHistories' ./stages

ci: ## everything that must hold before a change is taken in
	bash .ci/run

# The same source gives the same archives, wherever and whenever they are made: the
# binaries know no paths, the archives no times and no owners.
dist: ## build dist/holdpoint-OS-ARCH.tar.gz for PLATFORMS, and their digests
	rm -rf dist && mkdir -p dist
	for platform in $(PLATFORMS); do \
		os=$${platform%/*} arch=$${platform#*/} suffix= && \
		if [ $$os = windows ]; then suffix=.exe; fi && \
		name=holdpoint-$$os-$$arch && mkdir dist/$$name && cp README.md LICENSE dist/$$name/ && \
		CGO_ENABLED=0 GOOS=$$os GOARCH=$$arch go build -trimpath -ldflags='-s -w' -o dist/$$name/holdpoint$$suffix ./cmd/holdpoint && \
		tar -C dist --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner --mode=u=rwX,go=rX -cf - $$name | gzip -9n > dist/$$name.tar.gz && \
		rm -r dist/$$name || exit 1; \
	done
	cd dist && sha256sum *.tar.gz > SHA256SUMS

clean: ## remove what was built
	rm -rf bin dist holdpoint
