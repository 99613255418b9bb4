"""The pages of the Python API, made from the source files: signatures as they are written, and docstrings."""

from __future__ import annotations

import ast
import dataclasses
import pathlib
from collections.abc import Iterator

from documentation.reference.docstrings import markdown

_PACKAGE = pathlib.Path(__file__).resolve().parents[3] / "chunk_ppo_ros"
_INDEX = """# Python API

These are the classes and functions that a program of yours calls or implements. Shapes are in the signatures, in which
B is batch, N chunks, C cameras, H horizon, D action dimensions, T action tokens, L prompt, S state and V vocabulary.
A name is imported from the module in the heading above it.

"""
_Documented = ast.FunctionDef | ast.ClassDef


@dataclasses.dataclass(frozen=True)
class ApiPage:
    """A page of the API.

    Attributes:
        name: file name without its ending.
        title: heading.
        about: a sentence for the page and for the index.
        modules: files below the package, without their ending, in their order.
    """

    name: str
    title: str
    about: str
    modules: tuple[str, ...]


PAGES = (
    ApiPage(
        "model",
        "The policy",
        "`Pi0FASTActorCritic` samples action chunks and scores them.",
        (
            "model/actor_critic",
            "config/model",
            "model/outputs",
            "model/value_head",
            "model/tokenization/policy_tokenizer",
        ),
    ),
    ApiPage(
        "rl",
        "Chunk PPO",
        "These functions work on arrays, and know no model and no ROS.",
        ("rl/gae", "rl/ratios", "rl/losses", "rl/targets", "rl/rollout", "rl/update", "rl/trust_region"),
    ),
    ApiPage(
        "types",
        "Transitions and their parts",
        "One part of the package hands these types to another.",
        ("core/types", "core/execution", "core/errors"),
    ),
    ApiPage(
        "environment",
        "Environments, simulators and tasks",
        "A task of your own implements `Task`, and a simulator of your own `Simulator`.",
        ("agent/env", "sim/interface", "sim/tasks/task", "sim/scene", "sim/experts/expert"),
    ),
    ApiPage(
        "agent",
        "Actor, learner and training",
        "`train` puts these parts together.",
        ("agent/actor", "agent/learner", "agent/rollout_worker", "agent/restore", "evaluation/evaluate"),
    ),
    ApiPage(
        "rewards",
        "Rewards",
        "A term of a reward is a function of what is recorded of a chunk, or of the scene.",
        ("rewards/terms", "robot/measurements"),
    ),
    ApiPage(
        "robot",
        "Robots",
        "A back end of your own implements `RobotBackend`.",
        ("nodes/robot/robot_backends", "robot/features"),
    ),
    ApiPage(
        "data",
        "Recorded episodes",
        "A format of your own implements `EpisodeReader`.",
        ("data/readers", "data/episode"),
    ),
    ApiPage(
        "config",
        "Configuration",
        "Settings are declared, checked and read by these functions.",
        ("config/schema", "config/train", "config/parameter_file"),
    ),
)


def pages() -> dict[str, str]:
    """Returns the index and the pages of the API, by their paths."""
    rows = "".join(f"- [{page.title}]({page.name}.md): {page.about}\n" for page in PAGES)
    names = "\n".join(page.name for page in PAGES)
    index = f"{_INDEX}{rows}\n```{{toctree}}\n:hidden:\n\n{names}\n```\n"
    return {"api/index.md": index, **{f"api/{page.name}.md": _page(page) for page in PAGES}}


def _page(page: ApiPage) -> str:
    return "\n\n".join([f"# {page.title}", page.about, *(_module(module) for module in page.modules)]) + "\n"


def _module(module: str) -> str:
    tree = ast.parse((_PACKAGE / f"{module}.py").read_text(encoding="utf-8"))
    parts = [f"## `chunk_ppo_ros.{module.replace('/', '.')}`", markdown(ast.get_docstring(tree) or "")]
    return "\n\n".join([*parts, *(_definition(node) for node in _public(tree))])


def _public(tree: ast.Module | ast.ClassDef) -> Iterator[_Documented]:
    """Yields the classes and functions that have a docstring and no underscore before their name."""
    for node in tree.body:
        if isinstance(node, _Documented) and not node.name.startswith("_") and ast.get_docstring(node):
            yield node


def _definition(node: _Documented) -> str:
    parts = [f"### {node.name}", _signature(node), markdown(ast.get_docstring(node) or "")]
    if isinstance(node, ast.ClassDef):
        parts += [_method(method) for method in _public(node) if isinstance(method, ast.FunctionDef)]
    return "\n\n".join(parts)


def _method(node: ast.FunctionDef) -> str:
    return f"#### {node.name}\n\n{_signature(node)}\n\n{markdown(ast.get_docstring(node) or '')}"


def _signature(node: _Documented) -> str:
    """Returns the decorators and the head of a definition as they stand in the source; a dataclass with its fields."""
    decorators = [f"@{ast.unparse(decorator)}" for decorator in node.decorator_list]
    if isinstance(node, ast.ClassDef):
        bases = ", ".join(ast.unparse(base) for base in node.bases)
        fields = [f"    {ast.unparse(field)}" for field in node.body if isinstance(field, ast.AnnAssign)]
        shown = fields if all(len(field) < 110 for field in fields) else []
        lines = [*decorators, f"class {node.name}{f'({bases})' if bases else ''}:", *(shown or ["    ..."])]
        return _block(lines)
    return _block([*decorators, *_head(node)])


def _head(node: ast.FunctionDef) -> list[str]:
    """Returns the head of a function, with one argument in a line where it is long."""
    returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    line = f"def {node.name}({ast.unparse(node.args)}){returns}"
    if len(line) <= 90:
        return [line]
    return [f"def {node.name}(", *(f"    {argument}," for argument in _arguments(node.args)), f"){returns}"]


def _arguments(arguments: ast.arguments) -> list[str]:
    plain = [*arguments.posonlyargs, *arguments.args]
    defaults = [None] * (len(plain) - len(arguments.defaults)) + list(arguments.defaults)
    made = [_argument(argument, default) for argument, default in zip(plain, defaults, strict=True)]
    if arguments.vararg:
        made.append(f"*{ast.unparse(arguments.vararg)}")
    elif arguments.kwonlyargs:
        made.append("*")
    made += [_argument(*pair) for pair in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)]
    return [*made, *([f"**{ast.unparse(arguments.kwarg)}"] if arguments.kwarg else [])]


def _argument(argument: ast.arg, default: ast.expr | None) -> str:
    return ast.unparse(argument) + (f" = {ast.unparse(default)}" if default else "")


def _block(lines: list[str]) -> str:
    return "\n".join(["```python", *lines, "```"])
