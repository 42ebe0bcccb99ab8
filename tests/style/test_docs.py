"""What the documentation says is proven by a test, is."""

import ast
import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parents[2]
E2E = ROOT / "tests" / "e2e"


def cases(path, function):
    """The names that a parametrised test function gives its cases, where they are the keys of a dictionary of the file."""
    tree = ast.parse(path.read_text())
    dictionaries = {target.id: [key.value for key in node.value.keys] for node in tree.body
                    if isinstance(node, ast.Assign) and isinstance(node.value, ast.Dict)
                    for target in node.targets if isinstance(target, ast.Name)
                    and all(isinstance(key, ast.Constant) for key in node.value.keys)}
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name == function:
            return {case for decorator in node.decorator_list for argument in getattr(decorator, "args", [])
                    if isinstance(argument, ast.Name) for case in dictionaries.get(argument.id, [])}
    return None


def test_every_test_that_the_options_table_names_exists():
    table = (ROOT / "docs" / "docker-run-options.md").read_text()
    rows = [line for line in table.splitlines() if line.startswith("| ") and not line.startswith("| option")]
    assert len(rows) > 50
    missing = []
    for row in rows:
        named = re.findall(r"`(test_\w+\.py)(?:::(\w+)(?:\[([^\]]+)\])?)?`", row)
        assert named, f"no test is named: {row}"
        for file, function, case in named:
            path = E2E / file
            found = cases(path, function) if path.exists() and function else set()
            if not path.exists() or found is None or (case and case not in found):
                missing.append(f"{file}::{function}[{case}]")
    assert not missing
