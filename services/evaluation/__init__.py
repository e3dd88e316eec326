"""How right and how fast the fleet is: `slmfleet evaluate`, `compare` and `bench`."""
