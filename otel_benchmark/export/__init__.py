"""A way to the processor of our own, for applications whose exporter goes elsewhere (`OTEL_BENCHMARK_ENDPOINT`).

Its queue is bounded in bytes, and foreign spans never displace lifecycle spans: a burst of 30,000 spans through the
SDK's default queue lost 47 %, records among them. The application never waits for it. What the receiver can't take
now stays in the queue; what is dropped is counted by its reason and logged once a minute.
"""
