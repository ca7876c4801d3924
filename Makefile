# The commands that people and CI share. `make up` is the way in: it starts a local network, loads it, measures it and reports.
# `make help` lists the rest.

SHELL := /bin/sh
CARGO ?= cargo
# Arguments for the program behind the target: make up ARGS="--nodes 20", make test ARGS="-p peermark-judge".
ARGS ?=

TARGET_DIR := $(or $(CARGO_TARGET_DIR),target)
BINARY := $(TARGET_DIR)/release/peermark
CARGO_DENY_VERSION := 0.20.2

# ---------- System packages ----------
#
# Debian names. Each has a probe below that succeeds when the package's part is there, however it got there, so that nothing is
# installed on a system that has it under another name.

# gcc        SQLite (bundled), aws-lc, ring and zstd are C and are compiled with the binary. They need no cmake, perl, clang or nasm.
# libc6-dev  the C library's headers, for the same four.
BUILD_PACKAGES := gcc libc6-dev

# git         the tests over the repository itself ask git which files belong to it.
# postgresql, redis-server, iperf3  tests start servers of their own on free ports (PostgreSQL as another user where they run as
#             root); the system's are not touched.
# iproute2    tests of what needs a network of its own make one with ip.
# prometheus  promtool checks the alert rules that the monitor hands out.
TEST_PACKAGES := $(BUILD_PACKAGES) git postgresql redis-server iperf3 iproute2 prometheus

# binutils   strip and readelf.
# tar, gzip  the archive.
DIST_PACKAGES := $(BUILD_PACKAGES) binutils tar gzip

