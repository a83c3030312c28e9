"""Traces sent on to another backend by a process of its own (`forwarder`), which the front only tells (`process`)."""
