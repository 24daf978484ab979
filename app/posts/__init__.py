"""Posts: the front page, a page for each, and the form for a new one."""
