"""From sealed batches to stored records: worker processes, and what becomes of a batch that fails.

`pool` feeds processes (`process`) from `batch_queue`, each of which runs `worker` around one `pipeline`. `failures`
says what becomes of a batch that failed, `suspects` which may be to blame; while the store is down `fallback` keeps
batches in files, which `fallback_books` knows and `fallback_erasure` erases from.
"""
