"""FLATTEN: cancel what works, close what is held, and say flat only where the venue was read to be."""
