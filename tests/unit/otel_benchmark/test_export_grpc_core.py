"""gRPC's core counts as in use as long as a channel is open."""

import subprocess
import sys

import pytest

CODE = """
import grpc
from otel_benchmark.export.grpc_core import comes_to_rest

print(comes_to_rest(0))
channel = grpc.insecure_channel("127.0.0.1:9")
try:
    channel.unary_unary("/any/Call", None, None)(b"", timeout=5)
except grpc.RpcError:
    pass
print(comes_to_rest(0.1))
channel.close()
del channel
print(comes_to_rest(60))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the names of threads are not to be seen")
def test_the_core_rests_without_channels():
    finished = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    assert finished.stdout.split() == ["True", "False", "True"]
