"""Looks into a wheel, installs it in a fresh place and imports it there. Run by `make wheel`; not a test by itself.

python tests/wheel_check.py dist/wattswap-0.2.0-py3-none-any.whl
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

HOUSE = Path(__file__).resolve().parents[1]
ROOTS = ("agents", "protocol", "ledger", "runners", "experiments")
LICENCES = ("LICENSE", "LICENSES.md")

IMPORT_AND_READ = """
import importlib, importlib.metadata, importlib.resources, sys
for part in sys.argv[1:]:
    module = importlib.import_module("wattswap." + part)
    assert "site-packages" in module.__file__, module.__file__
data = importlib.resources.files("wattswap.runners.scenario") / "data"
for folder in ("sessions", "households", "sun"):
    names = {entry.name for entry in (data / folder).iterdir()}
    assert {"LICENSE", "NOTICE"} < names and any(name.endswith(".csv") for name in names), (folder, names)
print("wattswap", importlib.metadata.version("wattswap"), "imports from the wheel:", *sys.argv[1:])
"""


def expected() -> set[str]:
    """Every file below <root>/wattswap with the path it has in the wheel."""
    paths = (path for root in ROOTS for path in (HOUSE / root / "wattswap").rglob("*") if path.is_file())
    return {
        str(path.relative_to(HOUSE).relative_to(path.relative_to(HOUSE).parts[0]))
        for path in paths
        if "__pycache__" not in path.parts
    }


def look_inside(wheel: Path) -> list[str]:
    """The parts found in the wheel, after its contents were compared with the source folders."""
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if not name.endswith("/")}
    held = {name for name in names if ".dist-info/" not in name}
    assert held == expected(), f"missing: {sorted(expected() - held)}, too many: {sorted(held - expected())}"
    licences = {name.partition(".dist-info/licenses/")[2] for name in names}
    assert licences >= {*LICENCES}, f"the wheel lacks its licences: {sorted(licences)}"
    for data in {name for name in held if name.endswith(".csv")}:
        folder = data.rpartition("/")[0]
        assert {f"{folder}/LICENSE", f"{folder}/NOTICE"} <= held, f"{data} travels without licence or notice"
        assert f"runners/{folder}/LICENSE" in licences, f"the licence of {data} is not among the wheel's licences"
    parts = sorted({name.split("/")[1] for name in held if name.endswith("/__init__.py") and name.count("/") == 2})
    assert {*ROOTS} <= {*parts}, f"the wheel holds only {parts}"
    print(f"{wheel.name}: {len(held)} files, parts {', '.join(parts)}")
    return parts


def install_and_import(wheel: Path, parts: list[str]) -> None:
    """A fresh venv with the core lock, installed as the Makefile does it, and the wheel, far from the sources."""
    with tempfile.TemporaryDirectory(prefix="wattswap-wheel-") as folder:
        venv = Path(folder, "venv")
        python = str(venv / "bin/python")
        pip = [python, "-m", "pip", "--disable-pip-version-check"]
        for command in (
            ["make", "-C", str(HOUSE), f"VENV={venv}", "LOCKFILE=requirements-core.lock", f"{venv}/.locked"],
            [*pip, "install", "--quiet", "--no-deps", str(wheel.resolve())],
            [*pip, "check"],
            [python, "-I", "-c", IMPORT_AND_READ, *parts],
            *([[str(venv / "bin/wattswap"), "--help"]] if "cli" in parts else []),
        ):
            subprocess.run(command, cwd=folder, check=True)


if __name__ == "__main__":
    found = Path(sys.argv[1])
    install_and_import(found, look_inside(found))
    print("The wheel stands.")
