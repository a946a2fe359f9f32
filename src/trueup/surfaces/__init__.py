"""What people and programs meet: they receive a built App and know no adapter."""
