"""How fast the queue is on this machine, beside the database itself and other queues: `make bench`, docs/performance.md."""
