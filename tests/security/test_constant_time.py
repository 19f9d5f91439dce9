"""Secrets and signatures are compared in constant time, everywhere: seen in the text of every module.

A secret compared with `==` answers sooner the earlier the first wrong byte is, which tells a patient caller the bytes.
"""

import ast
import re
from pathlib import Path

import pytest

import speed_to_lead

ROOT = Path(speed_to_lead.__file__).parent
MODULES = sorted(
    path for part in ("core", "forms", "web", "destinations") for path in (ROOT / part).rglob("*.py")
)
#: Parts of names under which secrets go. `key` alone means too much else: keys of alerts, of submissions, of tables.
SECRET_WORDS = re.compile(
    r"(^|_)(secrets?|signatures?|tokens?|passwords?|credentials|digests?|presented|api_?keys?)(_|$)"
)


def unsafe_comparisons(source: str) -> list[str]:
    """Every comparison of this text with `==`, `!=`, `in` or `match` in which a secret takes part, by line.

    Comparing with a constant (`if signature == ""`) tells nothing but whether something was sent.
    """
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            is_equality = any(
                isinstance(operator, ast.Eq | ast.NotEq | ast.In | ast.NotIn) for operator in node.ops
            )
            if is_equality and not any(_is_constant(side) for side in sides) and any(map(_is_secret, sides)):
                found.append(f"line {node.lineno}: {ast.unparse(node)}")
        elif isinstance(node, ast.Call) and _name_of(node.func) in (
            "startswith",
            "endswith",
            "index",
            "find",
            "get_close_matches",
        ):
            subject = node.func.value if isinstance(node.func, ast.Attribute) else None
            arguments = [*node.args, *([subject] if subject is not None else [])]
            if any(map(_is_secret, arguments)) and not any(_is_constant(argument) for argument in node.args):
                found.append(f"line {node.lineno}: {ast.unparse(node)}")
    return found


def _name_of(node: ast.expr) -> str:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return node.attr
    return _name_of(node.func) if isinstance(node, ast.Call) else ""


def _is_secret(node: ast.expr) -> bool:
    if isinstance(node, ast.Subscript):
        return _is_secret(node.value)
    if isinstance(node, ast.Call) and _name_of(node.func) == "len":
        return False
    return bool(SECRET_WORDS.search(_name_of(node).casefold()))


def _is_constant(node: ast.expr) -> bool:
    if isinstance(node, ast.Tuple | ast.List | ast.Set):
        return all(map(_is_constant, node.elts))
    return isinstance(node, ast.Constant)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_secret_is_compared_with_equals(path: Path) -> None:
    """`hmac.compare_digest`, or nothing."""
    assert unsafe_comparisons(path.read_text()) == []


def test_whoever_takes_secrets_in_compares_them_so() -> None:
    """What checks secrets is known: signatures of forms, keys of the API, answers to alerts. Others only sign."""
    checking = {
        str(path.relative_to(ROOT))
        for path in MODULES
        if re.search(r"\bhmac\.compare_digest\(", path.read_text())
    }
    importing = {
        str(path.relative_to(ROOT))
        for path in MODULES
        if re.search(r"^import hmac$", path.read_text(), re.MULTILINE)
    }
    assert checking == {"core/access.py", "core/answer.py", "forms/signatures.py", "web/answers.py"}
    assert importing - checking == {"destinations/webhook.py"}


@pytest.mark.parametrize(
    ("source", "is_seen"),
    [
        ("if signature == expected: pass", True),
        ("if given != api_key: pass", True),
        ("if token in tokens: pass", True),
        ("ok = headers['x'] == self.secret", True),
        ("ok = expected_signature(body) == given", True),
        ("ok = given.startswith(secret)", True),
        ("if signature == '': pass", False),
        ("if len(secret) == 3: pass", False),
        ("if scheme in ('v1', 'v2'): pass", False),
        ("hmac.compare_digest(signature, expected)", False),
    ],
)
def test_the_check_can_fail(source: str, is_seen: bool) -> None:
    """It sees what it is for."""
    assert is_seen == bool(unsafe_comparisons(source))
