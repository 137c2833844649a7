"""An agent's keys, whom it trusts, and the code that two people compare."""

from __future__ import annotations

import copy
import errno
import os
import pickle
import stat
from pathlib import Path

import msgspec
import pytest

from wattswap.protocol.errors import InputError
from wattswap.runners.node.key_directory import (
    PublicIdentity,
    TransportKey,
    new_agent_keys,
    read_agent_keys,
    read_identity,
)
from wattswap.runners.node.pairing import pairing_code, same_code
from wattswap.runners.node.token_bucket import TokenBucket
from wattswap.runners.node.trust import TrustDirectory, TrustStore


def test_new_keys_are_read_back_and_are_their_owners_alone(tmp_path):
    made = new_agent_keys(tmp_path / "keys", "charger/7", "charger")
    read = read_agent_keys(tmp_path / "keys")
    assert read.identity == made.identity == read_identity(tmp_path / "keys/public.json")
    assert read.transport == made.transport
    assert read.signer.public_key == made.identity.signing
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "keys").iterdir()}
    assert modes == {"signing.key": 0o600, "transport.key": 0o600, "public.json": 0o600, "trusted": 0o700}
    assert stat.S_IMODE((tmp_path / "keys").stat().st_mode) == 0o700


def test_nothing_secret_is_shown(tmp_path):
    keys = new_agent_keys(tmp_path, "charger/7", "charger")
    secrets = {keys.transport.secret.hex(), repr(keys.transport.secret), keys.signer.secret_seed().hex()}
    shown = repr(keys) + repr(keys.transport) + repr(keys.identity) + (tmp_path / "public.json").read_text()
    assert not [secret for secret in secrets if secret in shown]
    for copied in (pickle.dumps, copy.copy):
        with pytest.raises(TypeError, match="not pickled or copied"):
            copied(keys.transport)


@pytest.mark.parametrize("file", ["signing.key", "transport.key"])
def test_a_key_that_others_can_read_is_refused(tmp_path, file):
    new_agent_keys(tmp_path, "charger/7", "charger")
    (tmp_path / file).chmod(0o640)
    with pytest.raises(InputError, match=rf"{file} is open to other users: run `chmod 600"):
        read_agent_keys(tmp_path)


def test_keys_are_never_overwritten_and_names_are_plain(tmp_path):
    new_agent_keys(tmp_path, "charger/7", "charger")
    with pytest.raises(InputError, match="never overwritten"):
        new_agent_keys(tmp_path, "charger/8", "charger")
    for name in ("", "a" * 81, "two words", "new\nline", "ü"):
        with pytest.raises(InputError, match="is no name for an agent"):
            new_agent_keys(tmp_path / "other", name, "charger")
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize(
    ("file", "text", "what"),
    [
        ("public.json", "{}", "is not the public.json of an agent's keys"),
        ("public.json", None, "No such file"),
        ("transport.key", "{}", "is not a transport key file"),
        ("transport.key", None, "No such file"),
        ("signing.key", "rubbish", "is not a wattswap key file"),
    ],
)
def test_a_key_directory_that_is_not_whole_is_one_line(tmp_path, file, text, what):
    new_agent_keys(tmp_path, "charger/7", "charger")
    path = tmp_path / file
    path.unlink()
    if text is not None:
        path.write_text(text)
        path.chmod(0o600)
    with pytest.raises(InputError, match=what) as told:
        read_agent_keys(tmp_path)
    assert "\n" not in str(told.value)


def test_keys_of_two_agents_do_not_mix(tmp_path):
    one, other = tmp_path / "one", tmp_path / "other"
    new_agent_keys(one, "charger/1", "charger")
    new_agent_keys(other, "charger/2", "charger")
    (one / "public.json").write_bytes((other / "public.json").read_bytes())
    with pytest.raises(InputError, match="is not of the keys beside it"):
        read_agent_keys(one)
    with pytest.raises(InputError, match="there is no key directory"):
        read_agent_keys(tmp_path / "none")


def test_whom_a_node_trusts_is_read_from_its_directory(tmp_path):
    site = new_agent_keys(tmp_path / "site", "transformer", "transformer")
    charger = new_agent_keys(tmp_path / "pi", "charger/7", "charger")
    trusted = TrustDirectory(tmp_path / "site")
    assert not list(trusted.read())
    trusted.add(charger.identity)
    assert trusted.changed()
    store = trusted.read()
    assert not trusted.changed()
    assert store.agent("charger/7") == charger.identity
    assert store.allows(charger.transport.public)
    assert not store.allows(site.transport.public)
    trusted.add(charger.identity)
    trusted.revoke("charger/7")
    assert trusted.changed()
    after = trusted.read()
    assert not after.allows(charger.transport.public)
    assert after.is_revoked(charger.transport.public)
    assert store.become(after) == {charger.transport.public}


