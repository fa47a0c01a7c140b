"""Which version of Sundial this is."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

try:
    VERSION = version("sundial")
except PackageNotFoundError:  # run from a folder that was never installed
    VERSION = "0"
