"""The browser console: pages that are rendered here, on the use cases that the HTTP API uses too.

A page is a module of `pages`: handlers that take a visit and return a view or a place to go on to, and ROUTES that
name their paths and what they ask for. Templates show; they decide nothing.
"""
