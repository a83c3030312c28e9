"""Whole tasks out of spans that come in any order.

`wire` splits a request of spans by trace on raw bytes and `records` one of log records, `tree` finds each span's task,
`assembler` decides when a task is closed. Pure: time is an argument, and what the index doesn't hold is read through a
`Lookup`.
"""
