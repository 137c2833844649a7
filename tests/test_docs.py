"""The documentation is tested: its examples run, click reads its command lines, its tables are the code's."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import typing
from dataclasses import fields
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.dialogue import dialogue
from tests.pages import (
    DOCS,
    HOUSE,
    PAGES,
    SHOWN,
    agrees,
    arguments,
    blocks,
    command_lines,
    names,
    parse,
    session,
    tables,
)

from wattswap import cli
from wattswap.agents.controllers import CONTROLLERS
from wattswap.agents.offers import Call, Outcome, Own
from wattswap.agents.strategies import BUNDLED, parse_mix
from wattswap.experiments.api import JOURNALS
from wattswap.experiments.tables import TABLES, table_of
from wattswap.runners.audit.rules import Rule
from wattswap.runners.engines.launch import run_street
from wattswap.runners.recording.activities import ACTIVITIES
from wattswap.runners.recording.metrics import KEYS
from wattswap.runners.recording.time_series import TimeSeries
from wattswap.runners.scenario import load_street, schema
from wattswap.runners.scenario.cars import bundled_cars
from wattswap.runners.scenario.keys import bounds_of

BY_NAME = {page.stem: page for page in PAGES}
LINES = [pytest.param(line, id=f"{page.relative_to(HOUSE)}: {line}") for page in SHOWN for line in command_lines(page)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_no_block_of_a_page_is_overlooked(page: Path):
    """A block that is opened otherwise than the tests read it would be shown and never run."""
    assert len(re.findall(r"(?m)^```", page.read_text(encoding="utf-8"))) == 2 * len(blocks(page))


@pytest.mark.parametrize("notebook", sorted(DOCS.glob("examples/*.ipynb")), ids=lambda notebook: notebook.stem)
def test_a_notebook_runs_and_says_what_its_page_says(notebook: Path, tmp_path, monkeypatch):
    cells = [cell for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code"]
    assert not any(cell["outputs"] for cell in cells), "what it prints is made where it is read"
    texts = ["".join(cell["source"]).rstrip("\n") for cell in cells]
    page = DOCS / f"{notebook.stem.replace('_', '-')}.md"
    shown = [block.text.rstrip("\n") for block in blocks(page) if block.kind == "python"]
    assert [text for text in texts if "write_text" not in text] == shown
    monkeypatch.chdir(tmp_path)
    known: dict[str, Any] = {"__name__": notebook.stem}
    for text in texts:
        exec(compile(text, notebook.name, "exec"), known)
    SHOWN_BY[notebook.stem](known, tmp_path)


def shows_limits(known: dict[str, Any], folder: Path) -> None:
    assert (folder / "limits.png").stat().st_size > 10_000
    assert [group.varied for group in known["found"].groups if group.controller == "negotiated"] == [
        "transformer.limit_w=300000", "transformer.limit_w=360000", "transformer.limit_w=420000",
    ]  # fmt: skip


def shows_a_strategy_and_whether_it_is_better(known: dict[str, Any], folder: Path) -> None:
    assert known["mine"].summary["choices"]["reduce"] > 0
    assert {each.strategy for each in known["found"].differences} == {"truthful", "keep"}
    assert not list(folder.iterdir())


SHOWN_BY = {"our_transformer": shows_limits, "tutorial": shows_a_strategy_and_whether_it_is_better}
"""What has come of each notebook when it has run."""


EACH_ALONE = {"mesa"}
"""Pages whose pieces of Python are run one by one, below."""


@pytest.mark.usefixtures("without_report")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_what_a_page_shows_runs(page: Path, tmp_path, monkeypatch, capsys):
    """Python blocks in one namespace, as a reader would type them one after the other; consoles where marked.

    A page that is a notebook, too, has its Python run there.
    """
    notebook = DOCS / "examples" / f"{page.stem.replace('-', '_')}.ipynb"
    monkeypatch.chdir(tmp_path)
    known: dict[str, Any] = {"__name__": page.stem}
    for block in blocks(page):
        if block.file:
            Path(block.file).write_text(block.text)
        elsewhere = notebook.exists() or page.stem in EACH_ALONE
        if block.kind == "python" and not elsewhere and not block.says.startswith("not run: "):
            exec(compile(block.text, f"{page.name}", "exec"), known)
        if block.kind == "console" and block.says == "run":
            for line, shown in session(block):
                capsys.readouterr()
                assert cli._code(arguments(line)) == 0, f"{line}: {capsys.readouterr().err}"
                said = capsys.readouterr().out
                assert agrees(shown, said), f"{line} prints:\n{said}"


def test_sessions_as_acn_data_gives_them_become_a_figure(tmp_path, monkeypatch, capsys):
    """The page's own file and commands, with a sample of the download in place of the reader's, and fewer streets."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(HOUSE / "tests/runners/scenario/data/acn_web_download.json", "acn.json")
    lines = []
    for block in blocks(BY_NAME["acn"]):
        if block.file:
            Path(block.file).write_text(block.text)
        if block.says == "with sessions":
            lines += [line for line, _ in session(block)]
    assert len(lines) == 2
    for line in lines:
        quick = [*arguments(line.replace("--resample 10", "--resample 2")), "--set", "reading_s=300"]
        assert cli._code([*quick, "--jobs", "1"] if quick[0] == "compare" else quick) == 0, capsys.readouterr().err
    assert Path("figure.pdf").read_bytes()[:5] == b"%PDF-"
    assert "need:0.5+keep:0.5" in Path("strategies/differences.csv").read_text()


