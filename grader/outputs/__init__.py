"""What people read: verdicts, the course map, sheets."""
