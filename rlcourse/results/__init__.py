"""Curves of several runs, interval estimates, storage."""
