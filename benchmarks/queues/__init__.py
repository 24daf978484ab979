"""One module for each queue: its settings and the calls it takes, nothing else."""
