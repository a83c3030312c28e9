"""Everything that reads bytes of others, as functions of bytes: for hypothesis in tests, and for `make fuzz`."""
