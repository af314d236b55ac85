"""A network of your own in a package of your own."""
