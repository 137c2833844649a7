"""A run's tokens on a real ledger: the same run to the nano, whatever the ledger does meanwhile."""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.experiments.settled_runs import MEMORY, SLOTS, STREET, plain, quick_street
from tests.ledger.local_node import local_node

from wattswap.cli import main
from wattswap.experiments.api import run_loaded
from wattswap.experiments.report import write_report
from wattswap.experiments.settlements import finish
from wattswap.ledger.anchors import read, verify
from wattswap.ledger.crossing import held_in, opening_in
from wattswap.ledger.iota import IotaClient
from wattswap.ledger.iota_bytes import quicken
from wattswap.ledger.iota_faucet import give
from wattswap.ledger.keys import read_key_file, write_key_file
from wattswap.ledger.ledger import Ledger
from wattswap.ledger.settlement import open_settlement
from wattswap.protocol.errors import InputError
from wattswap.protocol.identity import Signer
from wattswap.runners.engines.launch import run_street
from wattswap.runners.payments.run_payments import RunPayments, detail_of, site_signer
from wattswap.runners.payments.wallets_seed import SEED_FILE, read_wallets_seed
from wattswap.runners.recording.rundir import METERS, OUTBOX, RUN_JSON, read_book, read_run

pytest.importorskip("iota_sdk")
pytestmark = pytest.mark.usefixtures("without_report")


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with local_node() as (found, _):
        yield found.removesuffix("/graphql")


@pytest.fixture(params=["sqlite", "devnet"])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return str(request.getfixturevalue("url")) if request.param == "devnet" else f"sqlite:{tmp_path / 'tokens.sqlite'}"


def reopened(run_dir: Path) -> Ledger:
    block = read_run(run_dir).settlement
    assert block is not None
    outbox = run_dir / OUTBOX
    return open_settlement(
        block["ledger"], None, wallets_seed=read_wallets_seed(run_dir, block) or 0, outbox=outbox, run=block["run_id"]
    )


# -- all is well ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("engine", "where"), [("fleet", "devnet"), ("messages", "sqlite")], indirect=["where"])
def test_a_run_on_a_ledger_is_the_run_in_memory_and_its_tokens_cross(where: str, engine: str, tmp_path: Path):
    result = run_loaded(STREET, engine=engine, ledger=where, out=tmp_path / "run")
    of_the_engine = dict.fromkeys(("engine", "events_hash", "messages", "messages_per_kwh"))
    assert plain(result) | of_the_engine == plain(MEMORY) | of_the_engine
    as_they_were = ("disputed", "open", "unpaid")
    trades = [
        trade if trade.status in as_they_were else trade._replace(status="paid") for trade in result.record.trades
    ]
    assert sorted(trades) == sorted(MEMORY.record.trades)
    assert {trade.status for trade in result.record.trades} <= {
        "open",
        "netted",
        "waiting",
        "crossed",
        "netted+waiting",
        "unpaid",
    }
    block = result.summary["settlement"]
    assert (block["ledger"], block["agree"], block["differences"], block["alarms"]) == (where, True, [], [])
    assert (block["pending"], block["refused"], block["anchors"]) == (0, 0, SLOTS)
    assert block["payments"] > 20
    assert block["earned_nanos"] == block["netted_nanos"] + block["waiting_nanos"] + block["crossed_nanos"]
    assert block["earned_nanos"] == result.summary["paid_nanos"] > 0
    assert block["entries"] == len(result.record.book.entries)  # type: ignore[union-attr]
    assert 0 < block["agents_cpu_s"] < 60
    assert (block["fees_nanos"] > 0, block["deposits_nanos"] > 0) == (where.startswith("http"),) * 2
    written = read_run(tmp_path / "run")
    assert written.settlement == written.figures["settlement"] == block
    page = write_report(tmp_path / "run")
    assert "book and ledger agree to the nano" in page.read_text(encoding="utf-8")


def test_what_lies_on_the_ledger_is_what_the_meters_showed(where: str, tmp_path: Path):
    full = quick_street("ledger.anchor=full")
    result = run_loaded(full, engine="fleet", ledger=where, out=tmp_path / "run")
    block = result.summary["settlement"]
    with reopened(tmp_path / "run") as settlement:
        entries, balances = read_book(tmp_path / "run")
        assert settlement.differences(held_in(balances), opening_in(entries)) == []
        anchored, network = settlement.anchored(STREET.name), settlement.network
        key = site_signer(tmp_path / "run", settlement).public_key
    assert verify(anchored, key, network=network, last=SLOTS - 1, run=block["run_id"]) == []
    records = [read(anchor, key, network=network) for anchor in anchored]
    assert {record.begins for record in records} == {STREET.scenario.start.isoformat()}
    assert [record.to_ms for record in records] == [STREET.tick_ms * slot for slot in range(1, SLOTS + 1)]
    last = {reading.meter: reading for reading in records[-1].readings}
    assert sum(reading.import_ws for meter, reading in last.items() if meter.startswith("charger/")) == sum(
        row.imported_ws for row in result.record.sessions
    )
    by_station = Counter[str]()
    for row in result.record.sessions:
        by_station[f"charger/{row.station}"] += row.exported_ws
    assert {meter: last[meter].export_ws for meter in by_station} == by_station
    street = result.ticks.street
    for record, load_w, base_w in zip(records, street.load_w.tolist(), street.base_w.tolist(), strict=True):
        shown = {reading.meter: reading.import_w - reading.export_w for reading in record.readings}
        assert shown["transformer"] == load_w
        assert shown["household/0"] == base_w


