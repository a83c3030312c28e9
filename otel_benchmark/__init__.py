"""OpenTelemetry instrumentation plugin: an agent orchestrator's tasks as spans with structured attributes."""
