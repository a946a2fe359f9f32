"""The pages, one module for each section: handlers, and ROUTES with what they ask for."""
