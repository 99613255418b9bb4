"""Tests the tool that types the tutorial, on small pages."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))

from documentation.tutorial import blocks, missing, run  # noqa: E402

PAGE = """
```bash
name=world
```

```bash
echo "hello $name"; echo between; echo "success 97.5% [94.3%, 98.9%] of 200"
```

<!-- numbers within 8 -->
```text
hello world
...
... 95% [94%, 98%] ...
```
"""


def test_the_blocks_run_in_one_shell_and_are_compared(tmp_path: Path) -> None:
    first, second = run(PAGE, tmp_path)
    assert first[0].lines == ()
    assert second[0].within == 8.0
    assert missing(second[0], second[1]) == ""


@pytest.mark.parametrize(
    ("printed", "lacks"),
    [
        ("hello world\nsuccess 86.9% [94.3%, 98.9%] of 200", "... 95% [94%, 98%] ..."),
        ("success 97.5% [94.3%, 98.9%] of 200\nhello world", "... 95% [94%, 98%] ..."),
        ("hello  you\nsuccess 97.5% [94.3%, 98.9%] of 200", "hello world"),
        ("\rbar 10%\rhello world\nsuccess 97.5% [94.3%, 98.9%]", ""),
    ],
)
def test_a_line_that_differs_is_named(printed: str, lacks: str) -> None:
    assert missing(blocks(PAGE)[1], printed) == lacks


def test_numbers_may_have_any_value_where_no_tolerance_is_said() -> None:
    (block,) = blocks("```bash\nx\n```\n\n```text\nversion 1: 1909/46000 steps, ...\n```\n")
    assert missing(block, "version 1: 2048/46000 steps, 3/4 solved") == ""
    assert missing(block, "version 1: 2048/46000 chunks") != ""


def test_a_command_that_fails_is_named_with_what_it_printed(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=r"`echo why; false` must succeed, got:\nwhy"):
        list(run("```bash\necho why; false\n```\n", tmp_path))


def test_commands_get_the_checkpoint_that_was_printed_in_the_place_of_that_of_the_page(tmp_path: Path) -> None:
    page = (
        "```bash\necho version 27: x; echo the newest is a/step_27\n```\n\n```text\nversion 26: ...\n"
        "the newest is a/step_26\n```\n\n```bash\necho take a/step_26 of b/step_26 and a/step_260\n```\n\n"
        "<!-- numbers within 0 -->\n```text\ntake a/step_26 of b/step_26 and a/step_260\n```\n"
    )
    first, second = run(page, tmp_path)
    assert second[1] == "take a/step_27 of b/step_26 and a/step_260\n"
    assert missing(*first[:2]) == missing(*second[:2]) == ""


def test_a_command_does_not_read_those_that_follow(tmp_path: Path) -> None:
    first, second = run('```bash\nname=$(cat)\n```\n\n```bash\necho "<$name>"\n```\n', tmp_path)
    assert (first[1], second[1]) == ("", "<>\n")


def test_the_tutorial_leads_to_a_policy_and_says_what_it_prints() -> None:
    made = blocks((ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8"))
    assert [block.commands.split()[:2] for block in made][:3] == [
        ["make", "setup"],
        ["chunk_ppo", "pretrain"],
        ["chunk_ppo", "evaluate"],
    ]
    assert sum(bool(block.lines) for block in made) >= 4
