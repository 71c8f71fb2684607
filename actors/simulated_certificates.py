"""The certificates of a simulated station (security whitepaper, OCPP 2.0.1 blocks A and M)."""

from __future__ import annotations

from collections.abc import Callable

from actors.simulated_connector import Site
from actors.simulated_control import ACCEPTED, REJECTED, Handlers
from actors.simulated_line import Reply
from actors.simulated_outbox import Saying
from statecharts.limits import SIMULATED_CERTIFICATES
from statecharts.station_commands import (
    CertificateHash,
    CertificateSigned,
    DeleteCertificate,
    GetInstalledCertificateIds,
    InstallCertificate,
)
from statecharts.station_reports import SignCertificate


def knows_certificate(pem: str) -> bool:
    """Whether a PEM text is a certificate."""
    from actors.simulated_keys import is_certificate

    return is_certificate(pem)


class Certificates:
    """The part of a station that keeps certificates; `note` reports what matters to security.

    `own` is the chain of its own certificate, once one was signed for it.
    """

    def __init__(self, site: Site, identity: str, note: Callable[[str], object]) -> None:
        self._site, self._identity, self._note = site, identity, note
        self._installed: list[tuple[str, CertificateHash]] = []
        self._asked_for: bytes | None = None
        self.own: str | None = None
        self.commands: Handlers = {
            InstallCertificate: self._install,
            DeleteCertificate: self._delete,
            GetInstalledCertificateIds: self._list,
            CertificateSigned: self._signed,
        }

    def ask(self) -> None:
        """Makes a key and asks to have it signed."""
        from actors.simulated_keys import new_request

        organisation = self._site.configuration.keys["CpoName"].value
        request = new_request(self._identity, organisation)
        self._asked_for = request.public_key
        self._site.line.say(Saying(SignCertificate(csr=request.pem, certificate_type="ChargingStationCertificate")))

    def _signed(self, command: CertificateSigned) -> Reply:
        """Takes a certificate that is for the key it asked for, once."""
        from actors.simulated_keys import is_for

        if self._asked_for is None or not is_for(command.certificate_chain, self._asked_for):
            self._note("InvalidChargingStationCertificate")
            return REJECTED
        self.own, self._asked_for = command.certificate_chain, None
        return ACCEPTED

    def _install(self, command: InstallCertificate) -> Reply:
        from actors.simulated_keys import hash_of

        found = hash_of(command.certificate)
        if found is None:
            return REJECTED
        entry = (command.certificate_type, found)
        if entry not in self._installed:
            if len(self._installed) >= SIMULATED_CERTIFICATES.limit:
                return Reply("Failed")
            self._installed.append(entry)
        return ACCEPTED

    def _delete(self, command: DeleteCertificate) -> Reply:
        left = [entry for entry in self._installed if entry[1] != command.certificate]
        found = len(left) < len(self._installed)
        self._installed = left
        return ACCEPTED if found else Reply("NotFound")

    def _list(self, command: GetInstalledCertificateIds) -> Reply:
        wanted = command.certificate_types
        found = [entry for entry in self._installed if not wanted or entry[0] in wanted]
        return Reply("Accepted", self._site.answers.certificates(found)) if found else Reply("NotFound")
