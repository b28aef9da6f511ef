"""A run looked through: its conversations, what was said in one, and the calls behind a message."""
