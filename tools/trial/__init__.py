"""The field trial: records of a node that drove around, joined with what agents saw, and a report of every gap."""
