"""The composition root: the only package that knows all stages.

`serve` runs the processor: `front` listens, journals and assembles in one process; `workers` starts the worker
processes (`worker`) that convert, guard and store what the front has sealed.
"""
