"""Accounts: signing up, logging in and out, and what others see of someone."""
