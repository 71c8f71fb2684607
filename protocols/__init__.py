"""HOW it is said: bytes to vocabulary and back, and the transports. Owns no business state."""
