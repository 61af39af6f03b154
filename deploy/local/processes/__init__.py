"""Child processes: started, restarted, ended with their parent."""
