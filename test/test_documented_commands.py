"""Tests the commands of the README and of docs/: each is valid, and is run or stands in docs/commands.md."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))

from documentation.commands import session  # noqa: E402
from documentation.commands.blocks import Command, commands, documents, inline_commands, unmarked_blocks  # noqa: E402
from documentation.commands.checks import fault  # noqa: E402
from documentation.commands.runs import RUNS, Run, as_documented  # noqa: E402

PAGE = ROOT / "docs" / "commands.md"
TABLE = "docs/commands.md"
ALL = [command for path in documents(ROOT) for command in commands(path, ROOT)]
ALL += [command for path in documents(ROOT) for command in inline_commands(path, ROOT) if command.document != TABLE]
RUN = {one.text for one in RUNS}


def listed() -> list[str]:
    """Returns the commands of docs/commands.md. One that ends with three dots stands for all that begin so."""
    return re.findall(
        r"^\| `(.*?)` \| (?:\d{4}-\d\d-\d\d|not yet) \| .*\|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE
    )


def stands_for(row: str, command: str) -> bool:
    return command.startswith(row[:-3].rstrip()) if row.endswith("...") else command == row


def test_every_command_is_valid() -> None:
    faults = {command.text: (f"{command.document}:{command.line}", fault(command.text, ROOT)) for command in ALL}
    assert not {text: found for text, found in faults.items() if found[1]}


def test_every_command_is_run_or_stands_in_the_table() -> None:
    rows = listed()
    left = {
        f"{command.document}:{command.line}: {as_documented(command.text)}"
        for command in ALL
        if as_documented(command.text) not in RUN
        and not any(stands_for(row, as_documented(command.text)) for row in rows)
    }
    assert not left, "run these in tools/documentation/commands/runs.py, or add a row to docs/commands.md"


def test_the_table_and_the_list_have_no_commands_that_no_document_has() -> None:
    documented = {as_documented(command.text) for command in ALL}
    assert not RUN - documented
    assert not [row for row in listed() if not any(stands_for(row, text) for text in documented)]


def test_the_rows_of_the_table_are_read() -> None:
    rows = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    assert len(rows) == len(listed())


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("chunk_ppo train --learning_rte 1", "unknown flag --learning_rte"),
        ("chunk_ppo train --learning_rate -1", "learning_rate must be within"),
        ("chunk_ppo train --ratio tokens", "ratio"),
        ("python -m chunk_ppo_ros trian", "there is no command trian"),
        ("make tset", "make has no target tset"),
        ('make bench ARGS="--ony act"', "unknown flag --ony"),
        ("cd there && make tset", "make has no target tset"),
        (".venv/bin/python examples/nothing.py", "there is no file examples/nothing.py"),
        ("ros2 service call /reward_node/begin std_srvs/srv/Trigger", "there is no service /reward_node/begin"),
        ("ros2 service call /reward_node/pause std_srvs/srv/Trigger", "has the type std_srvs/srv/SetBool"),
        ('ros2 service call /reward_node/pause std_srvs/srv/SetBool "{dat: 1}"', "has no field dat"),
        ("chunk_ppo topic echo /episode_stat", "there is no topic /episode_stat"),
        ("chunk_ppo call /reward_node/begin", "there is no service /reward_node/begin"),
        ("chunk_ppo call /reward_node/pause '{dat: true}'", "has no field dat"),
        ("ros2 topic echo /episode_stat", "there is no topic /episode_stat"),
        ("ros2 topic echo /training_metrics --field policy_los", "has no field policy_los"),
        ("ros2 launch chunk_ppo_ros training.launch.py chekpoint:=x", "has no argument chekpoint"),
        ("ros2 launch chunk_ppo_ros train.launch.py", "there is no launch file"),
        ("ros2 lifecycle set /robot_node start", "no node /robot_node has the transition start"),
        ("ros2 param set /robot_node robot.max_speed 1", "no node /robot_node has the parameter robot.max_speed"),
        ("ros2 param set /robot_node robot.backend x", "robot.backend cannot be set while the node runs"),
    ],
)
def test_a_command_that_is_wrong_is_found(text: str, found: str) -> None:
    assert found in fault(text, ROOT)


def test_commands_are_found_in_fences_and_indented_blocks(tmp_path: Path) -> None:
    path = tmp_path / "page.md"
    path.write_text(
        "Text with `make x`.\n\n```bash\n# A comment.\nmake a   # why\nA=1 make b \\\n    --c\n```\n\n"
        '1. Step\n\n       make d\n\n```\nmake e\nprinted\nros2 x "{a: [\n  1]}"\n```\n\n```python\nmake = 1\n```\n'
    )
    assert list(commands(path, tmp_path)) == [
        Command("make a", "page.md", 5),
        Command("A=1 make b --c", "page.md", 6),
        Command("make d", "page.md", 12),
        Command("make e", "page.md", 15),
        Command('ros2 x "{a: [ 1]}"', "page.md", 17),
    ]


def test_each_line_of_a_block_of_bash_is_a_command_but_comments_and_what_a_command_is_given(tmp_path: Path) -> None:
    path = tmp_path / "page.md"
    path.write_text(
        "```bash\n# Why.\nunheard_of --flag\n\nenv/bin/pip install x  # a comment\n"
        "cat > a.py <<'END'\nmake = 1\n\nEND\n"
        'echo "a\n  b" \\\n  c\n```\n\n```text\nmake a\nunheard of\n```\n'
    )
    assert list(commands(path, tmp_path)) == [
        Command("unheard_of --flag", "page.md", 3),
        Command("env/bin/pip install x", "page.md", 5),
        Command("cat > a.py <<'END'", "page.md", 6),
        Command('echo "a b" c', "page.md", 10),
        Command("make a", "page.md", 16),
    ]


def test_a_block_with_commands_says_whether_each_of_its_lines_is_one(tmp_path: Path) -> None:
    path = tmp_path / "page.md"
    path.write_text(
        "```bash\nmake a\n```\n\n```\nA drawing\n```\n\n```\nmake a\nunheard of\n```\n\n```text\nmake a\n```\n"
    )
    assert list(unmarked_blocks(path)) == [9]
    pages = [path for path in documents(ROOT) if path.suffix == ".md"]
    found = {str(path.relative_to(ROOT)): list(unmarked_blocks(path)) for path in pages}
    assert {name: lines for name, lines in found.items() if lines} == {}, "mark these blocks as bash, or as text"


def test_the_pages_of_results_are_read() -> None:
    assert "docs/results/baselines.md" in {command.document for command in ALL}


def test_commands_are_found_between_backquotes_and_in_the_docstrings_of_programs(tmp_path: Path) -> None:
    page, program = tmp_path / "page.md", tmp_path / "program.py"
    page.write_text(
        "Say `make x` or `ros2 topic echo\n/a`, not `ros2 bag` or `make ...`; `wandb sync`.\n\n```\n`make y`\n```\n"
    )
    program.write_text('"""Does it.\n\n    make z\n\nEnd.\n"""\nx = "`make w`"\n')
    assert list(inline_commands(page, tmp_path)) == [
        Command("make x", "page.md", 1),
        Command("ros2 topic echo /a", "page.md", 1),
        Command("wandb sync", "page.md", 2),
    ]
    assert list(commands(program, tmp_path)) == [Command("make z", "program.py", 3)]


@pytest.mark.parametrize(
    "text",
    ["chunk_ppo report mine", ".venv/bin/python -m chunk_ppo_ros report mine", "python -m chunk_ppo_ros report mine"],
)
def test_the_forms_of_a_command_are_one(text: str) -> None:
    assert as_documented(text) == "chunk_ppo report mine"


def test_a_run_is_made_small_and_compared(tmp_path: Path) -> None:
    one = Run("chunk_ppo store list NAME", "--verbose")
    assert one.small == "chunk_ppo store list g --verbose"
    right = Run("python -c 'print(\"yes 1\")'", prints=r"yes \d")
    assert session.fault(right, tmp_path, ROOT) == ""
    assert "must print 'no'" in session.fault(Run(right.text, prints="no"), tmp_path, ROOT)
    assert "must end with the status (0,), got 3" in session.fault(Run("python -c 'exit(3)'"), tmp_path, ROOT)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("commands")
    session.prepare(made, ROOT)
    return made


@pytest.mark.long("make docs-commands")
@pytest.mark.graph
@pytest.mark.parametrize("one", RUNS, ids=lambda one: one.text)
def test_a_documented_command_does_what_its_page_says(one: Run, folder: Path) -> None:
    assert session.fault(one, folder, ROOT) == ""