def test_a_second_run_on_the_same_node_has_wallets_of_its_own(url: str):
    for seed in (7, None, None):
        assert run_loaded(STREET, engine="fleet", ledger=url, wallets_seed=seed).summary["settlement"]["agree"]
    with pytest.raises(InputError, match="--wallets-seed: the wallets of this seed were used on chain"):
        run_loaded(STREET, engine="fleet", ledger=url, wallets_seed=7)


def test_the_seed_of_a_runs_wallets_is_for_its_owner_alone(url: str, tmp_path: Path, capsys):
    """Figures, logs and reports are passed on; whoever has the seed can spend what lies in the wallets."""
    seed, out = 4_242_424_242_424, tmp_path / "run"
    result = run_loaded(STREET, engine="fleet", ledger=url, wallets_seed=seed, out=out)
    assert str(seed) not in json.dumps(result.summary)
    assert (out / SEED_FILE).read_text() == f"{seed}\n"
    assert (out / SEED_FILE).stat().st_mode & 0o777 == 0o600
    others = [path for path in out.rglob("*") if path.is_file() and path.name != SEED_FILE]
    assert not [path.name for path in others if str(seed).encode() in path.read_bytes()]
    assert finish(out)["agree"]
    (out / SEED_FILE).chmod(0o644)
    with pytest.raises(InputError, match="open to other users"):
        finish(out)
    with pytest.raises(InputError, match="--wallets-seed: the wallets of this seed") as refused:
        run_loaded(STREET, engine="fleet", ledger=url, wallets_seed=seed)
    assert str(seed) not in str(refused.value)


def test_a_run_of_an_older_version_has_its_seed_in_its_figures(url: str, tmp_path: Path):
    out = tmp_path / "run"
    run_loaded(STREET, engine="fleet", ledger=url, wallets_seed=99, out=out)
    (out / SEED_FILE).unlink()
    figures = json.loads((out / RUN_JSON).read_text())
    figures["settlement"]["wallets_seed"] = 99
    (out / RUN_JSON).write_text(json.dumps(figures))
    assert finish(out)["agree"]
    assert "wallets_seed" not in (out / RUN_JSON).read_text(), "it was put where it belongs"
    assert (out / SEED_FILE).read_text() == "99\n"


def test_a_run_settles_with_keys_of_ones_own_and_leaves_what_else_they_hold_alone(url: str, tmp_path: Path):
    """As on any node of the real protocol: no key can be derived by anyone, and the wallets may hold more."""
    keys, out = tmp_path / "wallets", tmp_path / "run"
    keys.mkdir(mode=0o700)
    with pytest.raises(InputError, match=r"site\.key is missing"):
        run_loaded(STREET, engine="fleet", ledger=url, keys=keys)
    for name in ("site", "gas", "anchors"):
        write_key_file(keys / f"{name}.key", Signer(os.urandom(32)))
    opening = STREET.scenario.transformer.funds_iota * 10**9
    chain = IotaClient(f"{url}/graphql").chain_id()
    with pytest.raises(
        InputError, match=r"in [0-9]+ of them \(without --allow its faucet gives them\); send 1000 to 0x"
    ):
        run_loaded(STREET, engine="fleet", ledger=url, keys=keys, allow=[chain])
    give(f"{url}/graphql", read_key_file(keys / "site.key").address, opening + 10**9)
    block = run_loaded(STREET, engine="fleet", ledger=url, keys=keys, out=out).summary["settlement"]
    assert (block["agree"], block["pending"], (out / SEED_FILE).exists()) == (True, 0, False)
    assert finish(out)["agree"]
    keys.rename(tmp_path / "moved")
    with pytest.raises(InputError, match="the folder of this run's keys, is gone: put it back"):
        finish(out)
    assert finish(out, keys=tmp_path / "moved")["agree"]
    (tmp_path / "moved").rename(keys)
    keys.chmod(0o755)
    with pytest.raises(InputError, match="other users can look into it; run `chmod 700"):
        finish(out)


