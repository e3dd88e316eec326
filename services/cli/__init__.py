"""The command `slmfleet`: one file for each group of subcommands, and how results look on a terminal."""
