"""What the strategies of a mix consist of: the fingerprint of every Python file of theirs.

A strategy is more than the file that is named: it imports others. Imports are followed as they stand in the source, an
installed package's own modules as a user's files beside each other. What comes from elsewhere (numpy, Wattswap itself)
is not followed, and neither are data that a strategy reads or modules it loads by a name it computes.
"""

from __future__ import annotations

import ast
from hashlib import sha256
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from wattswap.runners.engines.strategy_assignment import GROUP

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class _Root(NamedTuple):
    """A folder in which imports are looked for."""

    folder: Path
    package: str = ""
    """Only modules of this package are; all modules if empty."""

    def files(self, module: str) -> Iterator[Path]:
        """The files that importing a module runs, those of the packages it lies in among them."""
        parts = module.split(".")
        if self.package in ("", parts[0]) and parts[0] != "wattswap":
            for length in range(1, len(parts) + 1):
                path = self.folder.joinpath(*parts[:length])
                yield from (each for each in (path.with_suffix(".py"), path / "__init__.py") if each.is_file())


def strategy_sources(mix: str, folder: Path) -> dict[str, str]:
    """By file: the SHA-256 of what the strategies of a mix consist of; "" for a file that is not there.

    ``folder`` is the scenario's, in which strategy files are looked for as well. Bundled strategies have no entry.
    """
    found: dict[str, str] = {}
    for part in mix.split("+"):
        if ".py:" in part:
            name = f"{part.partition('.py:')[0]}.py"
            path = next((each for each in (Path(name), folder / name) if each.is_file()), None)
            if path is None:
                found[name] = ""
            else:
                roots = [_Root(path.resolve().parent), _Root(Path.cwd())]
                found |= _fingerprints(path.resolve(), roots, {path.resolve(): name})
        else:
            found |= _of_packages(part.partition(":")[0])
    return found


def _of_packages(name: str) -> dict[str, str]:
    """The sources of an installed strategy."""
    found: dict[str, str] = {}
    for point in entry_points(group=GROUP, name=name):
        package = point.module.partition(".")[0]
        spec = find_spec(package)
        if spec is None or spec.origin is None:
            continue
        origin = Path(spec.origin).resolve()
        root = _Root(origin.parents[1] if origin.name == "__init__.py" else origin.parent, package)
        for path in root.files(point.module):
            found |= _fingerprints(path, [root], {})
    return found


def _fingerprints(path: Path, roots: list[_Root], names: dict[Path, str]) -> dict[str, str]:
    """The fingerprints of a file and of all it imports from these folders, under ``names`` or its place there."""
    found: dict[Path, str] = {}
    waiting = [path]
    while waiting:
        file = waiting.pop()
        if file not in found:
            source = file.read_bytes()
            found[file] = sha256(source).hexdigest()
            waiting += [each.resolve() for module in _imports(source, file, roots) for each in _files(module, roots)]
    return {names.get(file) or _name(file, roots): digest for file, digest in sorted(found.items())}


def _files(module: str, roots: Iterable[_Root]) -> list[Path]:
    """The files of a module, where it is found first."""
    return next((files for root in roots if (files := list(root.files(module)))), [])


def _imports(source: bytes, file: Path, roots: Iterable[_Root]) -> Iterator[str]:
    """The modules that a source imports anywhere in it; what is imported from one may be a module too."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = _package_of(file, roots, node.level)
            base = ".".join(part for part in (above, node.module) if part)
            yield from (f"{base}.{alias.name}" if base else alias.name for alias in node.names)


def _package_of(file: Path, roots: Iterable[_Root], level: int) -> str:
    """The package that so many dots in an import of this file stand for; nothing for an absolute import."""
    folder = next((root.folder for root in roots if file.is_relative_to(root.folder)), file.parent)
    parts = file.relative_to(folder).parts[:-1]
    return ".".join(parts[: len(parts) - level + 1]) if level else ""


def _name(file: Path, roots: Iterable[_Root]) -> str:
    folder = next((root.folder for root in roots if file.is_relative_to(root.folder)), None)
    return file.name if folder is None else file.relative_to(folder).as_posix()
