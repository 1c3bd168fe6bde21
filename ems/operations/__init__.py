"""What keeps the processes running and tells how they are: units, watchdog, logs, vitals, findings, support bundle."""
