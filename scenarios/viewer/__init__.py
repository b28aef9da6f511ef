"""The viewer: a run looked through in a browser, served from this machine to this machine."""
