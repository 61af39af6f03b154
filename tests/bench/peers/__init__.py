"""Small, idiomatic programs for comparison, each as good as its authors would make it."""
