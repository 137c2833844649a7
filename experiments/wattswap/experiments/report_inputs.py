"""What went into a run, for its report: every key of its scenario, its files, and the notices of bundled data."""

from __future__ import annotations

from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Final

from wattswap.experiments.data_credit import credit
from wattswap.experiments.markup import element, paragraphs, table
from wattswap.experiments.run_tables import input_names
from wattswap.runners.scenario.bundled import DATA, PREFIX

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


def settings(scenario: Mapping[str, Any]) -> str:
    """Every key of the scenario in a table that can be folded away; of files, the names alone."""
    rows = [[key, value] for key, value in _flat(scenario, "") if not key.startswith("inputs.")]
    keys = table(("key", "value"), rows, words=2, wrap=True)
    return f"<details><summary>Every key of scenario.toml</summary>{keys}</details>"


def _flat(value: object, name: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _flat(inner, f"{name}.{key}" if name else str(key))
    elif isinstance(value, list):
        for number, inner in enumerate(value, 1):
            yield from _flat(inner, f"{name}[{number}]")
    elif name.endswith("csv") and not str(value).startswith(PREFIX):
        yield name, PurePath(str(value)).name  # where a file lies on the machine of the run is nobody's business
    else:
        yield name, f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def sources(scenario: Mapping[str, Any]) -> Iterator[str]:
    """The notices of the bundled data that were used, and which files went in."""
    if due := credit(input_names(scenario)):
        yield element("p", due)
    folders = {PurePath(name.removeprefix(PREFIX)).parts[0] for name in input_names(scenario) if _ours(name)}
    for folder in sorted(folders):
        notice = _notice(folder)
        what, licence = notice.partition(":")[0], notice.partition("Licence: ")[2].partition(", full text")[0]
        told = element("summary", f"{what}: {licence}, {_LICENCES.get(folder, 'see its folder')}")
        yield f"<details>{told}"
        yield paragraphs(notice.split("\n\n"))
        yield "</details>"
    hashes = scenario.get("inputs", {})
    if hashes:
        yield table(
            ("file", "SHA-256"), [[str(name), str(value)] for name, value in hashes.items()], words=2, wrap=True
        )


_LICENCES: Final[Mapping[str, str]] = {
    "sessions": "creativecommons.org/licenses/by/4.0",
    "households": "creativecommons.org/licenses/by-sa/4.0",
    "weather": "cds.climate.copernicus.eu",
    "sun": "opendatacommons.org/licenses/odbl/1-0",
}
"""Where the licences can be read, as text: the page itself asks for nothing from anywhere."""


def _ours(name: str) -> bool:
    return name.startswith(PREFIX) and (DATA / PurePath(name.removeprefix(PREFIX)).parts[0] / "NOTICE").is_file()


def _notice(folder: str) -> str:
    """A bundled folder's NOTICE; the table above it has the hashes."""
    text = (DATA / folder / "NOTICE").read_text(encoding="utf-8")
    return text.partition("SHA-256\n")[0].strip()
