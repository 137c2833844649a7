"""The shape of the house: who may know whom, what may be imported where, and what lies beside the bundled data.

    cli -> experiments -> runners -> {agents, ledger} -> protocol

The rules read the sources, so they also see an import inside a function or under TYPE_CHECKING.
"""

from __future__ import annotations

import ast
import hashlib
import re
import subprocess
import sys
import tomllib
from collections.abc import Collection, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

HOUSE = Path(__file__).parents[1]
ROOTS = ("agents", "protocol", "ledger", "runners", "experiments")
DATA = HOUSE / "runners/wattswap/runners/scenario/data"

MAY_KNOW = {
    "protocol": {"protocol"},
    "agents": {"agents", "protocol"},
    "ledger": {"ledger", "protocol"},
    "runners": {"runners", "agents", "ledger", "protocol"},
    "experiments": {"experiments", "runners", "agents", "ledger", "protocol"},
    "cli": {"cli", "experiments", "runners", "agents", "ledger", "protocol"},
    "__main__": {"cli"},  # `python -m wattswap` is the command line's other door
}

# An agent takes (event, now) and returns effects: time, luck and the world come in as arguments.
OUTSIDE = {"asyncio", "datetime", "logging", "multiprocessing", "os", "random", "secrets"}
OUTSIDE |= {"socket", "structlog", "subprocess", "threading", "time", "zmq"}
PURE = ("protocol", "agents")

# Each of these libraries is met in one place; a module is named by the start of its name.
ONE_PLACE = {
    "zmq": ("wattswap.runners.node",),
    "zeroconf": ("wattswap.runners.node.discovery",),
    "paho": ("wattswap.runners.node.drivers",),
    "gpiozero": ("wattswap.runners.node.drivers",),
    "mesa": ("wattswap.runners.mesa_model", "wattswap.experiments.bench.plain_mesa"),
    "iota_sdk": ("wattswap.ledger.iota", "wattswap.ledger.devnet", "wattswap.experiments.bench.devnet_load"),
    "graphql": ("wattswap.ledger.devnet",),
    "starlette": ("wattswap.ledger.devnet", "wattswap.experiments.dashboard"),
    "uvicorn": ("wattswap.ledger.devnet", "wattswap.experiments.dashboard"),
    "distributed": ("wattswap.experiments.cluster",),
    "pettingzoo": ("wattswap.experiments.bidders",),
    "gymnasium": ("wattswap.experiments.bidders",),
    "power_grid_model": ("wattswap.experiments.feeder",),
    "numba": ("wattswap.runners.engines.compiled_loops",),
}


def sources() -> list[tuple[str, Path]]:
    """Every Python file of the five roots with the name it is imported under."""
    found = []
    for root in ROOTS:
        for path in sorted((HOUSE / root).rglob("*.py")):
            parts = path.relative_to(HOUSE / root).with_suffix("").parts
            found.append((".".join(parts[:-1] if parts[-1] == "__init__" else parts), path))
    return found


@cache
def imports(module: str, source: str, *, is_package: bool = False) -> frozenset[str]:
    """The dotted names a source imports anywhere in it; `from a import b` counts as a.b, for b may be a module.

    numpy.random needs no import of its own, so its use counts as one.
    """
    names = set()
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import():
                names |= {alias.name for alias in node.names}
            case ast.ImportFrom():
                package = module.split(".") if is_package else module.split(".")[:-1]
                above = package[: len(package) - node.level + 1] if node.level else []
                base = ".".join(above + ([node.module] if node.module else []))
                names |= {f"{base}.{alias.name}" for alias in node.names}
            case ast.Call(
                func=ast.Name(id="import_module" | "__import__") | ast.Attribute(attr="import_module"),
                args=[ast.Constant(value=str(name)), *_],
            ):
                names.add(name)
            case ast.Attribute(value=ast.Name(id="np" | "numpy"), attr="random"):
                names.add("numpy.random")
    return frozenset(names)


