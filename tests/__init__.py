"""What Sundial promises, tested room by room, as laws over all of them, and in the real world."""