@pytest.mark.parametrize("number", range(4))
def test_each_block_of_the_page_on_mesa_runs_alone(number: int):
    """Who copies one into a notebook has not run those before it."""
    pythons = [block for block in blocks(BY_NAME["mesa"]) if block.kind == "python"]
    assert len(pythons) == 4
    exec(compile(pythons[number].text, "mesa.md", "exec"), {"__name__": f"mesa block {number}"})


def test_the_page_on_failure_states_every_rule_of_the_audit():
    rows = [f"| {rule} | {rule.statement} |" for rule in Rule]
    assert [line for line in (DOCS / "failure.md").read_text().splitlines() if line.startswith(("| S", "| L"))] == rows


def test_a_console_block_that_shows_something_else_is_noticed():
    assert agrees(["a400  ...", "b"], "a400  A street\nb\n")
    assert agrees(["{", "..."], "{\n1\n}\n")
    assert not agrees(["a400  ...", "b"], "a400  A street\nc\n")


@pytest.mark.parametrize("line", LINES)
def test_every_command_line_that_is_shown_can_be_read(line):
    given = parse(arguments(line))
    assert given.get("controller", "negotiated") in CONTROLLERS
    for controller in typing.cast("tuple[str, ...]", given.get("controllers", ())):
        assert controller in CONTROLLERS
    for setting in typing.cast("tuple[str, ...]", given.get("settings", ())):
        assert setting.partition("=")[0] in keys_of_a_scenario(numbered=False), setting
    strategy = given.get("strategy")
    if isinstance(strategy, str):
        parse_mix(strategy, lambda _: BUNDLED["keep"], lambda: {"unhurried": lambda: BUNDLED["keep"]})


def test_the_dialogue_is_that_of_the_demo():
    shown = next(block.text for block in blocks(BY_NAME["a-round"]) if block.kind == "text" and "call:" in block.text)
    assert shown.splitlines() == dialogue("demo"), "paste the new one into docs/a-round.md, and read its remarks again"


# -- tables -----------------------------------------------------------------------------------------------------------


def keyed(page: str, head: str, column: int = 0) -> list[str]:
    """The names in a column of all tables of a page with this head."""
    return [
        name
        for table in tables(BY_NAME[page])
        if table[0][0] == head
        for row in table[1:]
        for name in names(row[column])
    ]


def table_with(page: str, head: str, name: str) -> list[list[str]]:
    """The one table with this head that has a row of this name."""
    found = [
        table
        for table in tables(BY_NAME[page])
        if table[0][0] == head and any(name in names(row[0]) for row in table[1:])
    ]
    assert len(found) == 1, f"{len(found)} tables of {page}.md with {head} and {name}"
    return found[0]


