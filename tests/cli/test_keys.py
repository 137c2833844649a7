"""``wattswap keys``: made once, private from the first instant, and never shown."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from wattswap.ledger.keys import read_key_file
from wattswap.protocol.identity import address


@pytest.mark.parametrize(("word", "file"), [("bob", "config/wattswap/keys/bob.key"), ("./site.key", "site.key")])
def test_a_new_key_is_its_owners_alone_and_shows_its_public_side(say, tmp_path: Path, word, file):
    code, out, err = say("keys", "new", word)
    assert (code, err) == (0, "")
    path = tmp_path / file
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    signer = read_key_file(path)
    assert not signer.seeded
    assert signer.public_key.hex() in out
    assert signer.address == address(signer.public_key)
    assert signer.address in out
    shown, told = say("keys", "show", word)[1], json.loads(say("keys", "show", word, "--json")[1])
    assert shown == out
    assert [one["address"] for one in told["keys"]] == [signer.address]
    assert signer.secret_seed().hex() not in out + shown + json.dumps(told)


def test_an_existing_key_is_never_overwritten(say, tmp_path: Path):
    say("keys", "new", "bob")
    [path] = (tmp_path / "config").rglob("*.key")
    before = path.read_bytes()
    code, out, err = say("keys", "new", "bob")
    assert (code, out, err.count("\n"), "exists already" in err) == (2, "", 1, True)
    assert path.read_bytes() == before


def test_every_key_by_name_is_shown(say):
    assert "Make one" in say("keys", "show")[1]
    for name in ("ann", "bob"):
        say("keys", "new", name)
    assert [Path(one["file"]).stem for one in json.loads(say("keys", "show", "--json")[1])["keys"]] == ["ann", "bob"]


@pytest.mark.parametrize(
    ("word", "mode", "what"),
    [
        ("bobb", 0o600, "the nearest is 'bob'"),
        ("bob", 0o644, "run `chmod 600"),
        ("./none.key", 0o600, "No such file"),
        ("./text.key", 0o600, "not a wattswap key file"),
        (".", 0o600, "Is a directory"),
    ],
)
def test_what_is_no_key_is_one_line(say, tmp_path: Path, word, mode, what):
    say("keys", "new", "bob")
    [path] = (tmp_path / "config").rglob("*.key")
    path.chmod(mode)
    text = tmp_path / "text.key"
    text.write_text("a text")
    text.chmod(0o600)
    code, out, err = say("keys", "show", word)
    assert (code, out, err.count("\n"), what in err) == (2, "", 1, True), err


def test_a_key_goes_nowhere_where_nothing_can_be_written(say):
    code, out, err = say("keys", "new", "no/such/folder.key")
    assert (code, out, "cannot write key file" in err) == (2, "", True)
