"""Receive: OTLP over HTTP and gRPC, handed on as protobuf bytes and answered when they are durable.

Receivers know protocols, not spans: an `Intake` checks and journals what they bring. `otlp_http` and `otlp_grpc`
are the doors, `endpoints` says which signals are received, `refusal` how an error is answered on either.
"""
