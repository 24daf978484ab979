"""The arrows between a job's states, one verb a file.

Every operation takes a connection first and works in its caller's transaction; none commits, sleeps, logs or reads
configuration. Each arrow is a conditional update: who loses a race changes nothing.
"""
