"""Helpers that tests import: real servers, processes of their own."""
