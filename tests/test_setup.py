"""Set-up: what `make` installs is what the lock says, whatever the machine around it says, and also next month.

The Makefile runs here as it is, in a project with two packages of our own that stand for pytest-cov and coverage, and
with an index that also holds newer releases. pip 23 is known to stop there unless it is told not to look for
dependencies: for `coverage[toml]` it takes the newest release, for which the lock has no hash.

Most tests take the pip that this Python brings along. The oldest pip that we support and the newest come from wherever
this machine gets its packages; pip is in no lock file, since a new machine's own must do. Where they cannot be fetched,
their cases are skipped.
"""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from importlib.metadata import distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement

HOUSE = Path(__file__).parents[1]
BUNDLED, NEWEST = "", "pip"
OLDEST = "pip==23.0.1" if sys.version_info < (3, 12) else "pip==23.2.1"  # 23.0.1 does not start on Python 3.12

PROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]

[project]
name = "street"
version = "1"
"""

BACKEND = """
import shutil

def build_editable(folder, config_settings=None, metadata_directory=None):
    return shutil.copy("street-1-py3-none-any.whl", folder).rpartition("/")[2]
"""


def wheel(folder: Path, name: str, version: str, *metadata: str) -> str:
    """Write a wheel with one empty module; the SHA-256 of its bytes."""
    info = f"{name}-{version}.dist-info"
    about = "\n".join(["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}", *metadata, ""])
    files = {
        f"{name}.py": "",
        f"{info}/METADATA": about,
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = [f"{path},{recorded(text)},{len(text)}" for path, text in files.items()] + [f"{info}/RECORD,,"]
    path = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for inside, text in {**files, f"{info}/RECORD": "\n".join(record)}.items():
            archive.writestr(inside, text)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def recorded(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return "sha256=" + base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


PINNED = {"street": "1", "pytest_cov": "7.1.0", "coverage": "7.1"}


COPYING = """#!/bin/sh
# A Python that makes a venv in a moment: it copies one that was made, as pip takes seconds to unpack.
case "$*" in
*_base_executable*) echo "$0" ;;
"-m venv "*) cp -a {made}/. "$3" ;;
*) exec {python} "$@" ;;
esac
"""


class Project:
    """A project with a lock file, an index with more than the lock names, and a user with unlucky settings."""

    def __init__(self, folder: Path, python: str = sys.executable) -> None:
        self.python = python
        self.folder = folder / "project"
        self.index = folder / "index"
        self.home = folder / "home"
        for made in (self.folder, self.index, self.home / ".pip"):
            made.mkdir(parents=True)
        self.pins = {
            "pytest_cov==7.1.0": wheel(self.index, "pytest_cov", "7.1.0", "Requires-Dist: coverage[toml]>=7"),
            "coverage==7.1": wheel(self.index, "coverage", "7.1", "Provides-Extra: toml"),
        }
        wheel(self.index, "pytest_cov", "7.2.0", "Requires-Dist: coverage[toml]>=7")
        wheel(self.index, "coverage", "7.2", "Provides-Extra: toml")
        wheel(self.folder, "street", "1", "Requires-Dist: pytest_cov")
        (self.folder / "pyproject.toml").write_text(PROJECT, encoding="utf-8")
        (self.folder / "backend.py").write_text(BACKEND, encoding="utf-8")
        self.lock(*self.pins)

    def lock(self, *names: str) -> None:
        lines = [f"{name} --hash=sha256:{self.pins[name]}\n" for name in names]
        (self.folder / "requirements.lock").write_text("".join(lines), encoding="utf-8")

    def disturb(self) -> dict[str, str]:
        """Settings of pip and Python, in files and in the environment, each of which alone would spoil a set-up."""
        constraints = self.home / "constraints.txt"
        constraints.write_text("coverage==7.2\n", encoding="utf-8")
        (self.home / ".pip/pip.conf").write_text(
            f"[global]\nuser = true\nconstraint = {constraints}\n[install]\ntarget = {self.home}/elsewhere\n", "utf-8"
        )
        (self.home / "pip.py").write_text("raise SystemExit('a foreign pip')\n", encoding="utf-8")
        return {
            "PIP_CONSTRAINT": str(constraints),
            "PIP_NO_BINARY": ":all:",
            "PIP_PREFIX": str(self.home / "prefix"),
            "PIP_REQUIRE_VIRTUALENV": "1",
            "PIP_TARGET": str(self.home / "target"),
            "PIP_USER": "1",
            "PYTHONPATH": str(self.home),
        }

    def make(self, pip: str = BUNDLED, *options: str, **more: str) -> subprocess.CompletedProcess[str]:
        """Run `make venv` with the packages of the index and nothing else; `-n` only says what it would do.

        What a make around this test run was told (MAKEFLAGS) does not count here.
        """
        foreign = ("PIP_", "PYTHON", "MAKE", "MFLAGS", "XDG_CONFIG", "VENV", "LOCKFILE", "SETUP_PIP")
        environment = {name: text for name, text in os.environ.items() if not name.startswith(foreign)}
        environment |= {"HOME": str(self.home), "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(self.index), **more}
        command = [
            "make",
            "-f",
            str(HOUSE / "Makefile"),
            "venv",
            f"PYTHON={self.python}",
            f"SETUP_PIP={pip}",
            *options,
        ]
        return subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, text=True, check=False)

    def installed(self) -> dict[str, str]:
        """Name -> version of all that the venv holds."""
        site = next((self.folder / ".venv/lib").glob("python*/site-packages"))
        packages = {found.name.replace("-", "_"): found.version for found in distributions(path=[str(site)])}
        packages.pop("setuptools", None)  # Python 3.11 puts it into every venv
        return packages


@pytest.fixture(scope="module")
def copying_python(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What makes venvs quickly, for tests of what happens in one."""
    folder = tmp_path_factory.mktemp("python")
    base: str = sys._base_executable  # type: ignore[attr-defined]
    subprocess.run([base, "-m", "venv", str(folder / "made")], check=True)
    python = folder / "python"
    python.write_text(COPYING.format(made=folder / "made", python=sys.executable), encoding="utf-8")
    python.chmod(0o755)
    return str(python)


