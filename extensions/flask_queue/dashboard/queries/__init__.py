"""What the pages read from the database. Each page needs a fixed number of statements, and each statement looks at a bounded
number of rows: counts stop at a cap, filters without an index look at the head of a list, groups at the newest failures.
"""
