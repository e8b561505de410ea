"""The manifest cache: a folder, content addressed, checked on reading, safe against damage and two runs at once."""

import contextlib
import hashlib
import secrets
from collections.abc import Callable
from pathlib import Path

from package_keeper.runner.files import read_regular


class ManifestCache:
    """Keeps manifests as `FOLDER/sha256/ab/abcd…`. A file that is not what its name says is as good as none.

    `give_away` hands a new file or folder to the workspace's owner.
    """

    def __init__(self, folder: Path, give_away: Callable[[Path], None]) -> None:
        self._folder = folder
        self._give_away = give_away

    def get(self, digest: str) -> bytes | None:
        """The bytes of a manifest, or `None` when there is none or it is damaged."""
        place = self._place(digest)
        try:
            body = read_regular(place)
        except OSError:
            return None
        if hashlib.sha256(body).hexdigest() == place.name:
            return body
        with contextlib.suppress(OSError):
            place.unlink()
        return None

    def keep(self, digest: str, body: bytes) -> None:
        """Keep a manifest. A cache that cannot be written costs time, nothing else."""
        place = self._place(digest)
        beside = place.with_name(f".{place.name}.{secrets.token_hex(8)}")
        try:
            for folder in reversed([place.parent, *place.parent.parents]):
                if not folder.exists():
                    folder.mkdir(exist_ok=True)
                    self._give_away(folder)
            beside.write_bytes(body)
            self._give_away(beside)
            # another run that writes the same file writes the same bytes; a rename shows either whole
            beside.replace(place)
        except OSError:
            with contextlib.suppress(OSError):
                beside.unlink(missing_ok=True)

    def _place(self, digest: str) -> Path:
        name = digest.removeprefix("sha256:")
        return self._folder / "sha256" / name[:2] / name