def test_strategies_names_all_that_a_strategy_is_told_and_all_that_are_bundled():
    assert keyed("strategies", "column") == [column.name for column in fields(Own)]
    assert keyed("strategies", "field") == [field.name for field in fields(Call)]
    assert keyed("strategies", "of the outcome") == [field.name for field in fields(Outcome)]
    assert keyed("strategies", "name") == list(BUNDLED)
    for row in table_with("strategies", "column", "key")[1:]:
        suffix = names(row[0])[0].rpartition("_")[2]
        unit = {"w": "W", "ws": "W·s", "ms": "ms", "permille": "‰", "kwh": "nanos/kWh", "h": "nanos/kWh/h", "key": ""}[
            suffix
        ]
        assert row[1] == unit, row


def test_results_names_every_figure_and_every_column():
    assert keyed("results", "key") == list(KEYS)
    street = load_street("b250", day=1)
    record = run_street(street, engine="fleet")
    shown = [names(row[0]) for table in tables(BY_NAME["results"]) if table[0][0] == "column" for row in table[1:]]
    pages = iter([name for row in shown for name in row])
    for table in TABLES:
        wanted = set(table_of(table, street, record, TimeSeries.of(street, record)))
        assert {next(pages) for _ in wanted} == wanted, table
    assert next(pages, None) is None
    assert keyed("results", "activity") == list(ACTIVITIES)


def test_failure_and_comparing_name_all_there_is():
    faults = {f"faults.{field.name}": f"`{field.default}`" for field in msgspec.structs.fields(schema.FaultsTable)}
    table = table_with("failure", "key", "faults.loss_pct")
    assert {names(row[0])[0]: row[1] for row in table[1:]} == faults
    assert [name.split()[0] for name in keyed("failure", "`--journal`")] == list(JOURNALS)
    assert keyed("comparing", "`--controller`") == list(CONTROLLERS)


def test_mesa_names_every_argument_with_its_default():
    mesa_model = pytest.importorskip("wattswap.runners.mesa_model")
    defaults = mesa_model.NeighbourhoodModel.__init__.__kwdefaults__ | {"street": "a400"}
    shown = {names(row[0])[0]: row[1] for row in table_with("mesa", "argument", "street")[1:]}
    assert shown == {
        name: f'`"{value}"`' if isinstance(value, str) else f"`{value}`" for name, value in defaults.items()
    }


# -- the scenario file ------------------------------------------------------------------------------------------------


def tables_of_a_scenario() -> dict[str, type[msgspec.Struct]]:
    """Table -> what stands in it; the file's top is "", a list of tables ``[[name]]``."""
    found: dict[str, type[msgspec.Struct]] = {"": schema.Scenario}
    for field in msgspec.structs.fields(schema.Scenario):
        if typing.get_origin(field.type) is tuple:
            found[f"[[{field.encode_name}]]"] = typing.get_args(field.type)[0]
        elif is_table(field.type):
            found[f"[{field.encode_name}]"] = field.type
    return found


