"""Canary: the small scope that trades again, and its sign-off. The section shows once there are routes."""

from starlette.routing import Route

ROUTES: tuple[Route, ...] = ()
