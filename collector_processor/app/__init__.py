"""The composition root: the only package that knows all stages.

`serve` runs the processor: `listeners` let requests in, `journalling` makes them durable and seals closed tasks,
`storing` has worker processes convert, guard and store them, `analysing` looks deeply at some, and `forwarding` sends
traces on. `database`, `outage` and `upkeep` look after the store, and `reporting` says how all of it is. `commands` is
what a person does, through `control` where a processor runs.
"""
