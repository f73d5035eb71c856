"""The owner's desk: stock, products, orders, takings and books. Each page is JSON for a program that asks for it."""
