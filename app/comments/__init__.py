"""Comments: made below a post, and made known to its author."""
