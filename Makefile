# Every target but clean and help first brings .venv up to date. ARGS="..." is passed on.
PYTHON_VENV := .venv/bin/python
# One process more than cores, because the tests of nodes wait for most of their time.
JOBS ?= $(shell expr $$(nproc) + 1)
# The slow tests start whole graphs, which wait for nothing.
SLOW_JOBS ?= $(shell nproc)
PYTEST := PYTEST_DISABLE_PLUGIN_AUTOLOAD=1 $(PYTHON_VENV) -m pytest -p xdist --dist loadgroup -n

# Python keeps compiled modules. A node that has to compile them starts several times as slowly.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup demo experiment experiments report test test-slow mutants faults fuzz power-cut chaos bench-store load-store command-stream docs docs-commands replay tutorial lint format bench clean

help: ## show this list
	@echo 'make TARGET [ARGS="..."] [PYTHON=/path/to/python3]'
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  \1\t\2/p' Makefile

setup: ## make .venv and build the messages; a second run does nothing
	@PYTHON="$(PYTHON)" tools/setup.sh

demo: setup ## fine-tune a small policy in the simulator over ROS 2 topics, and show what it learned
	@folder=$$($(PYTHON_VENV) test/support/interbotix_messages.py) && \
	PYTHONPATH="$$folder:$$PYTHONPATH" $(PYTHON_VENV) -m chunk_ppo_ros demo --backend interbotix $(ARGS)

experiment: setup ## learn one curve: NAME=reach SEED=1 [VARIANT=token]; goes on where it was stopped
	@$(if $(filter gaussian_ppo%,$(VARIANT)),$(PYTHON_VENV) -m pip install -q -c requirements/constraints.txt -r requirements/experiments.txt)
	@$(PYTHON_VENV) -m experiments run $(NAME) $(if $(VARIANT),--variant $(VARIANT)) $(if $(SEED),--seed $(SEED)) $(ARGS)

experiments: setup ## learn many curves: ARGS="reach:1,2,3 reach_kinematic/token:1 --at_once 2"
	@$(PYTHON_VENV) -m experiments many $(ARGS)

report: setup ## write docs/results/ from the finished curves
	@$(PYTHON_VENV) -m experiments report $(ARGS)

test: setup ## run the tests but the slow ones, in JOBS processes, one more than cores
	@$(PYTEST) $(JOBS) $(ARGS)

test-slow: setup ## run the slow tests: the colcon build, and graphs that train and are measured
	@$(PYTEST) $(SLOW_JOBS) --slow -m slow $(ARGS)

mutants: setup ## change lines of the package at random and say which changes no test notices: SEED=1 COUNT=100
	@$(PYTHON_VENV) tools/mutate.py --seed $(or $(SEED),1) --count $(or $(COUNT),100) --jobs $(JOBS) $(ARGS)

faults: setup ## inject faults into robot_node's parts, and count what its commands do: SEED=1 ARGS=--long
	@PYTHONPATH="tools:$$PYTHONPATH" $(PYTHON_VENV) -m faults --seed $(or $(SEED),1) $(ARGS)

fuzz: setup ## damage recordings of all formats at random, and judge what is read of them: SEED=1 ARGS="--cases 2000"
	@PYTHONPATH="tools:$$PYTHONPATH" $(PYTHON_VENV) -m fuzz_recordings --seed $(or $(SEED),1) $(ARGS)

power-cut: setup ## replay power cuts after every system call of what is stored, and damage stored files: SEED=1
	@PYTHONPATH="tools:$$PYTHONPATH" $(PYTHON_VENV) -m power_cut --seed $(or $(SEED),1) $(ARGS)

chaos: setup ## kill nodes of a simulated graph at random moments, and judge what is lost: KILLS=20 CHUNKS=500 SEED=1
	@PYTHONPATH="tools:$$PYTHONPATH" $(PYTHON_VENV) -m chaos --kills $(or $(KILLS),20) --chunks $(or $(CHUNKS),500) \
	  --seed $(or $(SEED),1) $(ARGS)

bench-store: setup ## records a second of the store beside the journal without syncs: ARGS="--rounds 5 --folder DIR"
	@PYTHONPATH="tools:$$PYTHONPATH" $(PYTHON_VENV) -m store_speed.bench $(ARGS)

load-store: setup ## send trainer_node 100 transitions of 452 kB a second from four senders, and look for each: ARGS="--seconds 30"
	@PYTHONPATH="tools:$$PYTHONPATH" $(PYTHON_VENV) -m store_speed.load $(ARGS)

STREAM := runs/command-stream
command-stream: setup ## record 300 chunks in real time beside a training policy, and plot the commands: CHECKPOINT=DIR
	@rm -rf $(STREAM) checkpoints/command-stream
	@folder=$$($(PYTHON_VENV) test/support/interbotix_messages.py) && export PYTHONPATH="$$folder:$$PYTHONPATH" && \
	XLA_FLAGS="--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1" $(PYTHON_VENV) -m chunk_ppo_ros graph \
	  --config demo --exp_name command-stream --pretrained_checkpoint_path $(CHECKPOINT) --on_load_failure fail --no_wandb \
	  --backend interbotix --realtime --max_velocity 1.5 --max_acceleration 10 \
	  --total_timesteps 4800 --num_chunks_per_update 64 --record $(ARGS) && \
	$(PYTHON_VENV) -m chunk_ppo_ros command-stream $(STREAM)/bag

docs: setup ## build the documentation site into site/, and look for dead links and for what pages load from elsewhere
	@PYTHONPATH="tools:$$PYTHONPATH" $(PYTHON_VENV) -m documentation $(ARGS)

docs-commands: setup ## run the commands of the README and of docs/ that need no robot, with little to do: ARGS="-k report"
	@$(PYTEST) $(JOBS) --long test/test_documented_commands.py $(ARGS)

replay: setup ## record a run, replay it through reward_node and trainer_node, and compare the transitions
	@$(PYTEST) $(JOBS) --slow --long test/test_replay.py $(ARGS)

tutorial: ## type docs/tutorial.md into a clean clone, and compare what its commands print; ARGS=FOLDER makes the clone there
	@PYTHONPATH=tools python3 -m documentation.tutorial $(ARGS)

lint: setup ## check format, style and types
	$(PYTHON_VENV) -m ruff format --check $(ARGS)
	$(PYTHON_VENV) -m ruff check $(ARGS)
	$(PYTHON_VENV) -m mypy $(ARGS)

format: setup ## format the code and mend what ruff can
	$(PYTHON_VENV) -m ruff format $(ARGS)
	$(PYTHON_VENV) -m ruff check --fix $(ARGS)

bench: setup ## measure acting, updating, observing and the topics
	@$(PYTHON_VENV) -m chunk_ppo_ros bench $(ARGS)

clean: ## remove .venv and everything that was built; runs/ and checkpoints/ stay
	rm -rf .venv .cache build install log site *.egg-info .pytest_cache .ruff_cache .mypy_cache .hypothesis .coverage*
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
