"""The service that turns traces of an agent orchestrator into benchmark data points."""
