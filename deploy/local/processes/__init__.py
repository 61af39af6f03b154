"""Child processes: launched, restarted, ended with their parent."""
