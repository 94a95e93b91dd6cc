"""Where who gives a code and who has one meet, on the tracker's port (docs/protocols/codes.md)."""
