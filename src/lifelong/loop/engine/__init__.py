"""The loop over a store: each operation joins pure transitions and rows in one transaction.

| file | what it does |
|---|---|
| `base` | `Engine` (store, blobs, clock), and what all others need |
| `begin` | a project with its first version |
| `intake` | feedback: judged, then stored |
| `lots` | accepted feedback becomes a task |
| `asking` | an update is asked for, by a trigger or a person |
| `work` | a worker claims an update, tells how far it is, hands in the candidate |
| `reviewing` | a person's word about the quarantine |
| `traffic` | who answers beside the champion |
| `deciding` | the gate's word, a person's word, going back |
| `status` | what there is to be seen |
"""

from lifelong.loop.engine.base import Engine

__all__ = ["Engine"]
