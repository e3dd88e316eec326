"""ONNX Runtime, kept from telling anybody anything.

Its wheels have telemetry on: they write an id of the machine to the user's folder, and know an address of
their maker's. Only this variable stops that, and only before the library is loaded:
`disable_telemetry_events()` comes too late. So it is set here, in the one place outside settings.py that
touches the environment, and everyone imports `ort` from here.
"""

from __future__ import annotations

import os

os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import onnxruntime as ort

__all__ = ["ort"]
