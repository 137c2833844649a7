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
        (".", 0o600, "cannot read"),
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


def test_an_agents_keys_are_made_shown_and_trusted_by_a_code_that_both_sides_show(say, tmp_path: Path):
    """What two people do at two Pis: each makes keys, each gets the other's public.json, both compare the code."""
    say("keys", "new", "./site", "--agent", "transformer", "--role", "transformer")
    code, out, err = say("keys", "new", "./pi", "--agent", "charger/7", "--role", "charger")
    assert (code, err) == (0, "")
    assert "charger/7" in out
    assert (tmp_path / "pi/transport.key").stat().st_mode & 0o777 == 0o600
    told = json.loads(say("keys", "show", "./pi", "--json")[1])["agent"]
    assert (told["name"], told["role"], len(told["transport_key"])) == ("charger/7", "charger", 64)
    shown = [
        say("keys", "trust", *sides)[1].split()[-1]
        for sides in (("site", "pi/public.json"), ("pi", "site/public.json"))
    ]
    assert shown[0] == shown[1]
    assert say("keys", "trust", "site", "pi/public.json", "--code", shown[0].lower())[0] == 0
    assert [one["name"] for one in json.loads(say("keys", "trust", "site", "--json")[1])["trusted"]] == ["charger/7"]
    assert say("keys", "trust", "site", "--revoke", "charger/7")[0] == 0
    assert "trusts nobody yet" in say("keys", "trust", "site")[1]
    everything = "".join(say("keys", "show", folder)[1] for folder in ("./site", "./pi"))
    secret = json.loads((tmp_path / "pi/transport.key").read_text())["secret_key"]
    assert secret not in everything + out


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (("trust", "pi", "other/public.json", "--code", "0000-0000-0000"), "is not trusted: here the code is"),
        (("trust", "pi", "other/public.json"), "nobody is here to compare the code"),
        (("trust", "pi", "pi/public.json"), "name the file of the other side"),
        (("trust", "pi", "none.json"), "cannot read none.json"),
        (("trust", "pi", "--revoke", "nobody"), "there is no 'nobody'"),
        (("trust", "none"), "there is no key directory none"),
        (("trust", "pi", "x", "--revoke", "y"), "not both"),
        (("new", "./third", "--agent", "a"), "go together"),
        (("new", "./pi", "--agent", "a", "--role", "charger"), "never overwritten"),
        (("new", "./third", "--agent", "a b", "--role", "charger"), "is no name for an agent"),
        (("new", "./third", "--agent", "a", "--role", "chargr"), "'chargr' is not one of"),
    ],
)
def test_what_agents_keys_cannot_do_is_one_line(say, words, what):
    say("keys", "new", "./pi", "--agent", "charger/7", "--role", "charger")
    say("keys", "new", "./other", "--agent", "charger/8", "--role", "charger")
    code, _, err = say("keys", *words)
    assert (code, err.count("\n"), what in err) == (2, 1, True), err


def test_the_roles_of_the_command_are_those_of_the_agents():
    from wattswap.cli.keys import _ROLES
    from wattswap.runners.node.roles import ROLES

    assert _ROLES == ROLES
