# Two commands matter: `make run` and `make test`. Both set up everything first.

SHELL := /bin/bash
PY := .venv/bin/python
KEFU := .venv/bin/kefu
STAMP := .venv/.installed
export RASA_TELEMETRY_ENABLED := false
export SQLALCHEMY_SILENCE_UBER_WARNING := 1

.PHONY: evaluate soak run test coverage setup train lint typecheck unit conversations e2e clean clean-data help

run: setup train ## set everything up, start all programs, print the page to chat on
	@exec $(KEFU) up

help:            ## show this list
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## */\1\t/' | expand -t 18

test: setup      ## set everything up and run every test
	@scripts/test.sh

coverage: setup  ## the same, and the lines that no test runs
	@KEFU_COVERAGE=1 scripts/test.sh

setup: $(STAMP)  ## the Python environment in .venv

$(STAMP): pyproject.toml constraints.txt scripts/setup.sh
	@scripts/setup.sh

train: setup     ## train the dialogue model when its data changed
	@$(KEFU) train

lint: setup      ## ruff and the import contracts
	@.venv/bin/ruff check . && .venv/bin/ruff format --check . && .venv/bin/lint-imports

typecheck: setup ## mypy, strict
	@.venv/bin/mypy

unit: setup      ## the quick tests
	@$(PY) -m pytest -q -m "not e2e and not browser and not slow"

evaluate: train  ## measure understanding on labelled files in KEFU_EVAL_DATA, if there are any
	@$(KEFU) evaluate perception && $(KEFU) evaluate pipelines
	@set -e; for set in "zh_real/dev_labelled.csv label" "hint3/train_mapped.csv intent" "bitext/dev_mapped.csv intent"; do \
	  read -r file column <<< "$$set"; \
	  if [ -n "$$KEFU_EVAL_DATA" ] && [ -f "$$KEFU_EVAL_DATA/$$file" ]; then \
	    $(KEFU) evaluate nlu --csv "$$KEFU_EVAL_DATA/$$file" --label-column $$column; \
	  else echo "skipped: $$file is not there"; fi; done

conversations: train ## Rasa's data validation and conversation tests
	@$(KEFU) test

e2e: train       ## the real programs, ending in the shop's database
	@scripts/browser.sh && $(PY) -m pytest -q -m "e2e or browser"

soak: setup      ## ten minutes of 200 shoppers at all doors while the gateway is killed
	@$(PY) -m tests.soak.soak --seconds 600 --shoppers 200

races: setup     ## ten thousand races of bot, people, shoppers and timers; an hour or more
	@KEFU_LONG_TESTS=1 $(PY) -m pytest -q -s tests/bot/handoff/test_races.py -k thousand

clean:           ## remove what can be made again; conversations, files and settings stay
	rm -rf .venv .cache models results .rasa

clean-data:      ## remove var with all conversations and files of shoppers, for ever: needs YES=1
	@if [ -e var/run/programs.json ]; then \
	  echo "Kefu is running (var/run/programs.json). Remedy: stop it; after a crash, remove that file." >&2; exit 1; fi
	@if [ "$(YES)" != 1 ]; then \
	  echo "This removes var: every conversation and file, for ever. Remedy: make clean-data YES=1" >&2; exit 1; fi
	rm -rf var
