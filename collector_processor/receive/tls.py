"""TLS of the listeners: our certificate, and whom clients must be trusted by. Rotated files are taken up at once.

Each new connection is made with the newest files; connections that are there keep what they were made with until
they end, which they do by age (`MAX_CONNECTION_AGE` of the servers).
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple, Self

import grpc

from collector_processor.errors import ConfigError
from collector_processor.receive.watched import INTERVAL, Watched
from collector_processor.telemetry.metrics import CERTIFICATE_EXPIRY


class CertificateFiles(NamedTuple):
    """PEM files.

    Attributes:
        chain: our certificate, then those between it and its authority.
        key: the key to it, without a password.
        authorities: where clients' certificates must come from; None: clients need none.
    """

    chain: Path
    key: Path
    authorities: Path | None = None


class _Identity(NamedTuple):
    """What the files hold, ready for both kinds of servers."""

    chain: bytes
    key: bytes
    authorities: bytes | None
    expires: datetime
    context: ssl.SSLContext
    """For receivers: clients show certificates where authorities are given."""
    anonymous: ssl.SSLContext
    """For probes, which have none."""


class Certificates:
    """What the listeners say who they are by. `prefix` begins the names of the settings: errors show them.

    Raises:
        ConfigError: a file can't be read, is no PEM, or the key is another certificate's.
    """

    def __init__(self, files: CertificateFiles, prefix: str, *, interval: float = INTERVAL) -> None:
        self._files = files
        self._prefix = prefix
        paths = [path for path in files if path is not None]
        self._identity = Watched(f"{prefix}CERT_FILE", paths, self._read, interval=interval)

    @property
    def problem(self) -> str | None:
        """What a person must see to: rotated files that can't be used, a certificate whose time is over."""
        expires = self._identity.current().expires
        if (problem := self._identity.problem) is not None:
            return problem
        return f"{self._prefix}CERT_FILE has expired at {expires:%Y-%m-%d %H:%M:%SZ}" if expires < _now() else None

    def context(self) -> ssl.SSLContext:
        """For an asyncio server of a receiver."""
        return _NewestContext(lambda: self._identity.current().context)

    def anonymous_context(self) -> ssl.SSLContext:
        """For an asyncio server whose clients need no certificate."""
        return _NewestContext(lambda: self._identity.current().anonymous)

    def grpc_credentials(self) -> grpc.ServerCredentials:
        """For a gRPC server."""
        used = self._identity.current()

        def changed() -> Any:
            nonlocal used
            newest = self._identity.current()
            if newest is used:
                return None
            used = newest
            return _grpc_configuration(newest)

        return grpc.dynamic_ssl_server_credentials(
            _grpc_configuration(used), changed, require_client_authentication=used.authorities is not None
        )

    def _read(self) -> _Identity:
        from cryptography import x509  # noqa: PLC0415 - 1.4 MB that a processor without TLS does without

        chain, key, authorities = self._files
        blobs = self._bytes("CERT_FILE", chain), self._bytes("KEY_FILE", key)
        trusted = self._bytes("CLIENT_CA_FILE", authorities) if authorities else None
        try:
            expires = x509.load_pem_x509_certificates(blobs[0])[0].not_valid_after_utc
        except ValueError as error:
            raise ConfigError(f"{self._prefix}CERT_FILE: {chain} holds no certificate in PEM") from error
        identity = _Identity(*blobs, trusted, expires, self._make_context(authorities), self._make_context(None))
        CERTIFICATE_EXPIRY.set(expires.timestamp())
        return identity

    def _make_context(self, authorities: Path | None) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            # Without a function OpenSSL asks for the password on the terminal.
            context.load_cert_chain(self._files.chain, self._files.key, password=lambda: b"")
        except (OSError, ValueError) as error:
            raise ConfigError(
                f"{self._prefix}KEY_FILE: {self._files.key} is not the key of {self._files.chain}, "
                f"as PEM without a password ({getattr(error, 'reason', None) or error})"
            ) from error
        if authorities is not None:
            try:
                context.load_verify_locations(authorities)
            except (OSError, ValueError) as error:
                raise ConfigError(f"{self._prefix}CLIENT_CA_FILE: {authorities} holds no certificate in PEM") from error
            context.verify_mode = ssl.CERT_REQUIRED
        return context

    def _bytes(self, name: str, path: Path) -> bytes:
        try:
            return path.read_bytes()
        except OSError as error:
            raise ConfigError(f"{self._prefix}{name}: {path} can't be read: {error.strerror}") from error


class _NewestContext(ssl.SSLContext):
    """Makes each connection by the newest context, whole: a context can't be rid of what it has loaded."""

    _newest: Callable[[], ssl.SSLContext]

    def __new__(cls, newest: Callable[[], ssl.SSLContext]) -> Self:
        made = super().__new__(cls, ssl.PROTOCOL_TLS_SERVER)
        made._newest = newest
        return made

    def wrap_bio(self, *args: Any, **options: Any) -> ssl.SSLObject:
        """Begin a connection."""
        return self._newest().wrap_bio(*args, **options)


def _grpc_configuration(identity: _Identity) -> Any:
    return grpc.ssl_server_certificate_configuration([(identity.key, identity.chain)], identity.authorities)


def _now() -> datetime:
    return datetime.now(UTC)
