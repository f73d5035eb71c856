"""The layers of the repository: `lint-imports` finds an import upwards, and each folder with code has a layer."""

import ast
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.support.tiers import ROOT

LINTER = Path(sys.executable).with_name("lint-imports")
SETTINGS: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]
FOLDERS = sorted(path.parent.name for path in ROOT.glob("[a-z]*/__init__.py"))
[LAYERS] = [contract["layers"] for contract in SETTINGS["contracts"] if contract["type"] == "layers"]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of all that `lint-imports` reads."""
    for folder in FOLDERS:
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=lambda _, names: {n for n in names if is_no_code(n)})
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def is_no_code(name: str) -> bool:
    """Returns whether a file or folder of this name has no Python code."""
    return name == "__pycache__" or ("." in name and not name.endswith(".py"))


def lint_imports(root: Path) -> tuple[int, str]:
    """Returns the exit code and the output of the linter."""
    done = subprocess.run([LINTER, "--no-cache"], cwd=root, capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("file", "line", "finding"),
    [
        ("domain/errors.py", "import conf.settings", "domain is not allowed to import conf"),
        ("db/sqlite/errors.py", "from wsgi_apps import wire", "db is not allowed to import wsgi_apps"),
        ("wsgi_apps/wire.py", "from conf.settings import load", "wsgi_apps is not allowed to import conf"),
        ("server/reader.py", "import conf.addresses", "server is not allowed to import conf"),
        ("admin/report.py", "import client.format", "admin is not allowed to import client"),
        ("conf/paths.py", "import tests.support.tiers", "conf is not allowed to import tests"),
        ("domain/values.py", "import domain.checkout", "No cycles are allowed in domain"),
    ],
)
def test_an_import_upwards_or_in_a_circle_fails(copy: Path, file: str, line: str, finding: str) -> None:
    with (copy / file).open("a") as module:
        module.write(f"\n{line}\n")
    code, output = lint_imports(copy)
    assert code == 1, output
    assert finding in output


def test_the_repository_keeps_its_layers(copy: Path) -> None:
    code, output = lint_imports(copy)
    assert code == 0, output
    assert f"{len(SETTINGS['contracts'])} kept, 0 broken" in output


def test_every_folder_with_code_has_a_layer() -> None:
    in_layers = [folder for layer in LAYERS for folder in layer.replace("|", " ").replace(":", " ").split()]
    assert sorted(in_layers) == FOLDERS == SETTINGS["root_packages"]


def test_make_lint_checks_the_layers() -> None:
    _, recipe = (ROOT / "Makefile").read_text("utf-8").split("\nlint:", 1)
    assert "lint-imports" in recipe.partition("\n\n")[0]


@pytest.mark.parametrize("folder", ["domain", "db", "wsgi_apps", "server"])
def test_a_lower_layer_reads_neither_environment_nor_settings(folder: str) -> None:
    """conf/settings.py is the only reader: the lower layers get plain values."""
    files = sorted((ROOT / folder).rglob("*.py"))
    assert files
    for file in files:
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            names: set[str] = set()
            if isinstance(node, ast.Attribute):
                names = {ast.unparse(node)}
            elif isinstance(node, ast.Import):
                names = {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                names = {f"{node.module}.{alias.name}" for alias in node.names}
            read = {name for name in names if name.startswith(("os.environ", "os.getenv", "conf.")) or name == "conf"}
            assert not read, f"{file.relative_to(ROOT)} names {min(read)}"