def faults(module: str, source: str, *, is_package: bool = False) -> list[str]:
    """What is wrong with the imports of one source, as sentences."""
    part = module.split(".")[1]
    found = []
    for name in sorted(imports(module, source, is_package=is_package)):
        first, _, rest = name.partition(".")
        if first == "wattswap" and (other := rest.split(".")[0]) not in MAY_KNOW[part]:
            found.append(f"{module} imports {name}: {part} may not know {other or 'the whole namespace'}")
        if first == "tests":
            found.append(f"{module} imports {name}: nothing imports tests")
        if part in PURE and (first in OUTSIDE or name.startswith("numpy.random")):
            found.append(f"{module} imports {name}: {part} has no clock, luck, socket, thread or log")
        if first in ONE_PLACE and not module.startswith(ONE_PLACE[first]):
            found.append(f"{module} imports {name}: only {' and '.join(ONE_PLACE[first])} may")
    return found


def test_no_arrow_turns_and_each_library_stays_in_its_place():
    found = sources()
    assert {module.split(".")[1] for module, _ in found} >= {"protocol", "agents", "ledger", "runners"}
    broken = [
        fault
        for module, path in found
        for fault in faults(module, path.read_text(encoding="utf-8"), is_package=path.name == "__init__.py")
    ]
    assert not broken, "\n".join(broken)


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("wattswap.protocol.codec", "from wattswap.agents import law"),
        ("wattswap.protocol.codec", "from wattswap import agents"),
        ("wattswap.agents.law", "def f():\n    import wattswap.ledger.book"),
        ("wattswap.agents.law", "if TYPE_CHECKING:\n    from wattswap.runners.world import World"),
        ("wattswap.agents.law", "from ..ledger import book"),
        ("wattswap.ledger.book", "from wattswap.agents.law import need"),
        ("wattswap.runners.world", "from wattswap.experiments import sweep"),
        ("wattswap.experiments.sweep", "importlib.import_module('wattswap.cli')"),
        ("wattswap.cli.run", "from tests.streets import Stay"),
        ("wattswap.agents.vehicle", "import time"),
        ("wattswap.agents.vehicle", "from datetime import UTC"),
        ("wattswap.agents.vehicle", "from numpy.random import default_rng"),
        ("wattswap.agents.vehicle", "luck = np.random.default_rng()"),
        ("wattswap.protocol.identity", "import os.path"),
        ("wattswap.runners.engines.launch.driver", "import zmq"),
        ("wattswap.runners.engines.launch.fleet", "def f():\n    from mesa import Model"),
        ("wattswap.ledger.outbox", "import iota_sdk"),
    ],
)
def test_the_rules_above_can_fail(module: str, source: str):
    assert len(faults(module, source)) == 1


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("wattswap.cli.run", "from wattswap.experiments import run\nimport time"),
        ("wattswap.runners.node.auth", "import zmq"),
        ("wattswap.ledger.iota", "import iota_sdk\nfrom .book import Book"),
        ("wattswap.agents.law", "'''Never np.random.'''\nfrom wattswap.protocol.units import PPM\nimport numpy as np"),
        ("wattswap.__main__", "from wattswap.cli import main"),
    ],
)
def test_the_rules_above_allow_what_is_right(module: str, source: str):
    assert not faults(module, source)


def module_imports() -> dict[str, set[str]]:
    """By module of ours: the modules of ours that it imports anywhere, TYPE_CHECKING included; itself left out."""
    found = {module: path for module, path in sources() if module.startswith("wattswap.")}
    graph = {}
    for module, path in found.items():
        named = imports(module, path.read_text(encoding="utf-8"), is_package=path.name == "__init__.py")
        # `from a.b import c` names a.b.c: the module c if there is one, else the module a.b.
        met = {name if name in found else name.rpartition(".")[0] for name in named}
        graph[module] = (met & found.keys()) - {module}
    return graph


def cycles(graph: Mapping[str, Collection[str]]) -> list[tuple[str, ...]]:
    """The groups of modules that know each other, each sorted: the strongly connected components of the imports."""
    found: list[tuple[str, ...]] = []
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    path: list[str] = []

    def visit(module: str) -> None:
        index[module] = low[module] = len(index)
        path.append(module)
        for other in graph[module]:
            if other not in index:
                visit(other)
            if other in path:
                low[module] = min(low[module], low[other])
        if low[module] == index[module]:
            at = path.index(module)
            group = tuple(sorted(path[at:]))
            del path[at:]
            if len(group) > 1:
                found.append(group)

    for module in graph:
        if module not in index:
            visit(module)
    return found


def test_no_two_modules_know_each_other():
    """Whoever reads a module can read what it stands on first, and need not come back."""
    found = cycles(module_imports())
    assert not found, "\n".join(" and ".join(group) for group in found)


