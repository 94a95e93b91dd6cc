"""Our questions and their answers; what we answer others."""
