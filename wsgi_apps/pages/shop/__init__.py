"""The pages of the shop, which the front end serves: products, buys, receipts and pictures."""
