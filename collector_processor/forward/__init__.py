"""What becomes of a task's spans when its record is stored: redacted, selected, and sent to any OTLP backend.

`select` and `redact` are pure; `prepare` joins them into the copy that may leave; `send` brings it away over `otlp`.
"""
