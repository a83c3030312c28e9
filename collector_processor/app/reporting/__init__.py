"""What the processor says of itself: `monitor` looks, `status` is the answer, `admin` and the metrics show it."""
