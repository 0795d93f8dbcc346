"""The lists and settings in use: taken only when they are signed and go on from what is in use, kept as they came."""

import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from threading import RLock

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from hansa.codes import (
    DenyListRefused,
    Settings,
    SettingsRefused,
    TrustList,
    TrustListRefused,
    read_deny_update,
    read_settings,
    read_trust_list,
)
from hansa.gate.agent.config import Adjustable, ConfigRefused, adjusted
from hansa.gate.agent.deny import DenyFile, DenyListBroken
from hansa.gate.agent.folder import Folder
from hansa.gate.gate import Gate

logger = logging.getLogger("hansa.gate")

TRUST_LIST, SETTINGS, DENY_LIST = "trust-list.cose", "settings.cose", "deny.db"

_NEVER = datetime.fromtimestamp(0, UTC)
NO_TRUST_LIST = TrustList(0, _NEVER, _NEVER, ())
"""What a gate has before its first list: it has ended, so no code is good."""


class Lists:
    """What a gate was told by the league. The files hold the signed bytes, verified anew at each start.

    changed: called with the settings whenever they change. Threads may share it.
    """

    def __init__(
        self,
        folder: Folder,
        roots: Sequence[Ed25519PublicKey],
        *,
        device_id: str,
        adjustable: Adjustable,
        now: Callable[[], datetime],
    ) -> None:
        self._folder, self._roots, self._device_id, self._now = folder, roots, device_id, now
        self._lock = RLock()
        self._given = adjustable
        self._gate: Gate | None = None
        self.adjustable = adjustable
        """The settings in force: the file's, and over them the league's."""
        self.settings: Settings | None = None
        self.broken: list[str] = []
        """What was found broken at the start, or since, and put aside."""
        self._settings_key = b""
        self._settings_body = b""
        self._trust_body = b""
        self.trust_list = self._kept_trust_list()
        self.deny_list = self._kept_deny_list()
        self._kept_settings()

    def serve(self, gate: Gate) -> None:
        """From now on this gate is handed newer lists."""
        self._gate = gate

    def take_trust_list(self, data: bytes) -> bool:
        """Take a trust list; gives whether it is news. Errors: TrustListRefused, FolderUnusable: nothing changed."""
        with self._lock:
            if data == self._trust_body:
                return False
            trust_list = self._read_trust_list(data)
            if self._now() >= trust_list.expires_at:
                raise TrustListRefused(f"Trust list {trust_list.version} has ended.")
            if trust_list.version < self.trust_list.version:
                raise TrustListRefused(
                    f"Trust list {trust_list.version} is older than {self.trust_list.version}, which is in use."
                )
            if trust_list.version == self.trust_list.version:
                return False
            self._folder.write(TRUST_LIST, data)
            if self._gate is not None:
                self._gate.use_trust_list(trust_list)
            self.trust_list, self._trust_body = trust_list, data
            return True

    @property
    def deny_since(self) -> int:
        """The version to ask the deny list from; 0 for the whole list."""
        with self._lock:
            key = self.trust_list.list_key
            return self.deny_list.version_by(key) if key is not None else 0

    @property
    def is_deny_list_believed(self) -> bool:
        """Whether the league's present list key signed the deny list in use."""
        with self._lock:
            key = self.trust_list.list_key
            return key is not None and self.deny_list.is_by(key)

    def take_deny_update(self, data: bytes) -> bool:
        """Take an update of the deny list; gives whether it said more than was known.

        Errors: DenyListRefused, DenyListBroken: nothing changed.
        """
        with self._lock:
            key = self.trust_list.list_key
            if key is None:
                raise DenyListRefused("The trust list names no key that signs deny lists.")
            update = read_deny_update(data, Ed25519PublicKey.from_public_bytes(key))
            return self.deny_list.take(update, list_key=key)

    def take_settings(self, data: bytes) -> bool:
        """Take settings for this device; gives whether they are news.

        What this program does not know is passed over, so that newer settings serve older programs.
        Errors: SettingsRefused, ConfigRefused for a value that does not fit, FolderUnusable: nothing changed.
        """
        with self._lock:
            if data == self._settings_body:
                return False
            settings, changed = self._read_settings(data)
            if self.settings is not None and self._settings_key == self.trust_list.list_key:
                if settings.version < self.settings.version:
                    raise SettingsRefused(
                        f"Settings {settings.version} are older than {self.settings.version}, which are in use."
                    )
                if settings.version == self.settings.version:
                    return False
            self._folder.write(SETTINGS, data)
            self._use(settings, changed, data)
            return True

    def forget_ended(self) -> None:
        """Let go of denied tokens that have ended. Errors: DenyListBroken."""
        self.deny_list.forget_ended(self._now())

    def renew_deny_list(self) -> None:
        """Put a broken deny list aside and begin anew, with none. Errors: FolderUnusable, DenyListBroken."""
        with self._lock:
            self.deny_list.close()
            self._put_aside(DENY_LIST)
            self.deny_list.begin_anew()

    def close(self) -> None:
        """Close the files."""
        self.deny_list.close()

    def _kept_trust_list(self) -> TrustList:
        data = self._folder.read(TRUST_LIST)
        if data is None:
            return NO_TRUST_LIST
        try:
            trust_list = self._read_trust_list(data)
        except TrustListRefused:
            self._put_aside(TRUST_LIST)
            return NO_TRUST_LIST
        self._trust_body = data
        return trust_list

    def _read_trust_list(self, data: bytes) -> TrustList:
        """The list, if any of our roots signed it. Errors: TrustListRefused, as the last root has it."""
        for root in self._roots[:-1]:
            with suppress(TrustListRefused):
                return read_trust_list(data, root)
        return read_trust_list(data, self._roots[-1])

    def _kept_deny_list(self) -> DenyFile:
        try:
            return DenyFile(self._folder.file(DENY_LIST))
        except DenyListBroken:
            self._put_aside(DENY_LIST)
            return DenyFile(self._folder.file(DENY_LIST))

    def _kept_settings(self) -> None:
        data = self._folder.read(SETTINGS)
        if data is None:
            return
        try:
            settings, changed = self._read_settings(data)
        except (SettingsRefused, ConfigRefused):
            self._put_aside(SETTINGS)
            return
        self._use(settings, changed, data)

    def _read_settings(self, data: bytes) -> tuple[Settings, Adjustable]:
        key = self.trust_list.list_key
        if key is None:
            raise SettingsRefused("The trust list names no key that signs settings.")
        public = Ed25519PublicKey.from_public_bytes(key)
        settings = read_settings(data, public, device_id=self._device_id)
        return settings, adjusted(self._given, settings.values, unknown=[])

    def _use(self, settings: Settings, changed: Adjustable, data: bytes) -> None:
        self.settings, self.adjustable, self._settings_body = settings, changed, data
        self._settings_key = self.trust_list.list_key or b""

    def _put_aside(self, name: str) -> None:
        self._folder.put_aside(name, int(self._now().timestamp()))
        self.broken.append(name)
        logger.error("%s is broken; it lies in the folder broken now.", name)
