"""The fleet and a larger model on the same questions: `slmfleet compare`."""
