"""Runs beyond one process: events that are relayed to the one log, and limits that are leased from the one bank.

Nothing here knows by what the processes are connected.
"""