@pytest.fixture
def project(tmp_path: Path, copying_python: str) -> Project:
    return Project(tmp_path, copying_python)


def fetch(requirement: str, folder: Path) -> None:
    """Put a pip into the index; the test is skipped where packages cannot be fetched."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--retries=0", "--timeout=15"]
    fetched = subprocess.run([*command, f"--dest={folder}", requirement], capture_output=True, text=True, check=False)
    if fetched.returncode:
        pytest.skip(f"{requirement} cannot be fetched here: {fetched.stderr.strip().splitlines()[-1]}")


@pytest.mark.parametrize("pip", [OLDEST, NEWEST], ids=[OLDEST, "newest pip"])
def test_what_the_lock_says_is_installed_whatever_is_newer_and_whatever_is_set_around_it(
    tmp_path: Path, copying_python: str, pip: str
):
    """The oldest pip with the real Python, whose venv nothing around it may spoil either."""
    project = Project(tmp_path, sys.executable if pip == OLDEST else copying_python)
    fetch(pip, project.index)
    set_up = project.make(pip, **project.disturb())
    assert set_up.returncode == 0, set_up.stderr
    installed = project.installed()
    assert pip != OLDEST or pip == f"pip=={installed['pip']}"
    assert installed.items() - {("pip", installed["pip"])} == PINNED.items()
    assert not [path for path in project.home.rglob("coverage*") if path.suffix != ".whl"], "it went elsewhere"


def test_a_configuration_file_that_changes_what_is_installed_stops_the_set_up_and_is_named(project: Project):
    """The venv's own file cannot rank above one that PIP_CONFIG_FILE names; its index is welcome."""
    project.disturb()
    config = project.home / "pip.ini"
    config.write_text(f"[global]\nfind-links = {project.index}\n", encoding="utf-8")
    assert project.make(PIP_CONFIG_FILE=str(config), PIP_FIND_LINKS="").returncode == 0

    config.write_text(f"[install]\nconstraint = {project.home}/constraints.txt\n", encoding="utf-8")
    shutil.rmtree(project.folder / ".venv")
    set_up = project.make(PIP_CONFIG_FILE=str(config))
    assert set_up.returncode != 0
    assert "install.constraint=" in set_up.stderr
    assert "env -u PIP_CONFIG_FILE make" in set_up.stderr
    assert "ResolutionImpossible" not in set_up.stderr


def test_warnings_as_errors_do_not_stop_the_set_up(project: Project):
    """A build backend may warn of what will be gone in years to come."""
    backend = project.folder / "backend.py"
    backend.write_text(f"import warnings\nwarnings.warn('old', UserWarning)\n{BACKEND}", encoding="utf-8")
    set_up = project.make(PYTHONWARNINGS="error")
    assert set_up.returncode == 0, set_up.stderr


