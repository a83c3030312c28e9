"""The demonstration: an arbiter that knows nothing of us, and a run that turns its work into data points."""
