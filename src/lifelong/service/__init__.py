"""The loop over HTTP: predictions, and whatever else is mounted beside them."""
