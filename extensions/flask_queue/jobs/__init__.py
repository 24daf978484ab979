"""What a user writes: a job's definition, its arguments, its rules for retries and concurrency, and schedules. No SQL."""
