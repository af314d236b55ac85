"""The dashboard: what a project lives through, decisions by a person, and a page to try it."""

from lifelong.service.dashboard.app import create_dashboard

__all__ = ["create_dashboard"]
