"""The authority of stations' certificates: as the configuration names it, and `node.py ca`, which makes one."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from protocols.cli.config import Config
from protocols.cli.starter import CannotRun, Starter
from statecharts.ports import CertificateAuthority, Clock
from statecharts.vocabulary import Refused

if TYPE_CHECKING:
    from cryptography.x509 import GeneralName

    from protocols.pki.authority import BuiltInAuthority

ROOT, KEY = "root.pem", "root.key"
OURS_ONLY = 0o600

Folder = Annotated[Path, typer.Option(help="Where the authority's certificate and key are.")]


def authority_of(config: Config, clock: Clock, fresh_bytes: Callable[[int], bytes]) -> CertificateAuthority | None:
    """The authority that the configuration names, if any. Raises `CannotRun` where it cannot be used."""
    section, organization = config.authority, config.ocpp.certificate_organization
    if section.certificate is None:
        return None
    from protocols.pki.authority import open_authority  # with cryptography, which no other node needs
    from protocols.pki.external import CommandAuthority

    try:
        if section.key is None:
            root, wait_s = section.certificate.read_text(), section.command_timeout_s
            return CommandAuthority(root, section.command, organization=organization, timeout_s=wait_s)
        return open_authority(
            section.certificate,
            section.key,
            organization=organization,
            days=section.certificate_days,
            clock=clock,
            fresh_bytes=fresh_bytes,
        )
    except (OSError, ValueError, TypeError) as error:
        raise CannotRun(f"authority: {error}") from error


def add_authority_commands(cli: typer.Typer, starter: Starter) -> None:
    """`ca make`, `ca sign` and `ca server`."""
    ca = typer.Typer(help="Our own authority, which signs the certificates of stations.", no_args_is_help=True)
    cli.add_typer(ca, name="ca")

    @ca.command()
    def make(
        organization: Annotated[str, typer.Option(help="The operator's name: what stands as O in its certificate.")],
        folder: Folder = Path("ca"),
        name: Annotated[str, typer.Option(help="Its common name (CN).")] = "roamnode stations",
        days: Annotated[int, typer.Option(min=1, max=36_500, help="How long it holds.")] = 7_300,
    ) -> None:
        """Make an authority: its certificate, and its key, which nobody but the owner of the file can read."""
        from protocols.pki.authority import make_root

        certificate, key = make_root(name, organization, days, starter.clock, starter.fresh_bytes)
        folder.mkdir(parents=True, exist_ok=True)
        write_new(folder / KEY, key, OURS_ONLY)
        write_new(folder / ROOT, certificate)
        typer.echo("[authority]")
        typer.echo(f'certificate = "{folder / ROOT}"')
        typer.echo(f'key = "{folder / KEY}"')

    @ca.command()
    def sign(
        request: Annotated[Path, typer.Argument(help="PEM file of the station's certificate signing request.")],
        identity: Annotated[str, typer.Option(help="The station's identity, or its `certificate_name`.")],
        folder: Folder = Path("ca"),
        days: Annotated[int, typer.Option(min=1, max=3_650, help="How long it holds.")] = 365,
    ) -> None:
        """Sign a station's request and print its certificate, as the node does when the station asks it."""
        import trio

        try:
            chain = trio.run(_opened(folder, days, starter).sign, read(request), identity)
        except Refused as no:
            raise CannotRun(no.refusal.message) from no
        typer.echo(chain, nl=False)

    @ca.command()
    def server(
        names: Annotated[list[str], typer.Argument(help="Host names and addresses under which stations reach us.")],
        folder: Folder = Path("ca"),
        to: Annotated[Path, typer.Option(help="Where node.pem and node.key are written.")] = Path("tls"),
        days: Annotated[int, typer.Option(min=1, max=3_650, help="How long it holds.")] = 365,
    ) -> None:
        """Make a certificate, and its key, for the listener of stations, which trust our authority."""
        from protocols.pki.authority import make_server_key, pem_of

        key = make_server_key()
        certificate = _opened(folder, days, starter).server([_general_name(each) for each in names], key.public_key())
        to.mkdir(parents=True, exist_ok=True)
        write_new(to / "node.key", pem_of(key), OURS_ONLY)
        write_new(to / "node.pem", certificate)
        typer.echo(f'tls_certificate = "{to / "node.pem"}"')
        typer.echo(f'tls_key = "{to / "node.key"}"')


def write_new(file: Path, text: str, mode: int = 0o644) -> None:
    """Writes a file that was not there, with these rights from its first moment on. Raises `CannotRun` if it was."""
    try:
        number = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    except OSError as error:
        raise CannotRun(f"{file} cannot be made: {error.strerror}") from error
    with os.fdopen(number, "w") as opened:
        opened.write(text)


def read(file: Path) -> str:
    """The file's text. Raises `CannotRun`."""
    try:
        return file.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise CannotRun(f"{file} cannot be read: {error}") from error


def _opened(folder: Path, days: int, starter: Starter) -> BuiltInAuthority:
    from protocols.pki.authority import open_authority

    root, key = folder / ROOT, folder / KEY
    clock, fresh = starter.clock, starter.fresh_bytes
    try:
        return open_authority(root, key, organization=None, days=days, clock=clock, fresh_bytes=fresh)
    except (OSError, ValueError, TypeError) as error:
        raise CannotRun(f"no authority in {folder}: {error}; `node.py ca make` makes one") from error


def _general_name(name: str) -> GeneralName:
    from cryptography.x509 import DNSName, IPAddress

    try:
        return IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return DNSName(name)
