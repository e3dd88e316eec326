"""The retailer's orders, customers and products, and their facts in words."""
