"""How a simulated station is kept: firmware that is fetched and installed, logs that are sent, as real ones do it."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from datetime import datetime
from functools import partial
from urllib.parse import urlsplit

from actors.simulated_connector import Site
from actors.simulated_control import Handlers
from actors.simulated_line import Reply
from actors.simulated_outbox import Saying
from statecharts.station_commands import GetLog, UpdateFirmware
from statecharts.station_reports import FirmwareStatus, LogStatus, SecurityEvent, StationReport

TRANSFER_S = 10
INSTALL_S = 20
IDLE_LOOK_S = 5
_REACHABLE = ("ftp", "ftps", "http", "https", "sftp")


class Service:
    """The part of a station that is serviced.

    `idle` tells whether no transaction runs, `reboot` makes the station boot anew, and `knows_certificate` whether a
    PEM text is a certificate.
    """

    def __init__(
        self,
        site: Site,
        identity: str,
        idle: Callable[[], bool],
        reboot: Callable[[], object],
        knows_certificate: Callable[[str], bool],
    ) -> None:
        self._site, self._identity = site, identity
        self._idle, self._reboot, self._knows_certificate = idle, reboot, knows_certificate
        self.firmware_version: str | None = None
        self._firmware = FirmwareStatus(status="Idle")
        self._log = LogStatus(status="Idle")
        self._installing: UpdateFirmware | None = None
        self.commands: Handlers = {UpdateFirmware: self._update, GetLog: self._send_log}

    def _say(self, report: StationReport) -> None:
        self._site.line.say(Saying(report))

    def _in(self, timer: str, wait_s: float, turn: Callable[[], object]) -> None:
        self._site.turns.arm(timer, max(0.0, wait_s), turn)

    def _until(self, moment: datetime | None) -> float:
        return 0.0 if moment is None else (moment - self._site.now()).total_seconds()

    def tell_firmware(self) -> None:
        """Says how far an update is, because somebody asked."""
        self._say(self._firmware)

    def tell_log(self) -> None:
        """Says how far the upload of a log is, because somebody asked."""
        self._say(self._log)

    def note(self, kind: str, tech_info: str | None = None) -> None:
        """Reports something that matters to security."""
        self._say(SecurityEvent(kind=kind, timestamp=self._site.now(), tech_info=tech_info))

    # -- firmware ------------------------------------------------------------------------------------------------------

    def _update(self, command: UpdateFirmware) -> Reply:
        certificate = command.signing_certificate
        if certificate is not None and not self._knows_certificate(certificate):
            self.note("InvalidFirmwareSigningCertificate")
            return Reply("InvalidCertificate")
        under_way = self._firmware.status not in ("Idle", "Installed", "DownloadFailed", "InstallationFailed")
        self._in("firmware", self._until(command.retrieve_at), partial(self._download, command, 0))
        # OCPP 1.6 section 6.53: UpdateFirmware.conf says nothing.
        return Reply("" if command.request_id is None else "AcceptedCanceled" if under_way else "Accepted")

    def _step(self, command: UpdateFirmware, status: str) -> None:
        self._firmware = FirmwareStatus(status=status, request_id=command.request_id)
        self.tell_firmware()

    def _over(self, command: UpdateFirmware, status: str) -> None:
        """The last status of an update; asked again later, nothing goes on."""
        self._step(command, status)
        self._firmware = FirmwareStatus(status="Idle")

    def _download(self, command: UpdateFirmware, failures: int) -> None:
        self._step(command, "Downloading")
        done = self._downloaded if _is_reachable(command.location) else partial(self._download_failed, failures + 1)
        self._in("firmware", TRANSFER_S, partial(done, command))

    def _download_failed(self, failures: int, command: UpdateFirmware) -> None:
        if failures > (command.retries or 0):
            self._over(command, "DownloadFailed")
        else:
            self._in("firmware", command.retry_interval_s or 0, partial(self._download, command, failures))

    def _downloaded(self, command: UpdateFirmware) -> None:
        self._step(command, "Downloaded")
        if command.signature is not None:
            if not _is_base64(command.signature):
                self.note("InvalidFirmwareSignature")
                self._over(command, "InvalidSignature")
                return
            self._step(command, "SignatureVerified")
        wait_s = self._until(command.install_at)
        if wait_s > 0 and command.request_id is not None:
            self._step(command, "InstallScheduled")
        self._in("firmware", wait_s, partial(self._install, command))

    def _install(self, command: UpdateFirmware) -> None:
        """As soon as nobody charges: installing it takes the station out of service."""
        if not self._idle():
            self._in("firmware", IDLE_LOOK_S, partial(self._install, command))
            return
        self._step(command, "Installing")
        self._in("firmware", INSTALL_S, partial(self._restart, command))

    def _restart(self, command: UpdateFirmware) -> None:
        self._installing = command
        self.firmware_version = urlsplit(command.location).path.rpartition("/")[2][:50] or None
        self._reboot()

    @property
    def boot_reason(self) -> str | None:
        """Why the station boots now, if it is for the sake of what was installed."""
        return "FirmwareUpdate" if self._installing else None

    def booted(self) -> None:
        """The station is back and accepted: what was installed is in use."""
        installed, self._installing = self._installing, None
        if installed is not None:
            self._over(installed, "Installed")
            self.note("FirmwareUpdated", self.firmware_version)

    # -- logs ----------------------------------------------------------------------------------------------------------

    def _send_log(self, command: GetLog) -> Reply:
        under_way = self._log.status == "Uploading"
        self._log = LogStatus(status="Uploading", request_id=command.request_id)
        self._in("log", 0, partial(self._upload, command, 0))
        name = f"{self._identity}-{command.log_type}.log"
        if command.request_id is None:  # GetDiagnostics, whose answer is the name alone (OCPP 1.6 section 6.26)
            return Reply("", {"fileName": name})
        return Reply("AcceptedCanceled" if under_way else "Accepted", {"filename": name})

    def _upload(self, command: GetLog, failures: int) -> None:
        self.tell_log()
        done = self._uploaded if _is_reachable(command.location) else partial(self._upload_failed, failures + 1)
        self._in("log", TRANSFER_S, partial(done, command))

    def _uploaded(self, command: GetLog) -> None:
        self._end_upload(command, "Uploaded")

    def _upload_failed(self, failures: int, command: GetLog) -> None:
        if failures > (command.retries or 0):
            self._end_upload(command, "UploadFailure")
        else:
            self._in("log", command.retry_interval_s or 0, partial(self._upload, command, failures))

    def _end_upload(self, command: GetLog, status: str) -> None:
        self._log = LogStatus(status="Idle")
        self._say(LogStatus(status=status, request_id=command.request_id))


def _is_reachable(location: str) -> bool:
    """Whether a station would find something there; nothing is ever fetched or sent."""
    parts = urlsplit(location)
    return parts.scheme in _REACHABLE and bool(parts.hostname)


def _is_base64(text: str) -> bool:
    try:
        return bool(base64.b64decode(text, validate=True))
    except binascii.Error:
        return False
