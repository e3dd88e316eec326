"""ONNX Runtime with its telemetry switched off; import `ort` from here and nowhere else.

Its wheels have telemetry on: they write an id of the machine to the user's folder, and know an address of
their maker's. Only this variable stops that, and only before the library is loaded:
`disable_telemetry_events()` comes too late. This is the one place outside settings.py that touches the
environment.
"""

from __future__ import annotations

import os

os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import onnxruntime as ort

__all__ = ["ort"]
