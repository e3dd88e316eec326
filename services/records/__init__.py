"""The retailer's orders, customers and products, and the sentences that state them."""