def test_a_cycle_would_be_found():
    graph = {"a": {"b"}, "b": {"c", "d"}, "c": {"a"}, "d": {"e"}, "e": set(), "f": {"g", "a"}, "g": {"f"}}
    assert sorted(cycles(graph)) == [("a", "b", "c"), ("f", "g")]
    assert not cycles({"a": {"b", "c"}, "b": {"c"}, "c": set()})


def test_an_import_for_types_alone_counts_and_names_its_module():
    graph = module_imports()
    assert "wattswap.runners.engines.store" in graph["wattswap.runners.engines.node"]
    assert "wattswap.protocol.events" in graph["wattswap.runners.engines.loop"]


CORE_WITHOUT_EXTRAS = """
import importlib, pkgutil, sys

blocked = {"distributed", "gymnasium", "iota_sdk", "matplotlib", "mesa", "networkx", "numba", "pandas"}
blocked |= {"pettingzoo", "power_grid_model", "pyarrow", "scipy"}

class Block:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in blocked:
            raise ModuleNotFoundError(f"{name} is an extra, and the core must do without it", name=name)

sys.meta_path.insert(0, Block())
left_out = ("wattswap.ledger.iota", "wattswap.ledger.devnet", "wattswap.runners.mesa_model")
left_out += ("wattswap.runners.engines.compiled",)
seen = []

def visit(name):
    module = importlib.import_module(name)
    seen.append(name)
    for entry in pkgutil.iter_modules(getattr(module, "__path__", []), name + "."):
        if not entry.name.startswith(left_out) and not entry.name.endswith("__main__"):
            visit(entry.name)

for part in sys.argv[1:]:
    visit("wattswap." + part)
assert not blocked & set(sys.modules)
print(len(seen))
"""


def import_core(tmp_path: Path, *parts: str) -> subprocess.CompletedProcess[str]:
    """Import every module of these parts in a fresh process in which the extras do not exist."""
    command = [sys.executable, "-W", "error", "-c", CORE_WITHOUT_EXTRAS, *parts]
    return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)


def test_what_a_pi_needs_imports_without_any_extra(tmp_path: Path):
    """On a Raspberry Pi neither Mesa nor scipy nor pandas is there; the command line starts all the same."""
    parts = ["protocol", "agents", "ledger", "runners"]
    if (HOUSE / "experiments/wattswap/cli").is_dir():
        parts.append("cli")
    result = import_core(tmp_path, *parts)
    assert result.returncode == 0, result.stderr
    assert int(result.stdout) > len(parts)


def test_a_core_module_that_needs_an_extra_would_be_found(tmp_path: Path):
    probe = tmp_path / "wattswap" / "probe"
    probe.mkdir(parents=True)
    (probe / "__init__.py").write_text("from scipy import optimize", encoding="utf-8")
    result = import_core(tmp_path, "probe")
    assert result.returncode != 0
    assert "scipy is an extra" in result.stderr


def test_no_root_hides_the_others():
    """One stray wattswap/__init__.py would make its root the whole package and hide the four others."""
    assert not [str(path) for root in ROOTS for path in (HOUSE / root).glob("wattswap/__init__.py")]
    assert not [str(path) for root in ROOTS for path in (HOUSE / root).glob("__init__.py")]


def test_every_package_shows_its_face_and_its_types():
    packages = {path.parent for module, path in sources() if module.count(".") >= 1 and path.name != "__main__.py"}
    assert not [str(folder) for folder in packages if not (folder / "__init__.py").is_file()]
    parts = {folder for folder in packages if folder.parent.name == "wattswap"}
    assert not [str(folder) for folder in parts if not (folder / "py.typed").is_file()]


def test_every_root_stands_in_every_list_of_the_project_file():
    tool = project()["tool"]
    roots = {path.parent.name for path in HOUSE.glob("*/wattswap") if path.is_dir()}
    assert roots == set(ROOTS)
    wheel = tool["hatch"]["build"]["targets"]["wheel"]
    assert set(wheel["only-include"]) == {f"{root}/wattswap" for root in roots}
    assert set(wheel["sources"]) == set(wheel["dev-mode-dirs"]) == set(tool["ruff"]["src"]) == roots
    assert set(tool["mypy"]["mypy_path"].split(",")) == roots
    assert set(tool["mypy"]["files"]) == set(tool["pyright"]["include"]) == roots | {"tests"}
    assert set(tool["pyright"]["extraPaths"]) == roots