def test_rewards_reach_the_wallet_as_soon_as_they_are_earned_if_asked_for(where: str, tmp_path: Path):
    result = run_loaded(quick_street("ledger.pay=each"), engine="fleet", ledger=where, out=tmp_path / "run")
    block = result.summary["settlement"]
    assert (block["agree"], block["netted_nanos"], block["waiting_nanos"]) == (True, 0, 0)
    assert block["crossed_nanos"] == block["earned_nanos"] == result.summary["paid_nanos"]
    assert {trade.status for trade in result.record.trades} <= {"crossed", "open", "disputed", "unpaid"}
    assert result.summary["trace_hash"] == MEMORY.summary["trace_hash"]


@pytest.mark.parametrize(
    ("anchor", "records"), [("full", SLOTS // 2), ("root", SLOTS // 2), ("none", None), ("auto", None)]
)
def test_in_memory_meters_are_anchored_if_asked_for(anchor: str, records: int | None, tmp_path: Path):
    street = quick_street(f"ledger.anchor={anchor}", "ledger.anchor_s=3_600")
    result = run_loaded(street, engine="fleet", out=tmp_path / "run")
    block = result.summary["settlement"]
    assert plain(result) == plain(MEMORY)
    assert (tmp_path / "run" / METERS).exists() == (records is not None)
    assert (block and block["anchors"]) == records
    assert not block or block["agree"]
    assert result.uncontrolled["settlement"] is None


def test_readings_stand_in_the_open_only_where_the_ledger_is_ones_own():
    with open_settlement("memory", {}) as here:
        assert [detail_of("auto", where, here) for where in ("memory", "sqlite:x", "http://x")] == [
            None,
            "root",
            "root",
        ]
        assert [detail_of(word, "sqlite:x", here) for word in ("full", "root", "none")] == ["full", "root", None]


def test_the_sdk_is_handed_its_bytes_in_one_piece():
    """``quicken`` is told when another version of the SDK is built otherwise."""
    assert quicken()


# -- what cannot be used ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("args", "what"),
    [
        (("--ledger", "momory"), "is no ledger: say memory, sqlite:FILE"),
        (("--ledger", "sqlite:"), "is no ledger"),
        (("--ledger", "sqlite:no/such/folder/x.sqlite"), "No such file or directory"),
        (("--ledger", "sqlite:there.sqlite"), "belongs to one run; name a new one"),
        (("--ledger", "sqlite:here/ledger.sqlite"), "choose another name"),
        (("--ledger", "http://127.0.0.1:1"), "127.0.0.1:1"),
        (("--ledger", "https://"), "is not the address of an IOTA node"),
        (("--keys", "k", "--allow", "2304aa97"), "--keys and --allow: for an IOTA node alone; --ledger memory has no"),
        (("--ledger", "sqlite:new.sqlite", "--allow", "2304aa97"), "--allow: for an IOTA node alone"),
        (("--set", "transformer.funds_iota=4_611_686_018"), "no ledger counts beyond 4,611,686,018"),
        (("--ledger", "memory", "--set", "ledger.anchor=ful"), "full"),
    ],
)
def test_a_ledger_that_cannot_be_used_is_one_line_and_leaves_nothing(args, what: str, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there.sqlite").write_bytes(b"somebody's")
    with pytest.raises(SystemExit) as left:
        main(["run", "demo", "--engine", "fleet", "--out", "here", *args])
    out, err = capsys.readouterr()
    assert (left.value.code, out, err.count("\n")) == (2, "", 1)
    assert what in err
    assert [path.name for path in tmp_path.iterdir()] == ["there.sqlite"]


def test_more_than_the_faucet_has_is_one_line(monkeypatch):
    monkeypatch.setattr("wattswap.ledger.iota_faucet._PATIENCE_S", 1.0)
    much = quick_street("transformer.funds_iota=4_000_000_000")
    with local_node() as (url, _), pytest.raises(InputError, match="the faucet at"):
        run_loaded(much, engine="fleet", ledger=url.removesuffix("/graphql"))


def test_a_proxy_is_not_asked_for_a_node_on_this_machine(url: str, monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    assert run_loaded(STREET, engine="fleet", ledger=url).summary["settlement"]["agree"]


def test_a_run_in_memory_has_nothing_to_settle(tmp_path: Path):
    run_loaded(STREET, engine="fleet", out=tmp_path / "run")
    with pytest.raises(InputError, match="kept its tokens in memory"):
        finish(tmp_path / "run")
    assert MEMORY.summary["settlement"] is None


def test_the_agents_thread_hands_over_and_goes_on(tmp_path: Path):
    """What it does for the ledger takes far less than the law of a round."""
    spent = [0.0, 0.0]

    class Timed(RunPayments):
        def tick_passed(self, tick: int) -> None:
            began = time.thread_time()
            super().tick_passed(tick)
            spent[0] += time.thread_time() - began

    settlement = Timed(STREET, f"sqlite:{tmp_path / 'tokens.sqlite'}")
    began = time.thread_time()
    run_street(STREET, engine="messages", observers=[settlement])
    spent[1] = time.thread_time() - began
    settlement.close()
    assert spent[0] < 0.05 * spent[1]
