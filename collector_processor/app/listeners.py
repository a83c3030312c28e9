"""What listens: the two receivers and the admin port, who may come in, and in which order they open and close."""

from __future__ import annotations

import asyncio
import resource
from collections.abc import Callable
from typing import Final

from collector_processor.app.reporting.admin import Health, admin_app
from collector_processor.config import PREFIX, Address, Settings
from collector_processor.model.stages import Intake
from collector_processor.receive.access import Access
from collector_processor.receive.admission import Admission, Limits
from collector_processor.receive.http_server import HttpServer
from collector_processor.receive.otlp_grpc import GrpcReceiver
from collector_processor.receive.otlp_http import HttpReceiver
from collector_processor.receive.tls import CertificateFiles, Certificates
from collector_processor.receive.tokens import Tokens
from collector_processor.telemetry.metrics import exposition

_GRACE: Final = 2.0
"""Seconds that running requests have when the doors close."""

_OTHER_FILES: Final = 256
"""Journal, database, workers."""


class Listeners:
    """Everything that others connect to.

    Attributes:
        addresses: of what listens, by the name of its setting.

    Raises:
        ConfigError: certificates or tokens can't be used.
    """

    def __init__(self, settings: Settings, intake: Intake, health: Callable[[], Health]) -> None:
        self.addresses: dict[str, str] = {}
        self._settings = settings
        self._access = access_of(settings)
        admission = Admission(settings.max_inflight_bytes)
        limits = Limits(settings.max_request_bytes, settings.max_json_bytes)
        self._grpc = GrpcReceiver(intake, admission, limits, f"{PREFIX}OTLP_GRPC", self._access)
        self._http = HttpReceiver(intake, admission, limits, f"{PREFIX}OTLP_HTTP", self._access)
        certificates = self._access.certificates
        self._admin = HttpServer(
            admin_app(health, exposition, self._access.check),
            f"{PREFIX}ADMIN",
            # Probes have no certificate.
            tls=certificates.anonymous_context() if certificates else None,
            max_connections=settings.max_connections,
        )

    async def start(self) -> None:
        """Listen. Raises ConfigError where an address can't be listened on."""
        doors = (
            ("otlp_grpc", self._settings.otlp_grpc, self._grpc.start),
            ("otlp_http", self._settings.otlp_http, self._http.start),
            ("admin", self._settings.admin, self._admin.start),
        )
        for name, address, start in doors:
            if address is not None:
                port = await start(address.host, address.port)
                self.addresses[name] = str(Address(address.host, port))

    async def close_receivers(self) -> None:
        """Take no more requests."""
        await asyncio.gather(self._grpc.stop(_GRACE), self._http.stop(_GRACE))

    async def close_admin(self) -> None:
        """The last to go: it says what is going on until then."""
        await self._admin.stop()

    def problems(self) -> list[str]:
        """What a person must see to about certificates and tokens, while everything goes on as it was before."""
        return list(self._access.problems())


def raise_file_limit(settings: Settings) -> None:
    """Let this process have a file for every connection that may come, as far as the system lets it."""
    wanted = 3 * settings.max_connections + _OTHER_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def access_of(settings: Settings) -> Access:
    """Who may connect and send. Raises ConfigError where certificates or tokens can't be used."""
    certificates = tokens = None
    if settings.tls_cert_file and settings.tls_key_file:
        files = CertificateFiles(settings.tls_cert_file, settings.tls_key_file, settings.tls_client_ca_file)
        certificates = Certificates(files, f"{PREFIX}TLS_")
    if settings.tokens_file:
        tokens = Tokens(settings.tokens_file, f"{PREFIX}TOKENS_FILE")
    return Access(certificates, tokens, settings.max_connections)