def is_table(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def keys_of(kind: type[msgspec.Struct]) -> list[msgspec.structs.FieldInfo]:
    """The keys that hold a value, not a table."""
    return [
        field
        for field in msgspec.structs.fields(kind)
        if not is_table(field.type) and typing.get_origin(field.type) is not tuple
    ]


def keys_of_a_scenario(*, numbered: bool) -> set[str]:
    """Every dotted path; the entries of lists numbered 0, or as the pages show them."""
    return {
        f"{prefix}{field.encode_name}"
        for title, kind in tables_of_a_scenario().items()
        for prefix in prefixes(title.strip("[]"), several=title.startswith("[[") and not numbered)
        for field in keys_of(kind)
    }


def prefixes(name: str, *, several: bool) -> list[str]:
    if not name:
        return [""]
    return [f"{name}.{number}." for number in range(3)] if several else [f"{name}."]


def default_of(field: msgspec.structs.FieldInfo) -> str:
    if field.required:
        return "**needed**"
    if field.default is msgspec.NODEFAULT:
        return "none"
    if field.default == schema._FROM_RATING:
        return "0.95 × `rating_va`"
    if isinstance(field.default, bool):
        return f"`{str(field.default).lower()}`"
    return f'`"{field.default}"`' if isinstance(field.default, str) else f"`{field.default:_}`"


def allowed_in(field: msgspec.structs.FieldInfo) -> str:
    if typing.get_origin(field.type) is typing.Literal:
        return ", ".join(f'`"{choice}"`' for choice in typing.get_args(field.type))
    if (bounds := bounds_of(field.type)) is not None:
        least, most = bounds.least, bounds.most
        return f"`{least:_}`" if least == most else f"`{least:_}` to `{most:_}`"
    kinds: dict[Any, str] = {datetime: "an instant", str: "text", bool: "`true`, `false`"}
    return kinds.get(field.type, "a table")


def test_scenarios_explains_every_key_with_its_default_and_its_range():
    shown = [table for table in tables(BY_NAME["scenarios"]) if table[0][0] == "key"]
    text = (DOCS / "scenarios.md").read_text(encoding="utf-8")
    assert len(shown) == len(tables_of_a_scenario())
    for (title, kind), table in zip(tables_of_a_scenario().items(), shown, strict=True):
        assert not title or f"### `{title}`\n" in text
        for field, row in zip(keys_of(kind), table[1:], strict=True):
            path = f"{title.strip('[]')}.{field.encode_name}".lstrip(".")
            assert row[:3] == [f"`{field.encode_name}`", default_of(field), allowed_in(field)], path
            assert row[3], f"{path} is not explained"


def test_scenarios_names_every_car_and_every_format():
    text = (DOCS / "scenarios.md").read_text(encoding="utf-8").replace("\n", " ")
    assert ", ".join(bundled_cars()[0]) in text
    assert keyed("scenarios", "`format`") == list(typing.get_args(schema.Format))


def test_a_key_that_pages_set_and_that_is_not_there_is_noticed():
    assert {"seed", "transformer.limit_w", "event.0.from"} <= keys_of_a_scenario(numbered=False)
    assert "event.limit_w" in keys_of_a_scenario(numbered=True)
    assert "transformer.limit" not in keys_of_a_scenario(numbered=False)


# -- the pages together -----------------------------------------------------------------------------------------------


def test_every_page_is_reached_from_the_first():
    first = (DOCS / "index.md").read_text(encoding="utf-8")
    assert [page.name for page in PAGES if page.stem != "index" and f"]({page.name})" not in first] == []


def test_every_page_is_in_the_table_of_contents():
    nav = (HOUSE / "mkdocs.yml").read_text(encoding="utf-8")
    assert [page.name for page in PAGES if f": {page.name}\n" not in nav] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_what_a_page_links_to_is_there(page: Path):
    links = re.findall(r"\]\(([^)#\s]*)(#[^)]*)?\)", page.read_text(encoding="utf-8"))
    assert [link for link, _ in links if link and "://" not in link and not (DOCS / link).exists()] == []
    for link, anchor in links:
        if anchor:
            target = page if not link else DOCS / link
            titles = re.findall(r"^#+ (.*)$", target.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor[1:] in {re.sub(r"[^\w-]", "", title.lower().replace(" ", "-")) for title in titles}


def test_the_pages_are_built_without_a_warning(tmp_path):
    pytest.importorskip("mkdocs")
    build = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path / "site")]
    done = subprocess.run(build, cwd=HOUSE, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert {page.with_suffix(".html").name for page in PAGES} <= {page.name for page in (tmp_path / "site").iterdir()}


def test_files_of_the_project_that_pages_name_are_there():
    named = {name for page in PAGES for name in re.findall(r"`(docs/[\w./]+)`", page.read_text(encoding="utf-8"))}
    assert named
    assert [name for name in named if not (HOUSE / name).exists()] == []