def test_every_root_tells_what_lives_there():
    assert not [root for root in ROOTS if not (HOUSE / root / "README.md").is_file()]


def bundled() -> list[Path]:
    """The data files that came from others: all that is neither a scenario of ours nor a licence or notice."""
    paths = [path for path in sorted(DATA.rglob("*")) if path.is_file() and path.suffix != ".toml"]
    return [path for path in paths if not path.name.startswith(("LICENSE", "NOTICE", "README"))]


def test_every_data_file_lies_beside_its_licence_and_its_notice():
    files = bundled()
    assert len(files) >= 8
    for path in files:
        assert (path.parent / "LICENSE").is_file(), f"{path} has no LICENSE beside it"
        assert (path.parent / "NOTICE").is_file(), f"{path} has no NOTICE beside it"


@pytest.mark.parametrize("path", bundled(), ids=lambda path: path.name)
def test_every_data_file_is_the_one_its_notice_names(path: Path):
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert f"{digest}  {path.name}" in (path.parent / "NOTICE").read_text(encoding="utf-8").splitlines()


def test_the_lock_files_hold_all_that_the_project_asks_for():
    """Change a dependency and forget `make lock`: this says so."""
    about = project()
    extras = about["project"]["optional-dependencies"]
    core = [Requirement(text) for text in about["project"]["dependencies"]]
    more = [Requirement(text) for texts in [*extras.values(), about["dependency-groups"]["dev"]] for text in texts]
    for lock, wanted in (("requirements-core.lock", core), ("requirements.lock", core + more)):
        pins = locked(lock)
        for requirement in wanted:
            name = canonicalize_name(requirement.name)
            if name != "wattswap":
                assert name in pins, f"{lock} lacks {name}: run `make lock`"
                fits = all(requirement.specifier.contains(version, prereleases=True) for version in pins[name])
                assert fits, f"{lock} has {name} {pins[name]}, not {requirement}: run `make lock`"


# Distributions that are imported under another name.
IMPORTED_AS = {
    "power-grid-model": "power_grid_model",
    "graphql-core": "graphql",
    "paho-mqtt": "paho",
    "pynacl": "nacl",
    "pyzmq": "zmq",
    "tomli-w": "tomli_w",
    "iota-sdk": "iota_sdk",
}
# What the next pieces of work import; a line goes as soon as it is true.
AWAITED = {
    "scipy": "`wattswap optimum` (HiGHS)",
    "tomli-w": "writing scenario files",
}


def test_the_project_asks_for_nothing_that_it_does_not_import():
    about = project()["project"]
    texts = [*about["dependencies"], *(text for extra in about["optional-dependencies"].values() for text in extra)]
    asked = {canonicalize_name(Requirement(text).name) for text in texts} - {"wattswap"}
    imported = {
        name.partition(".")[0]
        for module, path in sources()
        for name in imports(module, path.read_text(encoding="utf-8"), is_package=path.name == "__init__.py")
    }
    idle = {name for name in asked if IMPORTED_AS.get(name, name) not in imported}
    assert not idle - AWAITED.keys(), "nothing imports these"


def test_the_core_lock_is_part_of_the_whole_lock():
    whole = locked("requirements.lock")
    assert all(whole.get(name) == versions for name, versions in locked("requirements-core.lock").items())


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-core.lock"])
def test_a_lock_file_names_no_address_and_no_machine(lock: str):
    text = (HOUSE / lock).read_text(encoding="utf-8")
    pin_or_hash = re.compile(r"[\w.-]+==\S+( ; .+)? \\|    --hash=sha256:[0-9a-f]{64}( \\)?")
    assert not [line for line in text.splitlines() if not pin_or_hash.fullmatch(line)]


def project() -> dict[str, Any]:
    return tomllib.loads((HOUSE / "pyproject.toml").read_text(encoding="utf-8"))


def locked(lock: str) -> dict[str, list[str]]:
    """Name -> versions of a lock file; a name may have one version for each range of Pythons."""
    pins: dict[str, list[str]] = {}
    for name, version in re.findall(r"^([\w.-]+)==(\S+)", (HOUSE / lock).read_text(encoding="utf-8"), re.MULTILINE):
        pins.setdefault(canonicalize_name(name), []).append(version)
    return pins
