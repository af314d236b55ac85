"""The API under /v1/projects/{p}: feedback, updates, versions, the champion, quarantine, audit."""
