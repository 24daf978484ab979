"""The processes that do the work: loops, threads and clocks around operations. They own transactions, and keep them short."""
