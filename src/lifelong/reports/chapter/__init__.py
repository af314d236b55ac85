"""The chapter as a page: what an experiment shows, its figures, and the page of all of them."""
