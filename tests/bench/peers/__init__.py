"""What this project is measured beside: small, idiomatic programs, each as good as its authors would make it."""
