"""Several feeders on one ledger: each has a site and a chain of meter records there, a car one wallet for all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from tests import smalltown
from tests.ledger.local_node import local_node

from wattswap.cli import main
from wattswap.experiments import api
from wattswap.experiments.api import Result, run
from wattswap.experiments.run_book import read_book
from wattswap.experiments.settlements import finish
from wattswap.ledger.iota_keys import wallets_of_folder
from wattswap.ledger.keys import write_key_file
from wattswap.ledger.sqlite import SqliteLedger
from wattswap.protocol.errors import InputError
from wattswap.protocol.identity import Signer
from wattswap.runners.recording.rundir import book_file

pytest.importorskip("iota_sdk")

SITES = ("site/north", "site/south")
FEEDER = """\
[[feeder]]
name = "{name}"
[feeder.transformer]
rating_va = {va}
[feeder.base]
[feeder.sessions]
csv = "sessions.csv"
"""
COMMON = """\
[base]
household_csv = "household.csv"
[vehicles]
strategy = "need:0.5+prosumer:0.3+keep:0.2"
[ledger]
pay = "each"
anchor_s = 3600
"""


@pytest.fixture(scope="module", autouse=True)
def _no_page_for_people() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(api, "_report", lambda directory, result: None)
        yield


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two feeders with the same cars and sessions, by name; a reward reaches its wallet as soon as it is earned."""
    folder = tmp_path_factory.mktemp("feeders")
    smalltown.found(folder)
    head = smalltown.SCENARIO.partition("[transformer]")[0].replace("smalltown", "two")
    feeders = FEEDER.format(name="north", va=60_000) + FEEDER.format(name="south", va=50_000)
    (folder / "two.toml").write_text(head + COMMON + feeders, encoding="utf-8")
    return folder / "two.toml"


@pytest.fixture(scope="module")
def memory(street: Path) -> Result:
    return run(street, engine="fleet")


@pytest.fixture(scope="module")
def settled(street: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a run that settled in a file."""
    folder = tmp_path_factory.mktemp("settled")
    run(street, engine="fleet", ledger=f"sqlite:{folder / 'tokens.sqlite'}", out=folder / "run")
    return folder / "run"


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with local_node() as (found, _):
        yield found


@pytest.mark.parametrize(("engine", "where"), [("messages", "sqlite"), ("fleet", "devnet")])
def test_their_tokens_cross_one_ledger_and_the_run_is_the_one_in_memory(
    street: Path, memory: Result, engine: str, where: str, tmp_path: Path, request: pytest.FixtureRequest
):
    ledger = request.getfixturevalue("url") if where == "devnet" else f"sqlite:{tmp_path / 'tokens.sqlite'}"
    summary = run(street, engine=engine, ledger=ledger, out=tmp_path / "run").summary
    assert summary["trace_hash"] == memory.summary["trace_hash"]
    block = summary["settlement"]
    assert (block["agree"], block["pending"], block["alarms"]) == (True, 0, [])
    assert block["crossed_nanos"] == block["earned_nanos"] == summary["paid_nanos"] > 0
    assert block["records_by_site"] == {"two/north": 24, "two/south": 24}
    assert block["anchors"] == 48


def test_each_site_pays_its_own_rewards_and_a_car_has_one_wallet_for_both(settled: Path):
    book = read_book(settled)
    with SqliteLedger(settled.parent / "tokens.sqlite", reads_only=True) as ledger:
        paid = {site: {one.key for one in ledger.history(site) if one.payer == site} for site in SITES}
        assert all(paid.values())
        assert all(key.startswith("reward/north/") for key in paid["site/north"])
        assert all(key.startswith("reward/south/") for key in paid["site/south"])
        assert {site: ledger.balance(site) for site in SITES} == {site: book.holds(site) for site in SITES}
        both = {one.payee for one in ledger.history(SITES[0])} & {one.payee for one in ledger.history(SITES[1])}
        car = min(account for account in both if account.startswith("wallet/"))
        assert ledger.balance(car) == book.holds(car)
        assert book.openings[car] == 2_000 * 10**9, "a purse on each feeder, in one wallet"


def said(capsys: pytest.CaptureFixture[str], *args: object) -> tuple[int | str | None, str]:
    """The exit code of a command, and what it said."""
    with pytest.raises(SystemExit) as left:
        main([str(arg) for arg in args])
    captured = capsys.readouterr()
    return left.value.code, captured.out + captured.err


def test_wallets_and_their_history_are_shown_by_site(settled: Path, capsys: pytest.CaptureFixture[str]):
    code, text = said(capsys, "wallet", "balance", "--run", settled, "--json")
    names = [wallet["name"] for wallet in msgspec.json.decode(text)["wallets"]]
    assert (code, names[:2]) == (0, list(SITES))
    assert len(names) == len(set(names)) == 2 + 8, "a car has one wallet for both"
    code, text = said(capsys, "wallet", "history", "site/south", "--run", settled)
    assert (code, "reward/north" in text) == (0, False)


def test_records_are_verified_site_by_site(settled: Path, capsys: pytest.CaptureFixture[str]):
    code, text = said(capsys, "meter", "verify", "--run", settled)
    assert (code, "there are several sites in" in text) == (2, True)
    for site in ("two/north", "two/south"):
        code, text = said(capsys, "meter", "verify", "--run", settled, "--site", site)
        assert (code, f"24 records of {site}" in text) == (0, True)


def lose_books(run_dir: Path) -> None:
    """What a kill before the end leaves: the books are on the ledger alone."""
    for feeder in ("north", "south"):
        (run_dir / book_file(feeder)).unlink()


def swap_archives(run_dir: Path) -> None:
    north, south = run_dir / "meters-north.sqlite", run_dir / "meters-south.sqlite"
    content = north.read_bytes()
    north.write_bytes(south.read_bytes())
    south.write_bytes(content)


@pytest.mark.parametrize(
    ("spoil", "said"), [(lose_books, ""), (swap_archives, "meters-north.sqlite is another run's archive")]
)
def test_a_run_is_settled_later(street: Path, spoil: Callable[[Path], None], said: str, tmp_path: Path):
    before = run(street, engine="fleet", ledger=f"sqlite:{tmp_path / 'tokens.sqlite'}", out=tmp_path / "run")
    spoil(tmp_path / "run")
    if said:
        with pytest.raises(InputError, match=said):
            finish(tmp_path / "run")
        return
    block = finish(tmp_path / "run")
    assert block["records_by_site"] == {"two/north": 24, "two/south": 24}
    assert (block["agree"], block["crossed_nanos"]) == (True, before.summary["settlement"]["crossed_nanos"])


def test_each_site_has_a_key_of_its_own(tmp_path: Path):
    tmp_path.chmod(0o700)
    for number, name in enumerate(("site-north", "gas", "anchors")):
        write_key_file(tmp_path / f"{name}.key", Signer(bytes([number]) * 32))
    with pytest.raises(InputError, match=r"site-south\.key is missing"):
        wallets_of_folder(tmp_path, ("north", "south"))
    write_key_file(tmp_path / "site-south.key", Signer(bytes([9]) * 32))
    wallets = wallets_of_folder(tmp_path, ("north", "south"))
    assert len({wallets.address(site) for site in SITES}) == 2
