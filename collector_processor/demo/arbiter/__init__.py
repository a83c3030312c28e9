"""A small arbiter: it routes tasks to agents, lets them work with tools, and evaluates what they did.

An ordinary application, written as if this project did not exist: nothing here imports the plugin or the processor, and
OpenTelemetry only where a client of models does (`dialogue`). The agents are rules, not language models, but the work
is real: functions are mended until their tests pass, documentation is searched, tables are summed up, jobs are
scheduled, colours are chosen. Whatever is reported about a task was counted, measured or checked while it happened.

Start at `service.Arbiter`; `python -m collector_processor.demo.arbiter --help` runs it.
"""