def test_a_lock_that_lacks_a_package_stops_the_set_up_and_names_it(project: Project):
    project.lock("pytest_cov==7.1.0")
    set_up = project.make()
    assert set_up.returncode != 0
    assert "coverage, which is not installed" in set_up.stdout + set_up.stderr


def test_a_file_that_is_not_the_locked_one_stops_the_set_up(project: Project):
    wheel(project.index, "coverage", "7.1", "Provides-Extra: toml", "Summary: not the file that was locked")
    set_up = project.make()
    assert set_up.returncode != 0
    assert "DO NOT MATCH THE HASHES" in set_up.stderr


def test_what_an_older_lock_or_another_place_left_behind_is_gone(project: Project):
    """A venv that is kept must not help: neither with a package that the lock no longer names nor with a command of its
    old place, whose first line still names the Python there.
    """
    project.pins["left_over==1"] = wheel(project.index, "left_over", "1")
    project.lock(*project.pins)
    assert project.make().returncode == 0
    assert "Nothing to be done" in project.make().stdout
    assert "left_over" in project.installed()

    project.lock("pytest_cov==7.1.0", "coverage==7.1")
    lock = project.folder / "requirements.lock"
    os.utime(lock, (lock.stat().st_atime, (project.folder / ".venv/.locked").stat().st_mtime + 1))
    assert project.make().returncode == 0
    assert project.installed().keys() == {*PINNED, "pip"}

    moved = project.folder.rename(project.folder.with_name("moved"))
    os.utime(moved / "requirements.lock", (0, 0))
    project.folder = moved
    said = project.make(BUNDLED, "-n").stdout
    assert said.index('rm -rf ".venv"') < said.index("-m venv") < said.index("--require-hashes"), said


def test_a_folder_that_make_did_not_make_is_left_alone(project: Project):
    venv = project.folder / ".venv"
    venv.mkdir()
    (venv / "mine").write_text("kept", encoding="utf-8")
    set_up = project.make()
    assert set_up.returncode != 0
    assert "was not made by this Makefile" in set_up.stderr
    assert [path.name for path in venv.iterdir()] == ["mine"]


UV = shutil.which("uv", path=str(Path(sys.executable).parent)) or "uv"
# PCs and 64-bit Raspberry Pis, with the C library of Debian 12 or a newer one, and Macs.
PLATFORMS = {
    "x86_64-manylinux_2_36": {"sys_platform": "linux", "platform_machine": "x86_64"},
    "aarch64-manylinux_2_36": {"sys_platform": "linux", "platform_machine": "aarch64"},
    "aarch64-apple-darwin": {"sys_platform": "darwin", "platform_machine": "arm64"},
}


@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13"])
@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-core.lock"])
def test_a_lock_names_all_that_its_packages_need_and_there_are_wheels_of_it(lock: str, platform: str, python: str):
    """Set-up asks no resolver, so the lock must be whole: uv, which knows markers and extras, finds nothing to add.

    It finds wheels only (--no-build): nobody should need a compiler.
    """
    where = PLATFORMS[platform] | {"python_version": python, "python_full_version": f"{python}.0"}
    lines = [line.removesuffix(" \\") for line in (HOUSE / lock).read_text("utf-8").splitlines() if line[0] != " "]
    pins = [Requirement(line) for line in lines]
    named = {f"{pin.name}{pin.specifier}" for pin in pins if pin.marker is None or pin.marker.evaluate(where)}
    everything = ["--all-extras", "--group=dev"] if lock == "requirements.lock" else []
    needed = resolved(
        "pyproject.toml", lock, *everything, f"--python-version={python}", f"--python-platform={platform}"
    )
    assert needed == named, "run `make lock`"


def resolved(*arguments: str) -> set[str]:
    """What uv would install, as name==version; the test is skipped where uv reaches no index."""
    command = [
        UV,
        "pip",
        "compile",
        "--quiet",
        "--no-build",
        "--no-header",
        "--no-annotate",
        f"--python={sys.executable}",
    ]
    environment = os.environ | {"UV_HTTP_RETRIES": "0"}
    answer = subprocess.run(
        [*command, *arguments], cwd=HOUSE, env=environment, capture_output=True, text=True, check=False
    )
    if "Failed to fetch" in answer.stderr:
        pytest.skip(f"uv reaches no index: {answer.stderr.strip().splitlines()[-1]}")
    assert answer.returncode == 0, answer.stderr
    return set(answer.stdout.split())
