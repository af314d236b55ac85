"""The API under /v1/projects/{p}: feedback, updates, versions, the champion, quarantine, audit."""

from lifelong.service.v1.app import create_api

__all__ = ["create_api"]
