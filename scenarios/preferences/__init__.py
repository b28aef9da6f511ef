"""Preference data out of runs: pairs that were made in conversations, written as data sets that a trainer accepts."""
