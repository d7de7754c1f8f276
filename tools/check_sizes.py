"""Fail if a file or a function is too long to be read at one go."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

FILE_LINES = 300
FUNCTION_LINES = 40
DIRECTORIES = ("flatnet", "migrations", "tests", "tools")


def main() -> int:
    """Print one line per thing that is too long."""
    root = Path(__file__).resolve().parent.parent
    complaints = [
        complaint
        for directory in DIRECTORIES
        for path in sorted((root / directory).rglob("*.py"))
        for complaint in too_long(path.relative_to(root), path.read_text())
    ]
    print("\n".join(complaints) or "sizes: all files and functions fit")
    return 1 if complaints else 0


def too_long(path: Path, text: str) -> Iterator[str]:
    """One line for each thing in `text` that exceeds its limit."""
    lines = len(text.splitlines())
    if lines > FILE_LINES:
        yield f"{path}:1: {lines} lines, more than {FILE_LINES}"
    for node in ast.walk(ast.parse(text, filename=str(path))):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        lines = (node.end_lineno or node.lineno) - node.lineno + 1
        if lines > FUNCTION_LINES:
            yield (
                f"{path}:{node.lineno}: {node.name}() has {lines} lines, "
                f"more than {FUNCTION_LINES}"
            )


if __name__ == "__main__":
    sys.exit(main())
