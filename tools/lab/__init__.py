"""The lab: a home agent, two visited networks, nodes and their devices in namespaces of one Linux machine."""
