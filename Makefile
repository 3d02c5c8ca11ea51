# What a person types. Each target is a script of its own in scripts/ or a plain cargo command.
.DEFAULT_GOAL := help
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.PHONY: help run-all demo test faults bench lint docs build install image package stop ci

help: ## Shows this list
	@echo 'correction-runner: runs submissions in containers and tells the caller the grade (README.md)'
	@echo
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' Makefile | column -t -s '|'

run-all: ## Installs and starts what is missing, runs the whole system with an example, until Ctrl-C
	@scripts/run_all

demo: ## The same, but ends after the example's verdict
	@scripts/run_all --until-verdict

test: ## Installs what is missing and runs every test: real Redis, real Docker, real Node clients
	@scripts/run_tests

faults: ## Runs the whole fault campaign and prints its figures (RELIABILITY.md); make test runs its short part
	@scripts/run_faults

bench: ## Runs the benchmarks (BENCHMARKS.md)
	@scripts/set_up_services --for test
	@npm ci --prefix integration/node --no-audit --no-fund --loglevel=error
	cargo bench --bench corrections

lint: ## Checks format, lints and the scripts; changes nothing (licences: make ci)
	@scripts/lint

docs: ## Writes what the pages repeat of the code: settings, commands, metrics, outcomes (docs/reference/)
	@bash -c '. scripts/parts/speech.sh; . scripts/parts/rust.sh; check_rust; cargo run --quiet --locked --example reference'

build: ## Builds the program: target/release/correction-runner
	@bash -c '. scripts/parts/speech.sh; . scripts/parts/rust.sh; check_rust; build --release --bin correction-runner'

install: ## Installs what build built, with manual pages, completions and units (PREFIX=/usr/local, DESTDIR=)
	@scripts/install '$(or $(PREFIX),/usr/local)'

image: ## Makes the image correction-runner from a static program built here; no registry is needed
	@scripts/make_image

package: ## Makes an archive for machines without Rust: target/correction-runner-….tar.gz
	@scripts/make_package

stop: ## Stops the services that set_up_services started and that still run
	@scripts/stop_services

ci: ## What the project's CI runs
	@.ci/run
