"""Incidents: the steps of each, and the checklist of its operator. The section shows once there are routes."""

from starlette.routing import Route

ROUTES: tuple[Route, ...] = ()
