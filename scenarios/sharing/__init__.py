"""Runs and conversations in other tools' own forms: what `export` writes that is no data set."""
