"""An authority that is not ours: a program of the operator's asks it, for a company's PKI or a cloud's."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence

import structlog
import trio

from protocols.pki.authority import expiry_of
from protocols.pki.requests import checked_request
from statecharts.limits import CERTIFICATE_CHAIN
from statecharts.vocabulary import Refused, refused

log = structlog.get_logger(__name__)


class CommandAuthority:
    """Signs by running `command`: it gets the request as PEM on its standard input and the common name as its last
    argument, and prints the signed certificate and those of its issuers. A `statecharts.ports.CertificateAuthority`.

    Whatever it prints on standard error is logged. It is ended after `timeout_s` seconds.
    """

    def __init__(self, root: str, command: Sequence[str], *, organization: str | None, timeout_s: float) -> None:
        self.root = root
        self._command, self._organization, self._timeout_s = tuple(command), organization, timeout_s

    def __repr__(self) -> str:
        return f"<CommandAuthority {self._command[0]}>"

    def check(self, csr: str, common_name: str) -> None:
        checked_request(csr, common_name, self._organization)

    async def sign(self, csr: str, common_name: str) -> str:
        ended = await self._run(csr, common_name)
        if ended.stderr:
            log.info("authority.said", command=self._command[0], text=ended.stderr[:1_000].decode(errors="replace"))
        if ended.returncode:
            raise _unavailable(f"the authority's command ended with status {ended.returncode}")
        chain = ended.stdout.decode(errors="replace").strip()
        try:
            expiry_of(chain)
        except ValueError as error:
            raise _unavailable("the authority's command printed no certificate") from error
        if len(chain) > CERTIFICATE_CHAIN.limit:
            raise _unavailable(f"the certificate and its issuers are longer than {CERTIFICATE_CHAIN.limit} characters")
        return f"{chain}\n"

    async def _run(self, csr: str, common_name: str) -> subprocess.CompletedProcess[bytes]:
        with trio.move_on_after(self._timeout_s):
            try:
                return await trio.run_process(
                    [*self._command, common_name],
                    stdin=csr.encode(),
                    capture_stdout=True,
                    capture_stderr=True,
                    check=False,
                )
            except OSError as error:
                raise _unavailable(f"the authority's command cannot be run: {error.strerror}") from error
        raise _unavailable(f"the authority's command did not end within {self._timeout_s:g} s")


def _unavailable(why: str) -> Refused:
    return refused(503, "authority-unavailable", why)
