"""The retailer's folder: fleet.yaml, domains, knowledge, and the checks on them."""
