"""Configuration: every `COLLECTOR_PROCESSOR_*` setting, read once into one frozen `Settings`.

`settings` declares them, `values` reads and writes their textual forms, `sources` says where a value comes from
(environment, then TOML file, then default), `describe` shows them to people without their secrets.
"""

from collector_processor.config.describe import Row, describe, mask_url, reference
from collector_processor.config.settings import EMBEDDED, Settings
from collector_processor.config.sources import PREFIX, Loaded, load
from collector_processor.config.values import Address

__all__ = ["EMBEDDED", "PREFIX", "Address", "Loaded", "Row", "Settings", "describe", "load", "mask_url", "reference"]
