"""The routes, by what they are about; each says what it needs of its caller."""
