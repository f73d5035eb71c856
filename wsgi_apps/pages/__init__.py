"""The HTML pages: those of the shop, and those of the owner's desk."""
