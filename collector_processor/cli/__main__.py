"""`python -m collector_processor.cli` is `otel-benchmark`."""

import sys

from collector_processor.cli import main

sys.exit(main())
