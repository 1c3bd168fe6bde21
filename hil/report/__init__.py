"""The report of a run: blocks, and their two forms, a page and a PDF."""
