"""Which files a street was read from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wattswap.protocol.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from wattswap.runners.scenario.profiles import Profile


class InputFiles:
    """What the files read so far hash to; a file that a recorded run knew otherwise is refused."""

    def __init__(self, recorded: dict[str, str]) -> None:
        self._recorded = recorded
        self.sha256: dict[str, str] = {}
        self._files_of: dict[str, list[str]] = {}
        """What profiles were taken for -> the files that were."""

    def again(self) -> InputFiles:
        """The same, to be added to apart."""
        other = InputFiles(self._recorded)
        other.sha256 = self.sha256.copy()
        other._files_of = {note: files.copy() for note, files in self._files_of.items()}
        return other

    def add(self, path: Path, sha256: str) -> None:
        """A file that was read.

        Raises:
            InputError: it is not the one that a recorded run knew under its name.
        """
        # one file of a name is called by it, a second one by its folder too, and so on
        tails = ("/".join(path.parts[-length:]) for length in range(1, len(path.parts) + 1))
        name = next(tail for tail in tails if self.sha256.get(tail, sha256) == sha256)
        if self._recorded.get(name, sha256) != sha256:
            raise InputError(
                f"{path}: not the file this scenario was recorded with (its sha256 differs from [inputs]);"
                " put the old file back, or delete [inputs]"
            )
        self.sha256[name] = sha256

    def add_profile(self, path: Path, profile: Profile) -> None:
        """The same, with what the file was taken for."""
        self.add(path, profile.sha256)
        self.note(profile.file, profile.notes)

    def note(self, file: str, notes: Iterable[str]) -> None:
        """What is to be said of a file."""
        for note in notes:
            files = self._files_of.setdefault(note, [])
            if file not in files:
                files.append(file)

    @property
    def notes(self) -> tuple[str, ...]:
        """What the profiles were taken for, each said once however many files it holds of."""
        return tuple(
            f"{files[0]}{f' and {len(files) - 1} more' if files[1:] else ''}: {note}"
            for note, files in self._files_of.items()
        )
