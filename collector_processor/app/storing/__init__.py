"""From sealed batches to stored records: worker processes, and what becomes of a batch that fails.

`pool` feeds processes (`process`), each of which runs `worker` around one `pipeline`. `suspects` are batches that may
be to blame for a failure; while the store is down `fallback` keeps batches in files.
"""
