"""From rows and knowledge to bundles: data, network, loop, calibration, export. Needs torch."""
