"""What requests and answers look like; the OpenAPI description is made of these."""
