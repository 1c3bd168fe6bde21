"""What is remembered: the journal, the history and the requests, each an SQLite file of its own."""
