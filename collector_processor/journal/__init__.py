"""The journal: queue, buffer of open tasks and recovery log in one LMDB environment.

What was acknowledged is here until the database has it. The front process alone writes (`transaction`, grouped by
`commit`), workers read (`reader`). `completion` is a batch's end, `kept` is what could not be stored. `format` is
the layout on disk, `environment` opens it safely.

Whatever an application wrote is encrypted (`rows`, `cipher`) under the key of its epoch, a file of its own (`keys`).
With the last value of the epoch the key is destroyed: LMDB's freed pages, which still hold the bytes, say nothing.

Survives: kill -9 and power loss (LMDB writes data, syncs, then a checksummed meta page; a commit returns only
after that). Values carry an authentication tag, so damage is found, not passed on.
"""
