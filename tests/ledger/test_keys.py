"""Key files: private from their first instant, never overwritten, never half believed."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import msgspec
import pytest

from wattswap.ledger import keys
from wattswap.ledger.keys import read_key_file, write_key_file
from wattswap.protocol.errors import InputError
from wattswap.protocol.identity import Signer, seeded_signer, verify

SIGNER = Signer(bytes(range(32)))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a key file may go."""
    return tmp_path / "charger.key"


def test_a_key_that_was_written_is_read_again_and_signs_alike(path: Path) -> None:
    write_key_file(path, SIGNER)
    again = read_key_file(path)
    assert again.public_key == SIGNER.public_key
    assert again.seeded is False
    assert again.sign(b"offer") == SIGNER.sign(b"offer")


def test_a_file_is_read_for_the_network_it_is_to_sign_on(path: Path) -> None:
    write_key_file(path, SIGNER)
    again = read_key_file(path, network="2304aa97")
    assert verify(SIGNER.public_key, b"offer", again.sign(b"offer"), network="2304aa97")
    assert not verify(SIGNER.public_key, b"offer", again.sign(b"offer"))


def test_a_seeded_key_keeps_its_mark(path: Path) -> None:
    write_key_file(path, seeded_signer(1, "charger/1"))
    assert b'"seeded": true' in path.read_bytes()
    assert read_key_file(path).seeded is True


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_a_new_file_is_its_owners_alone_whatever_the_umask(path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        write_key_file(path, SIGNER)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_an_existing_file_is_never_overwritten(path: Path) -> None:
    write_key_file(path, SIGNER)
    before = path.read_bytes()
    with pytest.raises(InputError, match="exists already"):
        write_key_file(path, seeded_signer(1, "thief"))
    assert path.read_bytes() == before


def test_a_link_that_leads_elsewhere_is_not_written_through(path: Path) -> None:
    target = path.with_name("elsewhere")
    path.symlink_to(target)
    with pytest.raises(InputError, match="exists already"):
        write_key_file(path, SIGNER)
    assert not target.exists()


def test_a_disk_that_fails_leaves_no_half_a_key(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InputError, match="No space left"):
        write_key_file(path, SIGNER)
    assert not path.exists()


def test_a_folder_that_is_not_there_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        write_key_file(tmp_path / "missing" / "a.key", SIGNER)
    with pytest.raises(InputError, match="No such file"):
        read_key_file(tmp_path / "a.key")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o610, 0o644, 0o666])
def test_a_file_open_to_others_is_refused_with_the_cure(path: Path, mode: int) -> None:
    write_key_file(path, SIGNER)
    path.chmod(mode)
    with pytest.raises(InputError, match="chmod 600"):
        read_key_file(path)


def test_a_read_only_file_of_the_owner_is_fine(path: Path) -> None:
    write_key_file(path, SIGNER)
    path.chmod(0o400)
    assert read_key_file(path).public_key == SIGNER.public_key


def test_what_is_not_a_file_is_refused_without_waiting_for_it(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe, 0o600)
    with pytest.raises(InputError, match="not a file"):
        read_key_file(pipe)
    with pytest.raises(InputError, match=r"[Ii]s a directory|not a file"):
        read_key_file(tmp_path)


def test_no_torn_file_is_believed(path: Path) -> None:
    write_key_file(path, SIGNER)
    whole = path.read_bytes()
    for length in range(len(whole) - 2):
        path.write_bytes(whole[:length])
        with pytest.raises(InputError, match="not a wattswap key file"):
            read_key_file(path)


@pytest.mark.parametrize(
    ("field", "value", "complaint"),
    [
        ("secret_seed", "00" * 32, "contradicts itself"),
        ("public_key", "00" * 32, "contradicts itself"),
        ("address", "0x" + "00" * 32, "contradicts itself"),
        ("secret_seed", "00" * 31, "32-byte"),
        ("secret_seed", "zz" * 32, "not a wattswap key file"),
        ("seeded", 1, "not a wattswap key file"),
        ("kind", "other", "not a wattswap key file"),
        ("extra", "", "not a wattswap key file"),
    ],
)
def test_an_edited_file_is_refused(path: Path, field: str, value: str | int, complaint: str) -> None:
    write_key_file(path, SIGNER)
    content = msgspec.json.decode(path.read_bytes(), type=dict[str, str | int | bool])
    path.write_bytes(msgspec.json.encode(content | {field: value}))
    with pytest.raises(InputError, match=complaint):
        read_key_file(path)


@pytest.mark.parametrize("junk", [b"", b"\xff\xfe", b"[" * 5_000, b"{}", b"null", b"x" * 100_000])
def test_junk_is_no_key_file(path: Path, junk: bytes) -> None:
    path.write_bytes(junk)
    path.chmod(0o600)
    with pytest.raises(InputError, match="not a wattswap key file"):
        read_key_file(path)


def test_no_complaint_shows_the_secret(path: Path) -> None:
    write_key_file(path, SIGNER)
    secret = SIGNER.secret_seed().hex()
    path.write_text(path.read_text().replace(SIGNER.address, "0x0"))
    with pytest.raises(InputError) as caught:
        read_key_file(path)
    assert secret not in str(caught.value)
    assert secret not in repr(keys._content(SIGNER))