probe.gcc := command -v $(CC)
probe.libc6-dev := echo '\#include <stdlib.h>' | $(CC) -fsyntax-only -x c -
probe.git := command -v git
probe.postgresql := { command -v initdb && command -v postgres || ls /usr/lib/postgresql/*/bin/initdb; } && command -v psql
probe.redis-server := command -v redis-server
probe.iperf3 := command -v iperf3
probe.iproute2 := command -v ip || ls /usr/sbin/ip || ls /sbin/ip
probe.prometheus := command -v promtool
probe.binutils := command -v strip && command -v readelf
probe.tar := command -v tar
probe.gzip := command -v gzip

missing = $(strip $(foreach p,$(1),$(if $(shell { $(probe.$(p)); } >/dev/null 2>&1 && echo yes),,$(p))))
minimum_rust := $(shell sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)

# Stops unless a Rust compiler of the right age is there; lists the missing ones of the packages $(1) and installs them where it may.
define need
@command -v $(CARGO) >/dev/null 2>&1 || { \
	echo "error: cargo is missing: install Rust $(minimum_rust) or later with rustup (https://rustup.rs)" >&2; exit 1; }
@have=$$(rustc --version 2>/dev/null | cut -d ' ' -f 2); \
oldest=$$(printf '%s\n' "$$have" $(minimum_rust) | sort -V | head -n 1); \
[ "$$oldest" = $(minimum_rust) ] || { \
	echo "error: rustc $(minimum_rust) or later is needed, found '$$have': update it with rustup (https://rustup.rs)" >&2; exit 1; }
@missing="$(call missing,$(1))"; \
[ -n "$$missing" ] || exit 0; \
echo "missing packages: $$missing" >&2; \
install="apt-get install --yes --no-install-recommends $$missing"; \
if ! command -v apt-get >/dev/null 2>&1; then \
	echo "error: no apt-get here: install what your system calls these packages, then run this again" >&2; exit 1; \
elif [ "$$(id -u)" = 0 ]; then as_root="env DEBIAN_FRONTEND=noninteractive"; \
elif sudo -n true 2>/dev/null; then as_root="sudo -n env DEBIAN_FRONTEND=noninteractive"; \
else \
	echo "error: installing them needs root. Run this, then try again:" >&2; \
	echo "  sudo apt-get update && sudo $$install" >&2; exit 1; \
fi; \
$$as_root apt-get update >&2 && $$as_root $$install >&2 || { \
	echo "error: could not install: $$missing" >&2; exit 1; }
endef

# ---------- Run ----------

.PHONY: help up test
help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | while IFS="$$(printf '\t')" read -r target text; do \
		printf '%-12s %s\n' "$$target" "$$text"; done

up: ## build the binary and start, load, measure and report a local network (ARGS)
	$(call need,$(BUILD_PACKAGES))
	$(CARGO) build --release --locked -p peermark
	$(BINARY) up $(ARGS)

test: need-test ## every test of the workspace (ARGS)
	$(CARGO) test --workspace --locked $(ARGS)

# ---------- Interop ----------
#
# Kubo is built once, from the module proxy and checked against its checksum database. A module of its own holds the version:
# `go install PACKAGE@VERSION` refuses Kubo, whose go.mod has exclude directives, so they stand here again. In a network namespace
# without devices nothing can leave the machine; where the system forbids one, all nodes still keep to loopback.

KUBO_VERSION := v0.43.0
KUBO_GO := 1.26.5
IPFS := $(abspath $(TARGET_DIR))/interop/$(KUBO_VERSION)/ipfs

.PHONY: interop
interop: ## peermark and Kubo in one private network: DHT and blocks both ways (needs Go; the first time takes some minutes)
	$(call need,$(BUILD_PACKAGES))
	@if [ ! -x "$(IPFS)" ] && ! command -v go >/dev/null 2>&1; then \
		echo "skipped: interop with Kubo needs Go $(KUBO_GO) or later to build it: https://go.dev/dl, then make interop"; exit 0; fi; \
	[ -x "$(IPFS)" ] || $(MAKE) --no-print-directory kubo || exit 1; \
	$(CARGO) test --locked -p peermark --test interop --no-run || exit 1; \
	sealed=; if unshare --user --map-root-user --net ip link set lo up >/dev/null 2>&1; then \
		sealed='unshare --user --map-root-user --net sh -c "ip link set lo up && exec \"\$$@\"" sh'; fi; \
	eval "exec $$sealed $(CARGO) test --quiet --locked --offline -p peermark --test interop -- --ipfs '$(IPFS)'"

.PHONY: kubo
kubo:
	@echo "building Kubo $(KUBO_VERSION), which takes some minutes" >&2; \
	build="$(dir $(IPFS))build"; mkdir -p "$$build" && cd "$$build" && \
	printf '%s\n' 'module interop' '' 'go $(KUBO_GO)' '' 'require github.com/ipfs/kubo $(KUBO_VERSION)' '' 'exclude (' \
		'	github.com/ipfs/go-ipfs-cmds v2.0.1+incompatible' '	github.com/libp2p/go-libp2p v6.0.23+incompatible' ')' >go.mod && \
	GOFLAGS=-mod=mod CGO_ENABLED=0 GOBIN="$(patsubst %/,%,$(dir $(IPFS)))" go install -trimpath github.com/ipfs/kubo/cmd/ipfs

.PHONY: prove-compare
prove-compare: ## 40 pairs of arms of one binary: how often are they told apart? (about 20 minutes)
	$(call need,$(BUILD_PACKAGES))
	$(CARGO) build --release --locked -p peermark
	$(BINARY) doctor compare --pairs 40

.PHONY: prove-monitor-kills
prove-monitor-kills: need-test ## 200 SIGKILLs of a monitor at random moments, and 200 of its history alone: is anything lost?
	PEERMARK_KILLS=200 $(CARGO) test --release --locked -p peermark --test it -- --exact --nocapture \
		monitor::kill_9_at_random_moments_loses_nothing_that_was_told
	PEERMARK_KILLS=200 $(CARGO) test --release --locked -p peermark-monitor --test it -- --exact --nocapture \
		history_kill::history_survives_kills

.PHONY: prove-monitor-history
prove-monitor-history: need-test ## 400 days of the default self-tests: how much room does their history take?
	PEERMARK_DAYS=400 $(CARGO) test --release --locked -p peermark-monitor --test it -- --exact --nocapture \
		history_footprint::four_hundred_days_of_the_default_tasks_fit_in_50_mb

.PHONY: prove-adversary
prove-adversary: ## 500 trials of each attack of the gates in both worlds: do liars move a rate or a verdict? (some minutes)
	$(call need,$(BUILD_PACKAGES))
	$(CARGO) build --release --locked -p peermark
	$(BINARY) attest simulate --gates
.PHONY: prove-ledger-kills
prove-ledger-kills: need-test ## 1,000 SIGKILLs of a writer of the ledger's log at random moments: is anything lost, doubled or out of order?
	PEERMARK_KILLS=1000 $(CARGO) test --release --locked -p peermark-ledger --test it -- --exact --nocapture \
		log_kill::log_survives_kills
.PHONY: prove-ledger-cuts
prove-ledger-cuts: need-test ## 1,000 power cuts of a disk in memory that loses and tears what was not synced, 20,000 flipped bits, all proofs
	PEERMARK_CUTS=1000 PEERMARK_FLIPS=20000 PEERMARK_SIZES=1024 PEERMARK_FORGERIES=1000000 \
		$(CARGO) test --release --locked -p peermark-ledger --test it -- --nocapture log_cut:: log_damage:: log_proofs::
.PHONY: prove-ledger-replay
prove-ledger-replay: ## bench ledger: acknowledgements beside SQLite, transitions, and a log of 1,000,000 entries replayed and verified
	$(call need,$(BUILD_PACKAGES))
	$(CARGO) build --release --locked -p peermark
	$(BINARY) bench ledger

.PHONY: need-test
need-test:
	$(call need,$(TEST_PACKAGES))

# ---------- Check ----------

.PHONY: lint fmt-check clippy doc deny cargo-deny
lint: fmt-check deny clippy doc ## format, dependencies, clippy and documentation

fmt-check:
	$(CARGO) fmt --all --check

clippy:
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	$(CARGO) clippy -p peermark --test interop --locked -- -D warnings

doc:
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps --locked

# Who brings a package in is a question for `cargo tree --invert PACKAGE`: the graphs would be a thousand lines of warnings.
deny: cargo-deny
	$(CARGO) deny --workspace --all-features --locked check --hide-inclusion-graph licenses bans sources

cargo-deny:
	@$(CARGO) deny --version >/dev/null 2>&1 || { \
		echo "cargo-deny is missing: installing $(CARGO_DENY_VERSION), which takes some minutes" >&2; \
		$(CARGO) install --locked cargo-deny --version $(CARGO_DENY_VERSION); }

# ---------- Ship ----------

.PHONY: dist clean
dist: ## one archive to copy: stripped binary, licences, checksums
	$(call need,$(DIST_PACKAGES))
	$(CARGO) build --release --locked -p peermark
	@TARGET_DIR="$(TARGET_DIR)" CARGO="$(CARGO)" .ci/dist

clean: ## remove what building and packing left behind
	$(CARGO) clean
	rm -rf dist
