"""What must outlive the process: journal, requests, history."""
