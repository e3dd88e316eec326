"""Servers that `slmfleet up` starts itself, so that a fleet runs without any set-up."""
