"""The journal: queue, buffer of open tasks and recovery log in one LMDB environment.

What was acknowledged is here until the database has it. The front process alone writes (`transaction`, grouped by
`commit`), workers read (`reader`). `kept` is what could not be stored. `format` is the layout on disk, `environment`
opens it safely.

Survives: kill -9 and power loss (LMDB writes data, syncs, then a checksummed meta page; a commit returns only
after that). Values carry a CRC, so damage is found, not passed on.
"""