def test_a_second_agent_of_a_name_is_refused(tmp_path):
    one = new_agent_keys(tmp_path / "one", "charger/7", "charger").identity
    two = new_agent_keys(tmp_path / "two", "charger/7", "charger").identity
    trusted = TrustDirectory(tmp_path)
    trusted.add(one)
    with pytest.raises(InputError, match="is trusted with other keys"):
        trusted.add(two)
    with pytest.raises(InputError, match=r"there is no 'charger/8' in .*; trusted are: charger/7"):
        trusted.revoke("charger/8")
    with pytest.raises(InputError, match="two agents called 'charger/7'"):
        TrustStore([one, two])


def test_both_sides_show_the_same_code_and_another_key_shows_another(tmp_path):
    one = new_agent_keys(tmp_path / "one", "transformer", "transformer").identity
    two = new_agent_keys(tmp_path / "two", "charger/7", "charger").identity
    other = new_agent_keys(tmp_path / "three", "charger/7", "charger").identity
    code = pairing_code(one, two)
    assert code == pairing_code(two, one)
    assert [len(group) for group in code.split("-")] == [4, 4, 4]
    assert code != pairing_code(one, other)
    assert same_code(code.lower().replace("-", " "), code)
    assert same_code("o1il-0000-0000", "0111-0000-0000")
    assert not same_code(code[:-1], code)


def test_the_pair_of_a_transport_secret_is_curves():
    zmq = pytest.importorskip("zmq")
    key = TransportKey.new()
    from zmq.utils import z85

    assert z85.decode(zmq.curve_public(z85.encode(key.secret))) == key.public


def test_a_token_bucket_holds_a_burst_and_fills_with_time():
    bucket = TokenBucket(per_s=10, burst=20)
    assert all(bucket.take(1, 0) for _ in range(20))
    assert not bucket.take(1, 0)
    assert not bucket.take(1, 99)
    assert bucket.take(1, 100)
    assert not bucket.take(21, 10**9)
    assert bucket.take(20, 10**9)
    assert not bucket.take(1, 0), "a clock that goes back gives nothing"


def cards(tmp_path: Path, *names: str) -> list[PublicIdentity]:
    return [new_agent_keys(tmp_path / "cards" / name, name, "charger").identity for name in names]


def test_a_bad_file_beside_blocks_no_revocation_and_is_told(tmp_path):
    first, second, third = cards(tmp_path, "one", "two", "three")
    trusted = TrustDirectory(tmp_path)
    for card in (first, second):
        trusted.add(card)
    trusted.read()
    (tmp_path / "trusted" / "note.json").write_text("{")
    trusted.revoke("one")
    trusted.add(third)
    assert trusted.changed()
    store = trusted.refreshed()
    assert {agent.name for agent in store} == {"two", "three"}
    assert store.is_revoked(first.transport)
    [trouble] = trusted.troubles
    assert "note.json is not the public.json of an agent's keys" in trouble
    assert trusted.changed(), "it is tried again"
    (tmp_path / "trusted" / "note.json").unlink()
    trusted.refreshed()
    assert not trusted.troubles
    assert not trusted.changed()


def test_who_stood_in_a_file_that_is_torn_now_is_trusted_on_until_it_is_gone(tmp_path):
    (card,) = cards(tmp_path, "one")
    trusted = TrustDirectory(tmp_path)
    path = trusted.add(card)
    trusted.read()
    path.write_text("{")
    assert trusted.refreshed().agent("one") == card
    assert trusted.troubles
    path.unlink()
    assert not list(trusted.refreshed())
    assert not trusted.troubles


def test_a_second_file_of_a_name_is_left_aside_and_the_first_stays(tmp_path):
    (card,) = cards(tmp_path, "one")
    other = new_agent_keys(tmp_path / "other", "one", "charger").identity
    trusted = TrustDirectory(tmp_path)
    trusted.add(card)
    trusted.read()
    (tmp_path / "trusted" / "a.json").write_bytes(msgspec.json.encode(other))
    assert trusted.refreshed().agent("one") == card
    assert "two agents called 'one'" in trusted.troubles[0]
    trusted.revoke("one")
    assert trusted.refreshed().agent("one") == other, "the name is free"


def test_a_directory_that_cannot_be_looked_into_leaves_trust_as_it_was(tmp_path, monkeypatch):
    """A process without a file descriptor left must neither end nor trust nobody."""
    (card,) = cards(tmp_path, "one")
    trusted = TrustDirectory(tmp_path)
    trusted.add(card)
    trusted.read()

    def refuse(*_: object) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    with monkeypatch.context() as short:
        short.setattr(os, "scandir", refuse)
        assert trusted.changed()
        assert trusted.refreshed().agent("one") == card
        assert trusted.troubles == (f"cannot look into {tmp_path / 'trusted'}: Too many open files",)
    assert trusted.changed()
    assert trusted.refreshed().agent("one") == card
    assert not trusted.troubles
